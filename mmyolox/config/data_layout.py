"""Variables of a config whose values are found in ``data_root``: files of the splits, and their format."""

import os.path as osp
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.utils import is_abs

from mmyolox.datasets.layouts import NoDataSetError, recognise
from mmyolox.datasets.layouts.coco import usual_layout
from mmyolox.datasets.layouts.layout import Layout
from mmyolox.datasets.splits import SPLITS
from mmyolox.errors import UserError

OPEN = 'train_data'
"""The variable by which a config takes part: where it is None, the data set is recognised."""

GIVEN = (
    *('data_root', 'data_format', 'dataset_types', 'fold_count', 'fold_index', 'fold_seed'),
    *(f'{split}_{what}' for split in SPLITS for what in ('ann_file', 'img_prefix')),
)
"""The variables that say what is to be recognised."""


_PATHS = ('data_root', 'img_prefix', *(name for name in GIVEN if name.endswith(('_file', '_prefix'))))


def home_values(cfg: Mapping[str, Any]) -> dict[str, str]:
    """The paths of the data that begin with ``~``, which few shells expand behind ``=``, with the folder.

    Args:
        cfg: The evaluated config.
    """
    paths = {name: cfg[name] for name in _PATHS if isinstance(cfg.get(name), str)}
    return {name: osp.expanduser(path) for name, path in paths.items() if path.startswith('~')}


def recognised_layout(cfg: Mapping[str, Any], options: Collection[str] = ()) -> Layout | None:
    """Recognises the data set of a config that leaves open how it lies in ``data_root``.

    Where nothing is recognised, but the classes are known or the annotation files given, the layout is the
    one that our converters write: what a model predicts needs no data set, and a data set says itself what it
    lacks.

    Args:
        cfg: The evaluated config.
        options: The names of the user's options.

    Returns:
        The layout; None for a config without a variable ``train_data``, or one that gives it.

    Raises:
        UserError: A variable is wrong, the folder is absent, nothing or several things are recognised, or an
            option says how to cut data that has a validation split.
    """
    if OPEN not in cfg or cfg[OPEN] is not None:
        return None
    for name in _PATHS:
        if not isinstance(cfg.get(name), str | None):
            raise UserError(f'config key {name}={cfg[name]!r}: it must be a path')
    root = cfg.get('data_root') or ''
    types = cfg['dataset_types']
    formats = tuple(types) if cfg.get('data_format') is None else (cfg['data_format'],)
    for name in formats:
        if name not in types:
            raise UserError(f'data_format={name}: this config reads {", ".join(types)}')
    given = {split: cfg[f'{split}_ann_file'] for split in SPLITS if cfg.get(f'{split}_ann_file') is not None}
    fold = {name: cfg[f'fold_{name}'] for name in ('count', 'index', 'seed')}
    try:
        if '://' in root:
            raise NoDataSetError(
                f'data_root={root}: only folders of this machine are searched; set train_ann_file and '
                'val_ann_file'
            )
        layout = recognise(root or '.', formats, given, fold)
    except NoDataSetError:
        if cfg.get('classes') is None and not {'train', 'val'} <= given.keys():
            raise
        # As a folder of a disk, the address of one elsewhere would lose a slash.
        files = {split: posixpath.join(root, file) for split, file in given.items()}
        layout = usual_layout(Path(root), files if '://' in root else given)
    cuts = [name for name in (f'fold_{part}' for part in fold) if name in options]
    if cuts and 'fold' not in layout.splits['val']:
        raise UserError(
            f'{cuts[0]}={cfg[cuts[0]]} has no effect: {layout.describe()} has a validation split of its own; '
            'leave it out, or cut all images anew by mmyolox kfold'
        )
    return _with_prefixes(layout, cfg)


def layout_values(cfg: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The variables that a layout gives values: the data sets' arguments, and what evaluates them.

    Args:
        cfg: The evaluated config.
        layout: The layout of its data set.

    Returns:
        ``train_data``, ``val_data`` and ``test_data``, the arguments of the data sets beside their pipeline;
        ``val_path`` and ``test_path``, the COCO file that the metric reads, if there is one; and
        ``data_layout``, the layout in words.
    """
    kind = cfg['dataset_types'][layout.format]
    values: dict[str, Any] = {}
    for split in SPLITS:
        # Without a test split the validation's is tested.
        args = dict(layout.splits.get(split, layout.splits['val']))
        values[f'{split}_data'] = dict(args, type=kind)
        if layout.format == 'coco' and 'fold' not in args:
            values[f'{split}_path'] = annotation_path(cfg.get('data_root'), args['ann_file'])
    return values | dict(data_layout=layout.describe())


def annotation_path(root: str | None, file: str) -> str:
    """The path of an annotation file, joined as a data set of MMEngine does it."""
    return file if is_abs(file) else osp.join(root or '', file)


def _with_prefixes(layout: Layout, cfg: Mapping[str, Any]) -> Layout:
    """The layout with the folders of images that the config gives."""
    splits = dict(layout.splits)
    for split in splits:
        prefix = cfg.get(f'{split}_img_prefix')
        if prefix is None:
            continue
        if layout.format != 'coco':
            raise UserError(f'{split}_img_prefix={prefix}: it is for COCO, and this is {layout.describe()}')
        splits[split] = dict(splits[split], data_prefix=dict(img=prefix))
    return replace(layout, splits=splits)
