"""Files of a data set as the converters handle them: lists, image sizes, and the image folder."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.files import atomic_write


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, with or without a byte order mark, UTF-16 or UTF-32: what editors write.

    Bytes that are no UTF-8 become lone surrogates, as in the names of files, so that a list finds its files.

    Raises:
        UserError: It cannot be read, or is a pipe or a device, which would never end.
    """
    try:
        if is_special(path):  # a pipe would wait for ever
            raise UserError(f'{path}: not a regular file')
        content = Path(path).read_bytes()
        return content.decode(json.detect_encoding(content), errors='surrogateescape')
    except (OSError, ValueError) as error:  # the latter: a null byte in the name, half a character of UTF-16
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'{path}: cannot be read ({reason})') from None


def is_special(path: str | Path) -> bool:
    """Whether there is something at a path that is no regular file: a folder, pipe, device or broken link."""
    return os.path.lexists(path) and not os.path.isfile(path)


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file without surrounding space, empty ones left out."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_image_size(path: str | Path, annotated: tuple[int, int] | None = None) -> tuple[int, int]:
    """Reads an image's size as training decodes it, from the header alone wherever that is enough.

    JPEG, PNG and WebP images are turned upright by their EXIF orientation; whether OpenCV turns other
    formats depends on its version. Images with a tag that swaps the sides are therefore decoded, unless the
    annotated (width, height) are those of the image as it is stored: then training reads it so.

    Returns:
        Width and height, pixels.

    Raises:
        UserError: The file is missing or is not an image.
    """
    from mmyolox.datasets.canvas.images import UndecodableImageError, read_image, read_image_header

    try:
        header = read_image_header(str(path))
        if not header.is_transposed or header.size == annotated:
            return header.size
        height, width = read_image(str(path)).shape[:2]
    except UndecodableImageError as error:
        raise UserError(str(error)) from None
    return width, height


def place_images(how: str, source: str | Path, target: str | Path, names: Iterable[str]) -> None:
    """Makes the images of ``source`` available under ``target``.

    Args:
        how: The way: ``'link'`` makes ``target`` one symbolic link to ``source``, ``'copy'`` copies the
            files, ``'none'`` does nothing.
        source: The folder that holds the images.
        target: The folder in which they shall be found. Nothing is done where it is ``source`` already.
        names: The files to copy, relative to ``source``.

    Raises:
        UserError: ``target`` is in the way, or the system refuses links.
    """
    source, target = Path(source), Path(target)
    if how == 'none' or (target.exists() and target.samefile(source)):
        return
    if target.is_symlink() or (how == 'link' and target.exists()):
        raise UserError(
            f'{target}: already exists and is not a link to {source}; remove it or choose another folder'
        )
    if how == 'link':
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.symlink_to(os.path.abspath(source), target_is_directory=True)
        except OSError as error:
            raise UserError(f'{target}: cannot make a link ({error.strerror}); use --images copy') from None
        return
    for name in names:
        with atomic_write(target / name) as part:
            shutil.copyfile(source / name, part)
