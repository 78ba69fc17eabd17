"""What reading any annotation file needs: cleaning of boxes, class names, filtering, and a report of it."""

import logging
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, counted, did_you_mean, first_few

from .table import AnnotationTable

MIN_SIDE = 1e-3
"""A box with a side below this, in pixels, is no box: float32 cannot hold one at the far end of an image."""

COORDINATE_LIMIT = 2**31
"""A coordinate beyond this, in pixels, is a mistake, as is NaN: no image is so large."""

ROUNDING = 0.01
"""Overhang over the image's border, in pixels, that is rounding: COCO writes two decimals."""

UNBOUNDED = 'with a coordinate that is not finite or beyond 2**31'
"""What messages say of a box that :func:`is_bounded` does not take."""

_SHOWN = 3

_FLAGS = {'0': False, '1': True, '0.0': False, '1.0': True, 'false': False, 'true': True}


@dataclass
class Finding:
    """How often one thing was found, with the first names of where: one more than are shown."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, names: Collection[object]) -> None:
        """Adds one occurrence for every name."""
        self.count += len(names)
        for name in names:
            if len(self.examples) > _SHOWN:
                return
            if str(name) not in self.examples:
                self.examples.append(str(name))


@dataclass(frozen=True)
class BoxCheck:
    """N boxes cut to their images, and what was wrong with them.

    Attributes:
        bboxes: (N, 4) float32 xyxy, pixels; of use where none of ``unbounded``, ``degenerate`` and
            ``outside`` holds.
        unbounded: (N,) bool, a coordinate is NaN or beyond ``COORDINATE_LIMIT``.
        degenerate: (N,) bool, with a side below ``MIN_SIDE``.
        outside: (N,) bool, nothing is left inside the image.
        clipped: (N,) bool, reached over the border by more than ``ROUNDING`` and was cut.
    """

    bboxes: NDArray[np.float32]
    unbounded: NDArray[np.bool_]
    degenerate: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    clipped: NDArray[np.bool_]


@dataclass
class AnnotationReport:
    """What one annotation file held, and what was left out or changed.

    Attributes:
        path: The annotation file.
        images: The number of images listed in it.
        boxes: The number of boxes kept, crowds and difficult ones included.
        unbounded: The boxes dropped for a coordinate that is NaN or beyond ``COORDINATE_LIMIT`` (annotation
            ids in COCO, image names in VOC).
        degenerate: The boxes dropped for having no area.
        outside: The boxes dropped for lying outside their image.
        clipped: The boxes cut to their image.
        turned: The boxes that are turned in the file, for which the upright ones around them were taken.
        polygons: The polygons, of which the boxes were taken.
        faulty: The lines and files of a data set of many that are left out, and what is wrong with each.
        other_classes: The boxes left out because their class is not configured, by class.
        repeated_images: The images of which there are several entries.
        from_zero: The boxes that start at 0 in files that count pixels from 1, by their image.
        has_unread_keypoints: Whether there are keypoints, and the data set reads boxes alone.
        notes: Further lines for the log. Whatever is told of the content of annotations has to stand here,
            or it is not told again by later starts, which do not read them.
        is_restored: Whether an earlier start found all this.
    """

    path: str
    images: int = 0
    boxes: int = 0
    unbounded: Finding = field(default_factory=Finding)
    degenerate: Finding = field(default_factory=Finding)
    outside: Finding = field(default_factory=Finding)
    clipped: Finding = field(default_factory=Finding)
    turned: Finding = field(default_factory=Finding)
    polygons: Finding = field(default_factory=Finding)
    faulty: Finding = field(default_factory=Finding)
    other_classes: Counter[str] = field(default_factory=Counter)
    repeated_images: Finding = field(default_factory=Finding)
    from_zero: Finding = field(default_factory=Finding)
    has_unread_keypoints: bool = False
    notes: list[str] = field(default_factory=list)
    is_restored: bool = False

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` takes, as JSON can hold it."""
        names = [one.name for one in fields(self) if one.name not in ('path', 'is_restored')]
        values = {name: getattr(self, name) for name in names}
        return {name: vars(value) if isinstance(value, Finding) else value for name, value in values.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what an earlier start found in annotations of the same content."""
        for name, value in state.items():
            own = getattr(self, name)
            setattr(self, name, Finding(**value) if isinstance(own, Finding) else type(own)(value))
        self.is_restored = True

    @property
    def dropped(self) -> int:
        """The number of boxes dropped."""
        return self.unbounded.count + self.degenerate.count + self.outside.count

    def record(self, check: BoxCheck, names: Sequence[object]) -> NDArray[np.bool_]:
        """Counts the boxes of ``check``, named by ``names`` (N), and returns (N,) bool: those to keep."""
        for finding, mask in (
            (self.unbounded, check.unbounded),
            (self.degenerate, check.degenerate),
            (self.outside, check.outside),
            (self.clipped, check.clipped),
        ):
            finding.note([names[i] for i in np.flatnonzero(mask)])
        keep = ~(check.unbounded | check.degenerate | check.outside)
        self.boxes += int(keep.sum())
        return keep

    def losses(self) -> str:
        """Everything left out or cut, with counts and the first names; ``''`` if there was nothing."""
        parts = [
            f'{finding.count} {what}: {first_few(finding.examples, _SHOWN)}'
            for what, finding in (
                (f'{UNBOUNDED} (dropped)', self.unbounded),
                ('without area (dropped)', self.degenerate),
                ('outside the image (dropped)', self.outside),
                ('over the image border (clipped)', self.clipped),
                ('turned by an attribute `rotation` (the upright box around them taken)', self.turned),
                ('polygons (their boxes taken)', self.polygons),
                ('lines or files at fault (left out)', self.faulty),
            )
            if finding.count
        ]
        if self.other_classes:
            names = first_few(self.other_classes)
            parts.append(f'{self.other_classes.total()} of classes not configured (left out): {names}')
        return '; '.join(parts)

    def log(self) -> None:
        """Writes one line about all losses, if there are any, and the notes, as warnings to the logger."""
        for note in self.notes:
            print_log(f'{self.path}: {note}', logger='current', level=logging.WARNING)
        if losses := self.losses():
            line = f'{self.path}: {counted(self.boxes, "box")} kept; {losses}'
            print_log(line, logger='current', level=logging.WARNING)


def check_boxes(bboxes: NDArray[np.floating], sizes_wh: NDArray[np.floating]) -> BoxCheck:
    """Finds unbounded, degenerate and outlying boxes and cuts the others to their images.

    Args:
        bboxes: (N, 4) xyxy, pixels; NaN and infinity allowed.
        sizes_wh: (N, 2) or (2,), width and height of the image of each box, pixels.
    """
    bounded = is_bounded(bboxes)
    bboxes = np.where(bounded[:, None], bboxes, 0)
    degenerate = bounded & (_shortest_side(bboxes) < MIN_SIDE)
    limits = np.tile(sizes_wh, 2)
    cut = np.clip(bboxes, 0, limits).astype(np.float32)
    outside = bounded & ~degenerate & (_shortest_side(cut) < MIN_SIDE)
    overhang = ((bboxes < -ROUNDING) | (bboxes > limits + ROUNDING)).any(1)
    return BoxCheck(cut, ~bounded, degenerate, outside, overhang & ~degenerate & ~outside)


def is_bounded(bboxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) bool: whether all numbers of N boxes (N, 4) are finite and within ``COORDINATE_LIMIT``."""
    return (np.abs(bboxes) <= COORDINATE_LIMIT).all(1)


def box_around(bbox: Sequence[float], degrees: float) -> tuple[float, float, float, float]:
    """The smallest upright box, xyxy, around one turned about its centre; one without area stays as it is."""
    x1, y1, x2, y2 = bbox
    if not (degrees and x2 > x1 and y2 > y1):
        return x1, y1, x2, y2
    cos, sin = (abs(function(math.radians(degrees))) for function in (math.cos, math.sin))
    half_width = ((x2 - x1) * cos + (y2 - y1) * sin) / 2
    half_height = ((x2 - x1) * sin + (y2 - y1) * cos) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def _shortest_side(bboxes: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.minimum(bboxes[:, 2] - bboxes[:, 0], bboxes[:, 3] - bboxes[:, 1])


def image_entry(
    report: AnnotationReport,
    labels: Mapping[str, int],
    img_id: int | str,
    img_path: str,
    size: Size,
    names: Sequence[str],
    bboxes: NDArray[np.floating],
    is_crowd: NDArray[np.bool_] | None = None,
    **arrays: NDArray[Any],
) -> dict[str, Any]:
    """The entry of a data list for one image, with what is usable of its M annotations.

    Args:
        report: The report of the data set, in which what is left out is counted.
        labels: The labels by class name; annotations of other classes are left out.
        img_id: What metrics call the image.
        img_path: The image file.
        size: The size of the image in pixels.
        names: The M class names.
        bboxes: (M, 4) xyxy in pixels of the image.
        is_crowd: (M,) bool, regions that are neither object nor background; None for no such region.
        **arrays: Further arrays (M, ...), of which the entry has what belongs to the boxes that are kept.
    """
    is_known = np.array([name in labels for name in names], np.bool_)
    report.other_classes.update(name for name in names if name not in labels)
    check = check_boxes(bboxes.reshape(-1, 4)[is_known], np.array(size))
    keep = report.record(check, [img_id] * int(is_known.sum()))
    crowd = np.zeros(len(names), np.bool_) if is_crowd is None else is_crowd
    return dict(
        img_id=img_id,
        img_path=img_path,
        height=size.height,
        width=size.width,
        bboxes=check.bboxes[keep],
        labels=np.array([labels[name] for name in names if name in labels], np.int64)[keep],
        is_crowd=crowd[is_known][keep],
        **{key: array[is_known][keep] for key, array in arrays.items()},
    )


def read_flag(value: object) -> bool:
    """Reads a flag of an annotation (``iscrowd``, ``ignore``, ``difficult``), as any reader of ours takes it.

    Args:
        value: Its value in JSON, or a text. None stands for 0.

    Raises:
        ValueError: It is none of true, false, 1 and 0, written as a number, a truth value or a text.
    """
    if value is None:
        return False
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ''
    if text not in _FLAGS:
        raise ValueError(f'{value!r} is no flag')
    return _FLAGS[text]


def read_rotation(value: object) -> float:
    """Reads the attribute ``rotation`` of CVAT: the box is turned about its centre, and its corners are not.

    Returns:
        Degrees, clockwise. 0 for what is no angle, since others may have an attribute of this name.
    """
    try:
        degrees = float(str(value))
    except ValueError:
        return 0.0
    return degrees if abs(degrees) <= 360 else 0.0


def configured_classes(metainfo: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names of a data set's ``metainfo``, None where it leaves them to the annotation file.

    Raises:
        UserError: ``classes`` is a string (of which Python would make one class a letter), is empty or
            names a class twice.
    """
    classes = metainfo.get('classes')
    if classes is None:
        return None
    if isinstance(classes, str):
        raise UserError(f"metainfo.classes is the text {classes!r}; a list is needed, such as ('{classes}',)")
    names = tuple(classes)
    if not names or len(set(names)) < len(names):
        raise UserError(f'metainfo.classes must name each class once, and at least one: {names}')
    return names


def filter_images(
    table: AnnotationTable, filter_cfg: Mapping[str, Any] | None, report: AnnotationReport
) -> AnnotationTable:
    """Leaves out images as ``filter_cfg`` asks, and logs how many and why.

    Args:
        table: The entries of a data list.
        filter_cfg: A dict, of which ``filter_empty_gt`` (bool) leaves out images without a box that is not
            crowd or difficult; ``min_size`` (pixels) those with a shorter side. By default all images stay:
            those without boxes train the objectness.
        report: The report of the file that the entries come from.

    Raises:
        UserError: A key is unknown, no image is left, no box survived the clean-up, or all are crowds or
            fractions of the image.
    """
    known = ('filter_empty_gt', 'min_size')
    for key in sorted(set(filter_cfg or {}) - set(known)):
        raise UserError(f'filter_cfg has no key {key!r}{did_you_mean(key, known)} (known: {known})')
    options = dict(filter_empty_gt=False, min_size=0) | dict(filter_cfg or {})
    masks = [
        (block.objects > 0, np.minimum(block.images('width'), block.images('height')) < options['min_size'])
        for block in table.blocks()
    ]
    has_objects, is_small = np.concatenate([np.empty((2, 0), np.bool_), *masks], axis=1)
    is_empty = ~has_objects & options['filter_empty_gt']
    left_out = is_empty | is_small
    kept = table.take(np.flatnonzero(~left_out)) if left_out.any() else table
    if report.boxes and not has_objects.any():
        raise UserError(
            f'{report.path}: all {report.boxes} boxes are crowds, ignored or difficult (iscrowd, ignore, '
            'difficult), so that there is no object to train on'
        )
    if report.boxes and table.largest_coordinate <= 1:
        raise UserError(
            f'{report.path}: all {report.boxes} boxes lie in the first pixel of their image, as fractions of '
            "the image's size would; boxes are in pixels: multiply them by width and height"
        )
    # A file of background images only, beside others, is no mistake: it has no losses.
    if not report.boxes and (losses := report.losses()):
        raise UserError(f'{report.path}: no box is left to train on: {losses}')
    counts = {
        'without a box': np.count_nonzero(is_empty),
        f'smaller than {options["min_size"]} px': np.count_nonzero(is_small),
    }
    reasons = ', '.join(f'{count} {reason}' for reason, count in counts.items() if count)
    if not kept:
        raise UserError(
            f'{report.path}: filter_cfg leaves none of {report.images} images to train on: {reasons}'
        )
    if len(kept) < len(table):
        print_log(f'{report.path}: {len(kept)} of {report.images} images used; {reasons}', 'current')
    return kept
