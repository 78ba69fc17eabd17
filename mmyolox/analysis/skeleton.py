"""The keypoints of a data set, as its metainfo describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError


@dataclass(frozen=True)
class Skeleton:
    """What K keypoints are.

    Attributes:
        names: The K names.
        flip_indices: (K,), which keypoint takes each one's place in a mirror image; its own index in the
            middle.
        sigmas: (K,), COCO's constants of its object keypoint similarity, of which its evaluation takes twice.
        links: The lines to draw, as pairs of indices.
        class_keypoints: (C,), which of the K keypoints each class has, in the order of its annotations.
    """

    names: tuple[str, ...]
    flip_indices: tuple[int, ...]
    sigmas: tuple[float, ...]
    links: tuple[tuple[int, int], ...]
    class_keypoints: tuple[tuple[int, ...], ...]

    @classmethod
    def of_metainfo(cls, metainfo: Mapping[str, Any]) -> 'Skeleton | None':
        """The skeleton of a data set's ``metainfo``; None of one without keypoints.

        Args:
            metainfo: It has ``skeleton``, a dict of ``keypoints`` (names), ``flip_pairs`` and ``links``
                (pairs of names) and ``sigmas``, and ``class_keypoints`` (by default all keypoints for each
                class).
        """
        spec = metainfo.get('skeleton')
        if not spec:
            return None
        names = tuple(spec['keypoints'])
        number = {name: index for index, name in enumerate(names)}
        flips = [*range(len(names))]
        for one, other in spec.get('flip_pairs') or ():
            flips[number[one]], flips[number[other]] = number[other], number[one]
        links = tuple((number[one], number[other]) for one, other in spec.get('links') or ())
        every = [[*range(len(names))]] * len(metainfo['classes'])
        own = tuple(map(tuple, metainfo.get('class_keypoints') or every))
        return cls(names, tuple(flips), tuple(spec['sigmas']), links, own)

    def read_keypoints(
        self, file: CocoAnnotations, indices: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The keypoints of annotations of a file.

        Args:
            file: The file, with its field ``keypoints``.
            indices: (T,), which annotations.
            labels: (T,), their labels.

        Returns:
            (T, K, 3) x, y in pixels of the image, and visibility; zeros for those that an annotation lacks.

        Raises:
            UserError: An annotation has another number of keypoints than its class.
        """
        return self.spread(file.field('keypoints', indices), labels, file.path)

    def spread(
        self, values: Sequence[Sequence[float] | None], labels: NDArray[np.int64], path: str
    ) -> NDArray[np.float64]:
        """Puts the keypoints of each class where the skeleton has them.

        Args:
            values: T lists of 3 numbers a keypoint of the class; None for none.
            labels: (T,), the labels.
            path: The file, for messages.

        Returns:
            (T, K, 3) float64, zeros for what is not there.

        Raises:
            UserError: A list has another length, or other values than numbers.
        """
        keypoints = np.zeros((len(labels), len(self.names), 3))
        for index, (listed, label) in enumerate(zip(values, labels.tolist(), strict=True)):
            if not listed:
                continue
            own = self.class_keypoints[label]
            try:
                keypoints[index, list(own)] = np.asarray(listed, np.float64).reshape(len(own), 3)
            except (TypeError, ValueError):
                raise UserError(
                    f'{path}: keypoints no. {index} are no list of {3 * len(own)} numbers, 3 for each of the '
                    f'{len(own)} keypoints of its class'
                ) from None
        return keypoints
