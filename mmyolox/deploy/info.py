"""What a runtime must know of an exported model beside its graph; plain Python, stored inside the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mmyolox.errors import UserError
from mmyolox.version import __version__

from .letterbox import MAX_PIXELS, Size

METADATA_KEY = 'mmyolox'
"""The key of the JSON text in an ONNX file's ``metadata_props`` and in OpenVINO's ``rt_info``."""

FORMS = ('raw', 'decoded', 'end2end')
COLOURS = ('bgr', 'rgb')


class DeployError(UserError):
    """An exported file, its info or its input is at fault; the message is one line and says what to do."""


@dataclass(frozen=True)
class ModelInfo:
    """What the outputs of an exported model mean, and how its input is made.

    The graph takes either images that are letterboxed already, (B, channels, H, W) float32 with grey levels
    0 to 255, or, with ``preprocessing``, (B, h, w, channels) uint8 images of one common size.

    Attributes:
        classes: A name for each of C labels.
        input_size: (height, width) of the network's input in pixels; of a graph that takes any size, the one
            it was trained for.
        strides: The stride of each level, in input pixels.
        form: The form of the outputs. ``raw``: (B, N, 5 + C + 3P), a row a prior, level by level and row by
            row: x and y from the cell's corner and the logarithms of width and height, all in strides; the
            object's score; C class scores; then for each keypoint x, y (as those of the box) and score:
            Megvii's layout. ``decoded``: the same with centre x, y, width and height, and keypoints, in input
            pixels. ``end2end``: the detections, from an NMS in the graph: ``num`` (B,), ``bboxes`` (B, K, 4)
            xyxy, ``scores`` (B, K), ``labels`` (B, K) and with keypoints ``points`` (B, K, P, 3), in input
            pixels, or with ``preprocessing`` in those of the images.
        colour: The order of the channels that the graph takes: ``bgr`` or ``rgb``.
        pad_value: The grey level beside and below a letterboxed image.
        preprocessing: Whether the graph letterboxes.
        score_thr: What a detection scores more than.
        iou_thr: The IoU with a better one of its class above which a detection goes.
        max_per_img: How many detections of an image are returned at most; -1 for all.
        nms_pre: How many of the best candidates of an image go into NMS; -1 for all.
        multi_label: Whether a prior may be several classes, or only its best one.
        points: The names of an object's P keypoints; empty for a detector.
        links: The lines between keypoints, as pairs of their indices.
        category_ids: (C,), the data set's number for each label; empty where it is the label + 1.
        class_points: (C,), which keypoints each class has; empty where every class has all.
        fold: Count, index and seed of the part of the data that was held out of the training; empty for none.
        version: The version of the mmyolox that wrote the file.

    Raises:
        DeployError: A value that no model can have.
    """

    classes: tuple[str, ...]
    input_size: tuple[int, int]
    strides: tuple[int, ...] = (8, 16, 32)
    form: str = 'decoded'
    colour: str = 'bgr'
    pad_value: int = 114
    preprocessing: bool = False
    score_thr: float = 0.001
    iou_thr: float = 0.65
    max_per_img: int = 300
    nms_pre: int = 30000
    multi_label: bool = True
    points: tuple[str, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    category_ids: tuple[int, ...] = ()
    class_points: tuple[tuple[int, ...], ...] = ()
    fold: tuple[int, ...] = ()
    version: str = __version__

    def __post_init__(self) -> None:
        for name, (is_right, needed) in _CHECKS.items():
            if not is_right(getattr(self, name)):
                raise DeployError(f'model info: {name}={getattr(self, name)!r}; needed is {needed}')
        for name in ('category_ids', 'class_points'):
            if len(getattr(self, name)) not in (0, len(self.classes)):
                raise DeployError(
                    f'model info: {len(getattr(self, name))} {name} for {len(self.classes)} classes'
                )
        used = {index for group in (*self.links, *self.class_points) for index in group}
        if used.difference(range(len(self.points))):
            raise DeployError(
                f'model info: links and class_points count to {max(used)}, but there are '
                f'{len(self.points)} keypoints, which count from 0'
            )

    @property
    def size(self) -> Size:
        """The size of the network's input."""
        return Size.of_shape(self.input_size)

    def to_json(self) -> str:
        """The JSON text that :meth:`from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelInfo:
        """Reads what :meth:`to_json` wrote.

        Raises:
            DeployError: It is no JSON object, a value is missing or wrong, or there is a key that this
                version does not know.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DeployError(f'model info: not JSON ({error})') from error
        if not isinstance(content, dict):
            raise DeployError('model info: not a JSON object')
        return cls.of(content)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ModelInfo:
        """Makes an info of plain values by name, with lists for tuples as in JSON.

        Raises:
            DeployError: As of :meth:`from_json`.
        """
        unknown = sorted(set(content).difference(field.name for field in fields(cls)))
        if unknown:
            raise DeployError(
                f'model info: {", ".join(unknown)} is unknown to mmyolox {__version__}; the info is of '
                f'{content.get("version", "an unknown version")}: upgrade mmyolox, or export again'
            )
        missing = [name for name in ('classes', 'input_size') if name not in content]
        if missing:
            raise DeployError(f'model info: {" and ".join(missing)} is missing')
        return cls(**{name: _frozen(value) for name, value in content.items()})


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_whole(values: Any, least: int, length: int | None = None) -> bool:
    fits = isinstance(values, tuple) and (length is None or len(values) == length)
    return fits and all(_is_whole(value, least) for value in values)


def _are_names(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) for value in values)


def _differ(values: tuple[Any, ...]) -> bool:
    return len(set(values)) == len(values)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = dict(
    classes=(lambda x: _are_names(x) and bool(x) and _differ(x), 'a tuple of at least one name, none twice'),
    input_size=(
        lambda x: _are_whole(x, 1, 2) and x[0] * x[1] <= MAX_PIXELS,
        f'a tuple (height, width), of at most {MAX_PIXELS} pixels',
    ),
    strides=(
        lambda x: _are_whole(x, 1) and bool(x) and _differ(x) and list(x) == sorted(x),
        'whole numbers in rising order',
    ),
    form=(lambda x: x in FORMS, ' or '.join(FORMS)),
    colour=(lambda x: x in COLOURS, ' or '.join(COLOURS)),
    pad_value=(lambda x: _is_whole(x, 0) and x <= 255, 'a grey level from 0 to 255'),
    preprocessing=(lambda x: isinstance(x, bool), 'true or false'),
    score_thr=(_is_share, 'a number from 0 to 1'),
    iou_thr=(_is_share, 'a number from 0 to 1'),
    max_per_img=(lambda x: _is_whole(x, -1) and x != 0, 'a number from 1, or -1 for all'),
    nms_pre=(lambda x: _is_whole(x, -1) and x != 0, 'a number from 1, or -1 for all'),
    multi_label=(lambda x: isinstance(x, bool), 'true or false'),
    points=(_are_names, 'names'),
    links=(lambda x: isinstance(x, tuple) and all(_are_whole(link, 0, 2) for link in x), 'pairs of indices'),
    category_ids=(lambda x: _are_whole(x, 0) and _differ(x), 'whole numbers, none twice'),
    class_points=(
        lambda x: isinstance(x, tuple) and all(_are_whole(row, 0) for row in x),
        'a list of indices for each class',
    ),
    fold=(
        lambda x: x == () or (_are_whole(x, -(2**63), 3) and 0 <= x[1] < x[0]),
        'a count, an index below it and a seed',
    ),
    version=(lambda x: isinstance(x, str), 'text'),
)
