"""What numbers an exported network is stored and computed in."""

from dataclasses import dataclass
from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.utils.files import list_images

PRECISIONS = ('fp32', 'fp16', 'int8')
"""Floats of 32 or 16 bits, or whole numbers of 8 with a scale."""


@dataclass(frozen=True)
class Precision:
    """What numbers an exported network is stored and computed in.

    Attributes:
        name: One of ``PRECISIONS``. Boxes are decoded in float32 in all of them.
        images: For ``int8``: a folder of images, like those that the network will see, from which the ranges
            of its activations are measured. Subfolders count.
        count: How many of them to use at most.

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


def calibration_files(precision: Precision) -> list[Path]:
    """The images for calibration.

    Raises:
        UserError: No folder is given, or as of :func:`some_images`.
    """
    if precision.images is None:
        raise UserError('precision int8 needs a folder of images to calibrate with: add --images FOLDER')
    return some_images(precision.images, precision.count)


def some_images(folder: Path, count: int) -> list[Path]:
    """At most ``count`` of the images in a folder, spread evenly over the sorted ones.

    Raises:
        UserError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f'images {folder}: there is no such folder')
    paths = list_images(folder)
    if not paths:
        raise UserError(f'images {folder}: there is no image in this folder')
    count = min(count, len(paths))
    return [paths[index * len(paths) // count] for index in range(count)]
