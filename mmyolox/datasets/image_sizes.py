"""The sizes of image files, and whether they are those annotated: if not, boxes lie wrong unseen."""

import math
import time
from itertools import count
from pathlib import Path

from mmengine.logging import print_log

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, first_few

from .canvas.images import UndecodableImageError, is_annotated_size, read_image, read_image_header
from .table import AnnotationTable

_PATIENCE = 3.0
_LATER_PATIENCE = 0.2


def check_image_sizes(
    ann_file: str,
    table: AnnotationTable,
    seconds: float = _PATIENCE,
    is_first: bool = True,
) -> None:
    """Compares the sizes of local images with the annotated ones, by reading the headers of their files.

    Files that are no images are passed over: training names them when it reads them.

    Args:
        ann_file: The annotation file, for messages.
        table: The entries of a data list, each with ``img_path``, ``width`` and ``height``.
        seconds: The time after which it ends. What was compared until then is spread evenly over all images;
            the others are compared when they are decoded.
        is_first: Whether nobody compared them before. Otherwise it ends after 0.2 s, and begins anywhere, so
            that each start compares others.

    Raises:
        UserError: An image has another size, see :func:`.canvas.images.is_annotated_size`.
    """
    end = time.monotonic() + (seconds if is_first else min(seconds, _LATER_PATIENCE))
    entries = table.only('img_path', 'width', 'height')
    total, compared, wrong = len(entries), 0, []
    first = 0 if is_first else time.time_ns()
    # Steps of about the golden section come to every entry once and leave no long gap at any time.
    step = next(step for step in count(round(total * 0.618) or 1) if math.gcd(step, total) == 1)
    while compared < total and time.monotonic() < end:
        entry = entries[(first + compared * step) % total]
        compared += 1
        table.release()  # the system has mapped up to 2 MB around whatever was read
        annotated = Size(entry['width'], entry['height'])
        try:
            header = read_image_header(entry['img_path'])
        except UndecodableImageError:
            continue
        if not any(is_annotated_size(size, annotated) for size in (header.size, header.upright_size)):
            size = header.upright_size
            swapped = ' (swapped)' if size == annotated[::-1] else ''
            wrong.append(
                f'{entry["img_path"]} is {size.width} x {size.height}, '
                f'annotated {annotated.width} x {annotated.height}{swapped}'
            )
    if wrong:
        raise UserError(
            f'{ann_file}: {len(wrong)} of {compared} images have another size (width x height, pixels) than '
            f'annotated, so that boxes lie wrong: {first_few(wrong)}; correct the annotations or the images'
        )
    if compared < total:
        line = f'the sizes of {compared} of {total} images were compared with the annotated ones in advance'
        print_log(f'{ann_file}: {line}', 'current')


def read_image_size(path: str | Path, annotated: tuple[int, int] | None = None) -> Size:
    """Reads an image's size as training decodes it, from the header alone wherever that is enough.

    JPEG, PNG and WebP images are turned upright by their EXIF orientation; whether OpenCV turns other
    formats depends on its version. Images but plain JPEG with a tag that swaps the sides are therefore
    decoded, unless the annotated (width, height) are those of the image as it is stored: then training reads
    it so.

    Returns:
        Width and height, pixels.

    Raises:
        UserError: The file is missing or is not an image.
    """
    try:
        header = read_image_header(str(path))
        if not header.is_transposed or header.size == annotated:
            return header.size
        if header.is_plain_jpeg:
            return header.upright_size
        return Size.of_shape(read_image(str(path)).shape)
    except UndecodableImageError as error:
        raise UserError(str(error)) from None
