"""Which images are trained on and which validate: lists of them, and warnings of those that do both."""

import os
import os.path as osp
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.datasets import detection_datasets
from mmyolox.datasets.base import DetectionDataset
from mmyolox.datasets.splits import image_names
from mmyolox.errors import first_few
from mmyolox.files import atomic_write, read_lines

_TOO_GOOD = 'so that the figures will be too good'


class SplitsHook(Hook):
    """Compares the images of training and validation when a training begins, and lists them if it cut them.

    ``split_train.txt`` and ``split_val.txt`` in the work dir have the names of the images of a split, a line
    each, relative to the data's root. A split that is no part of other data has no list. A training that is
    resumed warns of images of its validation that are in the list of those that were trained on before, and
    leaves the lists then.
    """

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Warns and writes the lists.

        Args:
            runner: The runner.
        """
        loops: dict[str, Any] = dict(train=runner.train_loop, val=runner.val_loop)
        datasets = {
            split: [*detection_datasets(loop.dataloader.dataset)] if loop else []
            for split, loop in loops.items()
        }
        held_out = {osp.join(*file) for file in _files(datasets['val'])}
        if both := same_files(_files(datasets['train']), held_out):
            runner.logger.warning(
                f'{len(both)} of {len(held_out)} images of the validation are trained on, too, {_TOO_GOOD} '
                f'({first_few(both)}): take them out of one of the two'
            )
        # The lists of the training that goes on lie beside its checkpoint.
        folder = Path(runner.work_dir if not runner._load_from else Path(runner._load_from).parent)
        before = folder / 'split_train.txt'
        if runner._resume and runner.iter and before.is_file():
            known, names = {*read_lines(before)}, [*dict.fromkeys(_names(datasets['val']))]
            if moved := [name for name in names if name in known]:
                runner.logger.warning(
                    f'{len(moved)} of {len(names)} images of the validation were trained on before, '
                    f'{_TOO_GOOD} ({first_few(moved)}; {before}): the data is not what the training began '
                    'with; bring back what it was, or begin anew in another --work-dir'
                )
                return
        for split, parts in datasets.items():
            if names := sorted(_names(part for part in parts if part.fold is not None)):
                with atomic_write(Path(runner.work_dir, f'split_{split}.txt')) as part:
                    text = ''.join(f'{name}\n' for name in names)
                    part.write_text(text, encoding='utf-8', errors='surrogateescape')


def _paths(dataset: DetectionDataset) -> Iterable[str]:
    dataset.full_init()
    return dataset.data_list.images('img_path')


def _names(datasets: Iterable[DetectionDataset]) -> Iterator[str]:
    """The names by which images are ranked and listed."""
    for dataset in datasets:
        yield from image_names(_paths(dataset), dataset.data_root)


def _files(datasets: Iterable[DetectionDataset]) -> Iterator[tuple[str, str]]:
    """Folder and name of images, however the data sets write them; links are followed once a folder."""
    real_folder = cache(osp.realpath)
    for dataset in datasets:
        for path in _paths(dataset):
            folder, name = osp.split(path)
            yield real_folder(folder), name


def same_files(files: Iterable[tuple[str, str]], others: set[str]) -> list[str]:
    """The files that are among others, by their path or as a link, symbolic or hard.

    Folders are listed; beside the others only symbolic links are looked at one by one.

    Args:
        files: Real folder and name of each file.
        others: The paths of the other files.

    Returns:
        Their paths, each once.
    """
    known = set()
    for path in others:
        with suppress(OSError):
            status = os.stat(path)
            known.add((status.st_dev, status.st_ino))

    @cache
    def links_in(folder: str) -> set[str]:
        names = set()
        with suppress(OSError), os.scandir(folder) as entries:
            device = os.stat(folder).st_dev
            for entry in entries:
                number = device, entry.inode()
                if entry.is_symlink():
                    with suppress(OSError):  # it may lead nowhere
                        number = (status := entry.stat()).st_dev, status.st_ino
                if number in known:
                    names.add(entry.name)
        return names

    paths = dict.fromkeys(
        path
        for folder, name in files
        if (path := osp.join(folder, name)) in others or name in links_in(folder)
    )
    return list(paths)
