"""Reading whatever the user names: a folder with a data set, an annotation file of COCO, or a config."""

import os.path as osp
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmyolox.config.check import component_at
from mmyolox.config.components import names_of_bases
from mmyolox.config.loaders import own_datasets
from mmyolox.datasets.layouts import passed_over, recognise
from mmyolox.datasets.layouts.coco import image_folder
from mmyolox.datasets.layouts.layout import Contents, Layout
from mmyolox.datasets.splits import SPLITS, split_named, without_split
from mmyolox.errors import UserError

from .raw import Fault, Faults, RawData, RawSplit
from .readers import coco, voc, yolo
from .workers import Progress, silent


class Source(NamedTuple):
    """A split to be read.

    Attributes:
        split: ``'train'``, ``'val'`` or ``'test'``.
        format: ``'coco'``, ``'yolo'`` or ``'voc'``.
        root: The folder of the data set.
        args: The arguments of the data set of ours that reads it, beside ``data_root``.
    """

    split: str
    format: str
    root: Path
    args: Mapping[str, Any]


def _read(source: Source, faults: Faults, progress: Progress) -> RawSplit:
    """Reads a split."""
    split, format, root, args = source
    match format:
        case 'yolo':
            return yolo.read_split(split, root, args, faults, progress)
        case 'voc':
            return voc.read_split(split, root, args, faults, progress)
    prefix = args.get('data_prefix', {})
    folder = prefix.get('img', prefix.get('img_path', ''))
    return coco.read_split(split, osp.join(root, args['ann_file']), osp.join(root, folder), faults)


_FORMATS = dict(YOLOXCocoDataset='coco', YOLOXYoloDataset='yolo', YOLOXVOCDataset='voc')
"""What is read by which data set, or by one that derives from it."""

_ARGS = ('ann_file', 'data_prefix', 'split', 'img_subdir', 'ann_subdir', 'one_based', 'excluded')
"""The arguments of data sets that say what is read; others say how it is trained on."""


def read_sources(
    name: str,
    sources: Iterable[Source],
    notes: Iterable[str] = (),
    others: Iterable[Fault] = (),
    progress: Progress = silent,
) -> RawData:
    """Reads splits; parts of a fold are cut from the same files, which are read once.

    Args:
        name: What the user named.
        sources: The splits.
        notes: What was decided, see :class:`.RawData`.
        others: What else lies there, see :func:`other_layouts`.
        progress: Shows how far it is, of formats with a label file an image.

    Raises:
        UserError: No split can be read at all; where others can, it is a fault.
    """
    faults = Faults()
    for other in others:
        faults.note('layout-passed-over', *other)
    whole: dict[str, Source] = {}
    divided = set()
    for source in sources:
        args = {key: source.args[key] for key in _ARGS if source.args.get(key) is not None}
        key = repr((source.format, source.root, args))
        whole.setdefault(key, source._replace(args=args))
        if source.args.get('fold'):
            divided.add(key)
    splits, refused = {}, []
    for key, source in whole.items():
        own = Faults()
        try:
            splits[key] = _read(source, own, progress)
        except UserError as error:
            refused.append(error)
            faults.note('split-unreadable', source.split, str(error))
        else:
            faults.update(own)
    if refused and not splits:
        raise refused[0]
    for key in divided & splits.keys():
        if len(splits[key].images) == 1:
            faults.note('holdout-impossible', splits[key].source, 'one image, and no validation split')
    of_yolo = [whole[key] for key, split in splits.items() if split.format == 'yolo']
    described = {(one.root, one.args.get('ann_file')): one for one in of_yolo}
    for one in described.values():
        yolo.note_description(one.root, one.args, faults)
    yolo.note_lost_labels((split for split in splits.values() if split.format == 'yolo'), faults)
    return RawData.of(name, [*splits.values()], faults, notes)


def other_layouts(contents: Contents, format: str) -> list[Fault]:
    """The data sets of other formats in a folder, and how they are examined.

    Args:
        contents: What the folder holds.
        format: The format of the data set that is examined.
    """
    return [
        Fault(
            f'{layout.name} in {contents.root}',
            f'{format} was examined; this one is by --cfg-options data_format={layout.format}',
        )
        for layout in passed_over(contents, format)
    ]


def unrecognised_twins(layout: Layout, contents: Contents) -> list[Source]:
    """The JSON files that are called like COCO's training annotations, of a split that was not recognised.

    One that is broken off lacks the lists by which it is recognised, so that it seems not to be there.

    Args:
        layout: The data set that was recognised.
        contents: What its folder holds.
    """
    if layout.format != 'coco':
        return []
    file = layout.splits['train'].get('ann_file', '')
    known = {split for split, args in layout.splits.items() if 'fold' not in args}
    return [
        Source(
            str(split_named(other)),
            layout.format,
            layout.root,
            dict(ann_file=other, data_prefix=dict(img=image_folder(contents, other))),
        )
        for other in contents.with_suffix('.json')
        if other != file
        and split_named(other) in SPLITS.keys() - {'train', *known}
        and without_split(other) == without_split(file)
    ]


def folder_sources(folder: Path) -> tuple[list[Source], tuple[str, ...], list[Fault]]:
    """The splits in a folder, what was decided when they were recognised, and what else lies there.

    Raises:
        UserError: No data set is recognised there.
    """
    layout = recognise(folder)
    sources = [Source(split, layout.format, layout.root, args) for split, args in layout.splits.items()]
    contents = Contents.of(layout.root)
    sources += unrecognised_twins(layout, contents)
    return sources, layout.notes, other_layouts(contents, layout.format)


def file_source(path: Path, images: Path | None) -> Source:
    """An annotation file of COCO as the only split.

    Args:
        path: The file.
        images: The folder of its images; None looks for it beside the file and in the folder above.

    Raises:
        UserError: It is no JSON file.
    """
    if path.suffix.lower() != '.json':
        raise UserError(f'{path}: name the folder of the data set, a config, or an annotation file of COCO')
    if images is None:
        root = path.absolute().parent.parent if path.parent.name == 'annotations' else path.absolute().parent
        images = root / image_folder(Contents.of(root), path.absolute().relative_to(root).as_posix())
    split = split_named(path.stem) or 'train'
    args = dict(ann_file=str(path.absolute()), data_prefix=dict(img=str(images.absolute())))
    return Source(split, 'coco', path.parent, args)


def config_sources(cfg: Config) -> list[Source]:
    """The splits that a config trains on, evaluates and tests.

    Raises:
        UserError: It has no data set of ours, or one that is not on this machine.
    """
    sources = []
    for key, args in own_datasets(cfg):
        bases = names_of_bases(component_at(cfg, key))
        format = next((name for base, name in _FORMATS.items() if base in bases), None)
        root = args.get('data_root') or ''
        if format is None:
            raise UserError(
                f'config key {key}: the doctor reads {", ".join(_FORMATS)}; name a folder of data'
            )
        if args.get('backend_args') or '://' in root:
            raise UserError(
                f'config key {key}: the data are not files of this machine; name a folder of them'
            )
        sources.append(Source(key.partition('_')[0], format, Path(root), args))
    if not sources and 'names' in cfg:
        raise UserError(
            f'{cfg.filename}: it describes a data set of YOLO; name its folder, {osp.dirname(cfg.filename)}'
        )
    if not sources:
        raise UserError(
            f'{cfg.filename}: it has no data set that the doctor reads; name the folder of the data'
        )
    return sources
