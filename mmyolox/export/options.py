"""What an exported network is to look like, and what numbers it computes in."""

from dataclasses import dataclass
from pathlib import Path

from mmyolox.deploy.formats import FOCUSES, PRECISIONS
from mmyolox.deploy.info import COLOURS, FORMS
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.files import some_images

CHOICES = dict(form=FORMS, colour=COLOURS, focus=FOCUSES)
"""The values that some fields of :class:`ExportOptions` take."""


@dataclass(frozen=True)
class Precision:
    """What numbers an exported network is stored and computed in.

    Attributes:
        name: The name, one of ``PRECISIONS``. Boxes are decoded in float32 in all of them.
        images: The folder of images for ``int8``, like those that the network will see, from which the ranges
            of its activations are measured. Subfolders count.
        count: How many of these images are used at most.

    Raises:
        UserError: A name that there is not, or a count below 1.
    """

    name: str = 'fp32'
    images: Path | None = None
    count: int = 300

    def __post_init__(self) -> None:
        """Checks what can be told without looking at files."""
        if self.name not in PRECISIONS:
            raise UserError(f'precision {self.name}: choose one of {", ".join(PRECISIONS)}')
        if self.count < 1:
            raise UserError(f'calibration count {self.count}: at least 1 image is needed')


FLOAT32 = Precision()


@dataclass(frozen=True)
class ExportOptions:
    """What an exported network is to look like.

    Attributes:
        size: The size of the network's input; with ``dynamic_size`` that of tracing and verifying.
        form: The form of the outputs. ``raw``: the predictions of all priors as the network gives them.
            ``decoded``: with boxes in pixels of the input. ``end2end``: detections, after non-maximum
            suppression.
        batch: The number of images in a run; with ``dynamic_batch`` only that of tracing and verifying.
        dynamic_batch: Whether it takes any number of images.
        dynamic_size: Whether it takes any size whose sides are multiples of the largest stride.
        preprocess: Whether it takes uint8 images (B, H, W, channels) of any one size and letterboxes them.
            Otherwise letterboxed float32 images (B, channels, h, w) of grey levels (0-255).
        colour: The order of the channels that the graph takes, ``bgr`` or ``rgb``.
        focus: The stem of CSP-Darknet: as ``slices`` of pixels, or as an equal convolution ``conv``.
        opset: The version of the ONNX operators.
        simplify: Whether onnxslim cleans the ONNX graph.
        precision: The numbers that it computes in.
        score_thr: The threshold of ``end2end`` and of the metadata; None for what the model's ``test_cfg``
            says.
        iou_thr: The IoU of suppression, else as ``score_thr``.
        max_per_img: The largest number of detections, else as ``score_thr``.
        nms_pre: The largest number of candidates, -1 for no limit; else as ``score_thr``.

    Raises:
        UserError: A value, or a combination of values, that there is not.
    """

    size: Size
    form: str = 'decoded'
    batch: int = 1
    dynamic_batch: bool = False
    dynamic_size: bool = False
    preprocess: bool = False
    colour: str = 'bgr'
    focus: str = 'conv'
    opset: int = 17
    simplify: bool = True
    precision: Precision = FLOAT32
    score_thr: float | None = None
    iou_thr: float | None = None
    max_per_img: int | None = None
    nms_pre: int | None = None

    def __post_init__(self) -> None:
        """Checks what can be told without a model."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UserError(f'{name} {getattr(self, name)}: choose one of {", ".join(known)}')
        if self.batch < 1:
            raise UserError(f'batch {self.batch}: at least 1 image is needed')
        if self.preprocess and self.dynamic_size:
            raise UserError(
                'preprocess with dynamic size: images may have any size as it is, and the network has one; '
                'leave one of them out'
            )


def calibration_files(precision: Precision) -> list[Path]:
    """The images for calibration.

    Raises:
        UserError: No folder is given, or as of :func:`~mmyolox.files.some_images`.
    """
    if precision.images is None:
        raise UserError('precision int8 needs a folder of images to calibrate with: add --images FOLDER')
    return some_images(precision.images, precision.count)
