"""Pascal VOC's format in folders: its own, with lists of images, and XML files beside images."""

import os.path as osp
import re
from collections.abc import Mapping
from typing import Any

from mmyolox.datasets.splits import SPLITS, UNSPLIT, split_named, usual_split
from mmyolox.datasets.voc import annotated_classes
from mmyolox.datasets.voc_files import VocFiles, annotation_files, find_files
from mmyolox.errors import ReadingReport, UserError, first_few
from mmyolox.files import PICTURE_SUFFIXES, read_lines

from .layout import Contents, Format, Layout

_START = re.compile(rb'<annotation[\s>/]')
_START_BYTES = 1024
_TRIED = 5
"""How many XML files are looked at."""


def find(contents: Contents, ann_files: Mapping[str, str]) -> list[Layout]:
    """Finds data sets in Pascal VOC's format; see :class:`.Format`.

    Raises:
        UserError: There are Pascal VOC's XML files, but where the images are is open.
    """
    if any(not file.lower().endswith('.txt') for file in ann_files.values()):
        return []
    if not any(_is_voc(contents, file) for file in contents.with_suffix('.xml')[:_TRIED]):
        return []
    report = ReadingReport()
    splits = _inner_splits(contents) or _splits(find_files(contents.root, report), ann_files, report)
    is_export = any('roboflow' in name.lower() for name in contents.files[''])
    is_beside = splits['train']['img_subdir'] == splits['train']['ann_subdir']
    kind = ' (Roboflow export)' * is_export or ' (XML beside images)' * is_beside
    if 'val' not in splits:  # not all are trained on: some will be held out
        report.notes.pop(UNSPLIT, None)
    notes = tuple(report.note_lines())
    return [Layout(f'Pascal VOC{kind}', 'voc', contents.root, splits, 'data_format=voc', notes)]


def read_classes(layout: Layout) -> tuple[str, ...]:
    """The names in all XML files of the splits, sorted; see :class:`.Format`.

    Raises:
        UserError: A file is no XML, or none names a class.
    """
    folders = dict.fromkeys(layout.root / args['ann_subdir'] for args in layout.splits.values())
    classes = annotated_classes(path for folder in folders for path in annotation_files(folder).values())
    if not classes:
        raise UserError(f'data_root={layout.root}: the XML files have no objects')
    return classes


def _inner_splits(contents: Contents) -> dict[str, dict[str, Any]]:
    """Splits that are folders with one of images and one of XML files in each; none without a train split."""
    splits = {}
    named = {folder: split_named(folder) for folder in contents.files if '/' not in folder}
    for folder, split in named.items():
        inner = {path: names for path, names in contents.files.items() if path.startswith(f'{folder}/')}
        pair = [
            [path for path, names in inner.items() if not suffixes.isdisjoint(map(_suffix, names))]
            for suffixes in (PICTURE_SUFFIXES, {'.xml'})
        ]
        if split and [len(paths) for paths in pair] == [1, 1]:
            splits[split] = dict(img_subdir=pair[0][0], ann_subdir=pair[1][0])
    return splits if 'train' in splits else {}


def _splits(
    files: VocFiles, ann_files: Mapping[str, str], report: ReadingReport
) -> dict[str, dict[str, Any]]:
    """Splits by lists, or by folders that have the images or the XML files of one each."""

    def folders(name: str = '') -> dict[str, str]:
        paths = dict(img_subdir=files.images / name, ann_subdir=files.annotations / name)
        return {key: '/'.join(path.relative_to(files.root).parts) for key, path in paths.items()}

    splits: dict[str, dict[str, Any]] = {}
    for name in SPLITS:
        split = usual_split(name, files.splits)
        if name in ann_files:
            splits[name] = folders() | dict(ann_file=ann_files[name])
        elif split in files.lists:
            splits[name] = folders() | dict(ann_file=files.lists[split].relative_to(files.root).as_posix())
        elif split is not None:
            # Where there is no such folder, all images are for training.
            splits[name] = folders(split if (files.annotations / split).is_dir() else '')
    if 'train' not in splits:
        there = first_few(sorted(files.splits), 8) or 'none'
        raise UserError(
            f'data_root={files.root}: Pascal VOC without a list or folder of training images (lists and '
            f'folders: {there}); name a list by train_ann_file'
        )
    if 'train' not in ann_files and (excluded := _held_out(files, splits, report)):
        splits['train']['excluded'] = excluded
    return splits


def _held_out(files: VocFiles, splits: Mapping[str, Mapping[str, Any]], report: ReadingReport) -> list[str]:
    """The lists and folders of the other splits that have images of a train split of another name.

    ``trainval`` is both, and where there is no train split, it is what is in no other. A list or folder
    that is called ``train`` says itself which images are trained on.
    """
    train = usual_split('train', files.splits)
    assert train is not None
    is_rest = train in files.folders and not (files.annotations / train).is_dir()
    if train.lower() == 'train' and not is_rest:
        return []
    own = {*(files.xml_files if is_rest else files.images_of(train, ReadingReport()))}
    excluded = []
    for name in ('val', 'test'):
        if name not in splits:
            continue
        args = splits[name]
        if 'ann_file' in args:
            images = {files.image_name(line) for line in read_lines(files.root / args['ann_file'])}
        else:
            images = {*files.folders[str(usual_split(name, files.splits))]}
        if both := sorted(own & images):
            excluded.append(args.get('ann_file', args['ann_subdir']))
            report.note(f'images of {excluded[-1]}, not trained on', both)
    return excluded


def _suffix(name: str) -> str:
    return osp.splitext(name)[1].lower()


def _is_voc(contents: Contents, file: str) -> bool:
    try:
        with (contents.root / file).open('rb') as opened:
            # In UTF-16 every other byte of the tag is 0.
            return _START.search(opened.read(_START_BYTES).replace(b'\0', b'')) is not None
    except OSError:
        return False


FORMAT = Format(
    find,
    read_classes,
    'Pascal VOC: Annotations, JPEGImages and ImageSets/Main, or XML files beside images',
)
