"""Files: images in a folder, and writing that leaves the old file or the new one, never half of one."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from mmyolox.errors import UserError

PICTURE_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'})
IMAGE_SUFFIXES = PICTURE_SUFFIXES | {'.npy'}  # arrays of any number of channels


def list_images(folder: str | Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """All image files under a folder, subfolders included, sorted by path."""
    return sorted(path for path in Path(folder).rglob('*') if path.suffix.lower() in suffixes)


def some_images(folder: Path, count: int) -> list[Path]:
    """At most ``count`` of the images in a folder, spread evenly over the sorted ones.

    Raises:
        UserError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f'images {folder}: there is no such folder')
    if not (paths := list_images(folder)):
        raise UserError(f'images {folder}: there is no image in this folder')
    count = min(count, len(paths))
    return [paths[index * len(paths) // count] for index in range(count)]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which replaces ``path`` when the block ends well.

    The temporary file lies in the same folder (made if absent), so that the replacement is one step of the
    file system; its content is on the disk before. If the block raises, it is removed and ``path`` stays as
    it was.

    Args:
        path: The file to write.

    Yields:
        The file to write instead; it has the same suffix, and exists already.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}-{uuid4().hex}.part{path.suffix}')
    try:
        part.touch()
        yield part
        with part.open('rb+') as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
