"""What the checks look at: a data set as written, its image files, and the training that is planned."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import one_line

from .files import ImageFiles
from .found import SHOWN, Detail, Example, Found, worst_first
from .pixels import Pixels
from .raw import RawData

Value = TypeVar('Value')


@dataclass(frozen=True)
class Plan:
    """The training that the data are for.

    Attributes:
        img_scale: The width and height of the network's input, pixels.
        cfg: The config, as a plain dict; empty where the data alone are examined.
    """

    img_scale: tuple[int, int] = (640, 640)
    cfg: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Examined:
    """A data set with all that checks need: I images, T boxes.

    Attributes:
        raw: The data set as written.
        files: What the image files say.
        plan: The training that the data are for.
        pixels: What the decoded images say; None where only headers were read.
    """

    raw: RawData
    files: ImageFiles
    plan: Plan = field(default_factory=Plan)
    pixels: Pixels | None = None
    _derived: dict[Callable[['Examined'], Any], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """(I, 2) width and height of each image, pixels: as annotated, else of the file, else NaN."""
        is_annotated = (self.raw.images.sizes > 0).all(1, keepdims=True)
        sizes = np.where(is_annotated, self.raw.images.sizes, self.files.upright).astype(np.float64)
        return np.where(sizes > 0, sizes, np.nan)

    @cached_property
    def box_sizes(self) -> NDArray[np.float64]:
        """(T, 2) width and height of the image of each box, pixels; NaN where nobody knows."""
        return self.sizes[self.raw.boxes.images]

    @cached_property
    def bboxes(self) -> NDArray[np.float64]:
        """(T, 4) xyxy, pixels of the image, else as written.

        Boxes of YOLO in images of unknown size are NaN: see :attr:`is_placed`.
        """
        bboxes, is_relative = self.raw.boxes.bboxes, self.raw.is_relative[:, None]
        with np.errstate(invalid='ignore', over='ignore'):
            return np.where(is_relative, bboxes * np.tile(self.box_sizes, 2), bboxes)

    @cached_property
    def keypoints(self) -> NDArray[np.float32] | None:
        """(T, K, 3) x and y, pixels of the image, and the visibility as written; NaN where a box has none.

        None where no box has any.
        """
        if self.raw.boxes.keypoints is None:
            return None
        keypoints = self.raw.boxes.keypoints.copy()
        is_relative = self.raw.is_relative
        keypoints[is_relative, :, :2] *= self.box_sizes[is_relative, None]
        return keypoints

    @cached_property
    def is_placed(self) -> NDArray[np.bool_]:
        """(T,) whether the size of the box's image is known; nothing can be said of the others' place."""
        is_known: NDArray[np.bool_] = np.isfinite(self.box_sizes)
        return is_known[:, 0] & is_known[:, 1]

    @cached_property
    def sides(self) -> NDArray[np.float64]:
        """(T, 2) width and height of each box, pixels; negative where its corners are swapped."""
        with np.errstate(invalid='ignore', over='ignore'):
            return self.bboxes[:, 2:] - self.bboxes[:, :2]

    @cached_property
    def scales(self) -> NDArray[np.float64]:
        """(I,) by how much the network sees each image larger than it is: it is letterboxed to the input."""
        return (np.array(self.plan.img_scale) / self.sizes).min(1)

    @property
    def box_scales(self) -> NDArray[np.float64]:
        """(T,) the scale of the image of each box."""
        return self.scales[self.raw.boxes.images]

    @cached_property
    def input_sides(self) -> NDArray[np.float64]:
        """(T, 2) width and height of each box in pixels of the network's input."""
        return self.sides * self.box_scales[:, None]

    @cached_property
    def is_usable(self) -> NDArray[np.bool_]:
        """(T,) whether training uses the box: finite, with an area, and some of it in its image."""
        with np.errstate(invalid='ignore'):
            is_inside = (self.bboxes[:, :2] < self.box_sizes) & (self.bboxes[:, 2:] > 0)
            has_area = np.isfinite(self.bboxes).all(1, keepdims=True) & (self.sides > 0)
            holds: NDArray[np.bool_] = is_inside & has_area
        return holds[:, 0] & holds[:, 1]

    @cached_property
    def is_object(self) -> NDArray[np.bool_]:
        """(T,) whether the box is an object to train on: usable, and no crowd."""
        return self.is_usable & ~self.raw.boxes.is_crowd

    @cached_property
    def box_splits(self) -> NDArray[np.int64]:
        """(T,) the split of each box."""
        return self.raw.image_splits[self.raw.boxes.images]

    def derived(self, make: Callable[['Examined'], Value]) -> Value:
        """What several checks need, made of the data once.

        Args:
            make: The function that makes it.
        """
        if make not in self._derived:
            self._derived[make] = make(self)
        return self._derived[make]  # type: ignore[no-any-return]

    def split_indices(self, name: str) -> list[int]:
        """Which of the splits are of a name."""
        return [index for index, split in enumerate(self.raw.splits) if split.name == name]

    def image_name(self, image: int) -> str:
        """What messages call an image: its split and its file as written."""
        split = self.raw.splits[int(self.raw.image_splits[image])].name
        return one_line(f'{split}: {self.raw.images.names[image]}')

    def box_example(self, box: int, detail: str = '', others: tuple[int, ...] = ()) -> Example:
        """A box as an example.

        Args:
            box: Its index.
            detail: What is wrong with it.
            others: The boxes that it is compared with.
        """
        image = int(self.raw.boxes.images[box])
        place = one_line(f'{self.image_name(image)} ({self.raw.place(box)})')
        return Example(place, detail, image, (box, *others))

    def box_text(self, box: int) -> str:
        """A box in figures, and the size of its image: ``(1, 2, 30, 40) in 640 x 480``."""
        corners = ', '.join(f'{value:.5g}' for value in self.bboxes[box].tolist())
        width, height = self.box_sizes[box].tolist()
        return f'({corners}) in {width:g} x {height:g}'

    def found_boxes(
        self,
        mask: NDArray[np.bool_],
        badness: NDArray[np.floating] | None = None,
        detail: Detail | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> Found:
        """What is found of boxes.

        Args:
            mask: (T,) the boxes at fault.
            badness: (T,) how bad each is; None for the order of the file.
            detail: What is wrong with the box of an index; None for its figures.
            among: (T,) the boxes that could be at fault; None for all.
        """
        indices = worst_first(mask, badness)
        describe = detail or self.box_text
        examples = tuple(self.box_example(box, describe(box)) for box in indices[:SHOWN].tolist())
        total = len(mask) if among is None else int(among.sum())
        return Found('box', len(indices), total, examples, self._by_split(self.box_splits[indices]), indices)

    def found_images(
        self,
        mask: NDArray[np.bool_],
        badness: NDArray[np.floating] | None = None,
        detail: Detail | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> Found:
        """What is found of images; the arguments are those of :meth:`found_boxes`, (I,)."""
        indices = worst_first(mask, badness)
        examples = tuple(
            Example(self.image_name(image), detail(image) if detail else '', image)
            for image in indices[:SHOWN].tolist()
        )
        total = len(mask) if among is None else int(among.sum())
        splits = self._by_split(self.raw.image_splits[indices])
        return Found('image', len(indices), total, examples, splits, indices)

    def _by_split(self, splits: NDArray[np.int64]) -> dict[str, int]:
        """How many there are in each split, of the split of each."""
        counts = np.bincount(splits, minlength=len(self.raw.splits)).tolist()
        by_name: Counter[str] = Counter()
        for split, count in zip(self.raw.splits, counts, strict=True):
            by_name[split.name] += count
        return {name: count for name, count in by_name.items() if count}
