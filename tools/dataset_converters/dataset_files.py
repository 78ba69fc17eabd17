"""The image folder that a converter leaves beside its annotation files."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.files import atomic_write


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
