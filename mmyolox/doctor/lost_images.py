"""Where the files of missing images may be: under their base name, or with another suffix."""

import os.path as osp
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from mmyolox.errors import counted, one_line
from mmyolox.files import PICTURE_SUFFIXES, list_images

from .examined import Examined


class Guess(NamedTuple):
    """A file that may be the one of a missing image.

    Attributes:
        name: What the annotations call the image.
        path: The file, relative to the folder that was searched.
        folder: That folder.
        has_base_name: Whether the file has the base name of the image; else it has its stem alone.
    """

    name: str
    path: str
    folder: str
    has_base_name: bool


def guess_files(data: Examined, images: Sequence[int]) -> list[Guess]:
    """The files that may be those of missing images; none for an image with nothing alike.

    They are searched in the folder of the images' split, in upper and lower case; where that is missing, too,
    in the one above, if the annotations lie in it or in a folder of it. Files that belong to an image are
    left out.

    Args:
        data: The data.
        images: The indices of the images.
    """
    named = {osp.abspath(path) for path in data.raw.images.paths}
    folders = []
    for split in data.raw.splits:
        above = Path(osp.abspath(split.folder)).parent
        is_near = above in Path(osp.abspath(split.source)).parents[:2]
        folders.append(str(above) if is_near and not osp.isdir(split.folder) else split.folder)
    numbers = data.raw.image_splits[np.array(images, np.int64)].tolist()
    by_base: dict[str, dict[str, str]] = {}
    by_stem: dict[str, dict[str, str]] = {}
    for folder in {folders[number] for number in numbers}:
        paths = [path for path in list_images(folder, PICTURE_SUFFIXES) if osp.abspath(path) not in named]
        by_base[folder] = {path.name.casefold(): osp.relpath(path, folder) for path in reversed(paths)}
        by_stem[folder] = {path.stem.casefold(): osp.relpath(path, folder) for path in reversed(paths)}
    guesses = []
    for image, folder in zip(images, (folders[number] for number in numbers), strict=True):
        name = data.raw.images.names[image]
        base = PureWindowsPath(name).name.casefold()
        stem = Path(base).stem if Path(base).suffix in PICTURE_SUFFIXES else base
        if path := by_base[folder].get(base):
            guesses.append(Guess(name, path, folder, True))
        elif path := by_stem[folder].get(stem):
            guesses.append(Guess(name, path, folder, False))
    return guesses


def hints(guesses: Sequence[Guess]) -> str:
    """What to do where files were guessed, with an example of each kind, in sentences; else ``''``."""
    told = {
        True: 'a file of the same base name in the folder of the images: write paths below it, as',
        False: 'a file of the same name with another suffix: write the whole names, as',
    }
    sentences = []
    for has_base_name, advice in told.items():
        own = [guess for guess in guesses if guess.has_base_name is has_base_name]
        if own:
            first = own[0]
            example = f'{first.path!r} for {first.name!r} (in {first.folder})'
            sentences.append(f'For {counted(len(own), "image")} there is {advice} {example}.')
    return one_line(' '.join(sentences))
