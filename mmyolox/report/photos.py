"""The photos of a report: read from the images' files, with boxes on them, as many as there is room for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mmyolox.analysis import Analysis, GroundTruth
from mmyolox.analysis.error_types import BACKGROUND, TYPES
from mmyolox.datasets.canvas.images import UndecodableImageError, read_image
from mmyolox.deploy.draw import as_bgr
from mmyolox.deploy.letterbox import Image
from mmyolox.errors import UserError, one_line
from mmyolox.pages import Block, Box, Callout, Fold, Gallery, Picture

Corners = tuple[float, float, float, float]
"""The corners of a box, xyxy in pixels of the image."""

_SEEN = 0.3
"""The score from which on a detected keypoint is drawn."""
_BOX_BYTES = 600
"""What a box takes of the page, drawn and in a table."""
_OPEN = 6
"""How many pictures of a section are shown at once."""


def pixels_of(truth: GroundTruth, image: int) -> Image | None:
    """The pixels (H, W, 3) uint8 BGR of an image of a data set; None where its file cannot be read.

    Args:
        truth: The data set.
        image: The index of the image.
    """
    try:
        return as_bgr(read_image(truth.paths[image]))
    except (UndecodableImageError, UserError):
        return None


def within(pictures: Iterable[Picture], room: int, most: int) -> list[Picture]:
    """The first pictures, as many as fit.

    Args:
        pictures: The pictures, made when they are asked for.
        room: The bytes that they may take of the page.
        most: How many there are at most.
    """
    taken: list[Picture] = []
    for picture in islice(pictures, most):
        boxes = sum(len(boxes) for _, boxes in picture.panels)
        room -= len(picture.photo.jpeg) + _BOX_BYTES * boxes
        if room < 0 and taken:
            break
        taken.append(picture)
    return taken


def gallery(pictures: Sequence[Picture], otherwise: str) -> list[Block]:
    """Pictures, of which those behind the first ones are shown by a click.

    Args:
        pictures: The pictures.
        otherwise: The line that says why there are none.
    """
    if not pictures:
        return [Callout(otherwise, 'warning')]
    shown, more = pictures[:_OPEN], pictures[_OPEN:]
    return [Gallery(shown), *([Fold(f'{len(more)} more', [Gallery(more)])] if more else [])]


@dataclass(frozen=True)
class DrawnImage:
    """The boxes on an image, from the analysis' threshold on.

    Attributes:
        truth: The annotations: found, missed, or ignored.
        detections: The detections: right, wrong, or ignored.
    """

    truth: list[Box]
    detections: list[Box]

    @property
    def not_found(self) -> list[Box]:
        """The annotations that nothing was found of."""
        return [box for box in self.truth if box.kind == 'missed']


class BoxesOfImages:
    """Gives the boxes of an analysis image by image, each with what is wrong with it.

    Args:
        analysis: The analysis.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        case, numbers = analysis.case, np.arange(len(analysis.case.truth.image_ids) + 1)
        # Both are sorted by image.
        self._truth_starts = np.searchsorted(case.truth.images, numbers)
        self._detection_starts = np.searchsorted(case.detections.images, numbers)
        self._is_shown = case.detections.scores >= analysis.threshold

    def of(self, image: int) -> DrawnImage:
        """The boxes of an image.

        Args:
            image: Its index.
        """
        detections = range(*self._detection_starts[image : image + 2].tolist())
        shown = [index for index in detections if self._is_shown[index]]
        return DrawnImage([*map(self.truth, self.truths_of(image))], [*map(self.detection, reversed(shown))])

    def truths_of(self, image: int) -> range:
        """The indices of the annotations of an image."""
        return range(*self._truth_starts[image : image + 2].tolist())

    def truth(self, index: int) -> Box:
        """The box of an object, or of a crowd.

        Args:
            index: Its index.
        """
        truth, detection = self._analysis.case.truth, int(self._analysis.matching.detections[index])
        is_found = detection >= 0 and bool(self._is_shown[detection])
        name = truth.classes[truth.labels[index]]
        keypoints = () if truth.keypoints is None else _drawn_keypoints(truth.keypoints[index], 0)
        if truth.is_crowd[index]:
            return Box(_corners(truth.bboxes[index]), f'{name} (crowd)', 'ignored', keypoints)
        return Box(_corners(truth.bboxes[index]), name, 'truth' if is_found else 'missed', keypoints)

    def detection(self, index: int) -> Box:
        """The box of a detection, with its score and the type of its error, if it is of an object.

        Args:
            index: Its index.
        """
        analysis, found = self._analysis, self._analysis.case.detections
        label = f'{analysis.case.truth.classes[found.labels[index]]} {found.scores[index]:.2f}'
        corners = _corners(found.bboxes[index])
        keypoints = () if found.keypoints is None else _drawn_keypoints(found.keypoints[index], _SEEN)
        if not analysis.matching.is_counted[index]:
            return Box(corners, label, 'ignored', keypoints)
        if analysis.matching.is_correct[index]:
            return Box(corners, label, 'hit', keypoints)
        error = int(analysis.errors.of_detections[index])
        is_told = error not in (-1, BACKGROUND)  # that nothing is annotated there can be seen
        return Box(corners, f'{label} ({TYPES[error]})' if is_told else label, 'false', keypoints)


@dataclass(frozen=True)
class Crop:
    """A part of an image.

    Attributes:
        pixels: (h, w, 3) uint8, BGR.
        left: Where it begins, in pixels of the image.
        top: As ``left``.
    """

    pixels: Image
    left: int
    top: int

    @classmethod
    def around(cls, pixels: Image, corners: Corners, margin: float = 0.75, least: int = 48) -> 'Crop | None':
        """The surroundings of a box.

        Args:
            pixels: (H, W, 3) uint8, the image.
            corners: The box.
            margin: How much there is around it at each side, in parts of the box's longer side.
            least: The least of it, in pixels.

        Returns:
            The part; None where the box lies outside of the image.
        """
        x1, y1, x2, y2 = corners
        height, width = pixels.shape[:2]
        around = max(margin * max(x2 - x1, y2 - y1), least)
        left, right = (int(np.clip(side, 0, width)) for side in (x1 - around, x2 + around))
        top, bottom = (int(np.clip(side, 0, height)) for side in (y1 - around, y2 + around))
        if right <= left or bottom <= top:
            return None
        return cls(pixels[top:bottom, left:right], left, top)

    def moved(self, boxes: Iterable[Box]) -> Iterator[Box]:
        """Boxes on the image as boxes on this part, cut to it; those that do not touch it are left out."""
        height, width = self.pixels.shape[:2]
        for box in boxes:
            x1, y1, x2, y2 = np.subtract(box.xyxy, [self.left, self.top] * 2).tolist()
            if x1 < width and y1 < height and x2 > 0 and y2 > 0:
                cut = (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))
                yield replace(box, xyxy=cut, keypoints=[*map(self._moved_point, box.keypoints)])

    def _moved_point(self, point: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if point is None else (point[0] - self.left, point[1] - self.top)


def shown_names(paths: Sequence[str]) -> list[str]:
    """The names of image files without the folders that all share, as they can be shown."""
    parts = [path.replace('\\', '/').split('/') for path in paths]
    shared = 0
    while parts and all(len(one) > shared + 1 and one[shared] == parts[0][shared] for one in parts):
        shared += 1
    return [one_line('/'.join(one[shared:])) for one in parts]


def _corners(bbox: NDArray[np.float64]) -> Corners:
    x1, y1, x2, y2 = bbox.tolist()
    return x1, y1, x2, y2


def _drawn_keypoints(keypoints: NDArray[np.float64], least: float) -> list[tuple[float, float] | None]:
    """The places of (K, 3) keypoints whose last value is above ``least``."""
    return [(x, y) if value > least else None for x, y, value in keypoints.tolist()]
