"""Checking a config before anything is built from it: unknown types, unknown keys, class counts."""

import inspect
import re
from collections.abc import Collection, Iterable, Iterator
from math import prod
from typing import Any, get_type_hints

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmyolox.deploy.letterbox import MAX_PIXELS
from mmyolox.errors import UserError, did_you_mean, first_few

from .arguments import annotated_parameters, check_arguments, check_values
from .components import TYPE_NAMES, accepted_parameters, find_component, search_registries
from .elsewhere import hint_of_argument
from .plain_dicts import OTHERS, hints_at

TOOL_KEYS = frozenset(
    ('custom_imports', 'data_variables', 'model_wrapper_cfg', 'runner_type', 'tta_model', 'tta_pipeline')
    + ('train_pipeline_stage2',)  # YOLOXModeSwitchHook's
    + ('activation_checkpointing', 'compile', 'efficient_conv_bn_eval', 'find_unused_parameters', 'sync_bn')
)
RUNNER_KEYS = TOOL_KEYS | set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
"""The top-level names of a config that MMEngine or the tools use; all others are variables."""

_PIPELINES = (
    'train_dataloader',
    'train_pipeline_stage2',
    'default_hooks',
    'val_dataloader',
    'test_dataloader',
)
_CHANNELS = dict(color=3, grayscale=1)
"""The channels of what ``LoadImage`` loads, by ``color_type``."""

_NO_COMPONENTS = frozenset(
    (
        'augmentations',
        'metainfo',
        'clip_grad',
        'nms',
        'norm_cfg',
        'act_cfg',
        'conv_cfg',
        'upsample_cfg',
        'plugins',
    )
)
"""Keys of dicts, or of lists of them, whose ``type`` no registry has, or has with arguments of its own."""
_LAYERS = ('norm_cfg', 'act_cfg', 'conv_cfg')
"""Those of them whose ``type`` is one of mmcv's layers."""

OWN_CONSTRUCTOR = 'YOLOXOptimWrapperConstructor'
"""The constructor that takes what MMEngine's does; others may take other keys."""

_LOADER_KEYS = (*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
"""The keys of the data loaders at the top of a config."""

AUTO = 'auto'
"""In the place of the number of images of a training batch: as many as fit."""

_DEFAULT_TYPES = {
    'optim_wrapper': 'OptimWrapper',
    'val_cfg': 'ValLoop',
    'test_cfg': 'TestLoop',
    'log_processor': 'LogProcessor',
    'model_wrapper_cfg': 'MMDistributedDataParallel',
}
"""The types that the Runner assumes for dicts without one, beside that of ``train_cfg``."""
_TYPED = re.compile(
    r'model(\.(backbone|neck|bbox_head|bbox_head\.head_module|data_preprocessor|train_cfg\.assigner))?'
    r'|model\..*\.(loss_\w+|batch_augments\.\d+)|visualizer(\.vis_backends\.\d+)?'
    r'|\w+_dataloader\.(dataset|sampler|batch_sampler|collate_fn|worker_init_fn)|.*\.pipeline\.\d+'
    r'|train_pipeline_stage2\.\d+|(val|test)_evaluator(\.\d+)?'
    r'|optim_wrapper\.optimizer|param_scheduler(\.\d+)?|(default|custom)_hooks\.\w+'
)
"""The keys of the dicts that must have a ``type``."""

_NEEDS_TYPE = 'it needs a type; has a name in it a typing error?'

_POPPED = {
    'optim_wrapper': ('optimizer', 'paramwise_cfg', 'constructor'),
    'param_scheduler': ('convert_to_iter_based',),
    'default_hooks': ('priority',),
    'custom_hooks': ('priority',),
    'visualizer': ('name', 'save_dir'),
    'train_cfg': ('by_epoch',),
    'init_cfg': ('layer', 'override'),
}
"""What MMEngine takes out of a dict before it builds from it, by the key that the dict stands under."""

_DICTS = (
    *('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg'),
    *('optim_wrapper', 'default_hooks', 'env_cfg', 'log_processor', 'visualizer', 'randomness'),
)
_DICTS_OR_LISTS = ('param_scheduler', 'val_evaluator', 'test_evaluator')
"""The top-level names under which the Runner takes a dict; a dict or a list of them."""


def check_parts(cfg: Config) -> None:
    """Checks that the parts of a config are dicts, or lists of dicts, where the Runner takes such.

    Raises:
        UserError: One is a number, a text or a list.
    """
    lists = {key: cfg.get(key) for key in ('custom_hooks', *_DICTS_OR_LISTS)}
    single = {key: cfg.get(key) for key in _DICTS}
    single |= {key: value for key, value in lists.items() if not isinstance(value, list | tuple)}
    if isinstance(lists['custom_hooks'], str | int | float | dict):
        raise UserError(f'config key custom_hooks={lists["custom_hooks"]!r}: it must be a list of dicts')
    for key, value in lists.items():
        single |= {
            f'{key}.{i}': item for i, item in enumerate(value if isinstance(value, list | tuple) else ())
        }
    for path, value in single.items():
        if isinstance(value, str | int | float | list | tuple):
            raise UserError(f'config key {path}={value!r}: it must be a dict')


def check_config(cfg: Config) -> None:
    """Checks all that can be told from a config alone.

    Every dict with a ``type`` under the names that are used (not under mere variables) must name a component
    that exists, and hold only keys that the component takes. Components that take any key, and dicts
    without a ``type``, are left alone.

    Args:
        cfg: The config, complete.

    Raises:
        UserError: A type or a key is unknown, or numbers of classes, or sizes and strides, disagree.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    if not isinstance(scope, str):
        raise UserError(f'config key default_scope={scope!r}: it must be the name of a package')
    list(search_registries(scope, (), 'default_scope'))  # whether it can be imported
    used = {key: value for key, value in cfg.items() if key in RUNNER_KEYS}
    check_values(used, '', get_type_hints(Runner.__init__) | (hints_at('') or {}), 'the Runner')
    for key, value in used.items():
        _check(value, key, scope)
    if 'runner_type' in used:
        find_component(used['runner_type'], scope, 'runner_type')
    check_classes(cfg)
    check_sizes(cfg)


def check_classes(cfg: Config) -> None:
    """Checks that the head has as many outputs as the data sets have classes, where both are given.

    Raises:
        UserError: They disagree.
    """
    counts = [
        (path, value)
        for path, value in walk(cfg.get('model'), 'model')
        if path.startswith('model.bbox_head.') and path.endswith('.num_classes')
    ]
    named = [('classes', cfg.get('classes'))]
    for loader in LOADERS:
        named += [part for part in walk(cfg.get(loader), loader) if part[0].endswith('.metainfo.classes')]
    for path, count in counts:
        for source, classes in named:
            if isinstance(classes, list | tuple) and isinstance(count, int) and len(classes) != count:
                raise UserError(
                    f'config key {path}={count}, but {source} names {len(classes)} classes '
                    f'({first_few(classes, 5)})'
                )


def check_sizes(cfg: Config) -> None:
    """Checks that the sides of the data sets' ``img_scale`` are multiples of the model's largest stride.

    Raises:
        UserError: A side is none, or the size has more pixels than any input.
    """
    strides = argument(cfg, 'model.bbox_head.head_module', 'featmap_strides') or ()
    for loader in LOADERS:
        for path, sides in walk(cfg.get(loader), loader):
            is_scale = path.endswith('.dataset.img_scale') and isinstance(sides, list | tuple)
            if is_scale and prod(sides) > MAX_PIXELS:
                raise UserError(
                    f'config key {path}={tuple(sides)}: that is (width, height) of the input, which may have '
                    f'{MAX_PIXELS} pixels at most'
                )
            if is_scale and strides and any(side % max(strides) for side in sides):
                raise UserError(
                    f'config key {path}={tuple(sides)}: both sides must be multiples of the '
                    f'largest stride of model.bbox_head.head_module.featmap_strides={tuple(strides)}'
                )


def check_channels(cfg: Config, pipelines: Iterable[str] = _PIPELINES) -> None:
    """Checks that the pipelines load images of as many channels as the backbone takes.

    Args:
        cfg: The config.
        pipelines: The top-level names under which they stand; by default of those of a training.

    Raises:
        UserError: One loads others.
    """
    taken = argument(cfg, 'model.backbone', 'input_channels')
    for top in pipelines if taken else ():
        for path, step in walk(cfg.get(top), top):
            if not isinstance(step, dict) or str(step.get('type')).rpartition('.')[2] != 'LoadImage':
                continue
            loaded = step.get('channels') or _CHANNELS.get(step.get('color_type', 'color'))
            if loaded not in (None, taken):
                raise UserError(
                    f'config key {path} loads images of {loaded} channel(s), but '
                    f'model.backbone.input_channels is {taken}: mend color_type and channels, or that'
                )


def argument(cfg: Config, path: str, key: str) -> Any:
    """An argument of the component at a config key, given or by default; None where that cannot be told."""
    node = value_at(cfg, path)
    if not isinstance(node, dict):
        return None
    if node.get(key) is not None:
        return node[key]
    component = component_at(cfg, path)
    default = annotated_parameters(component).get(key, (Any, None))[1] if component else None
    return None if default is inspect.Parameter.empty else default


def component_at(cfg: Config, path: str, key: str = 'type') -> Any:
    """The component that a dict at a config key names, by default that which it describes; None without."""
    node = value_at(cfg, path)
    component = node.get(key) if isinstance(node, dict) else None
    if isinstance(component, str):
        return find_component(component, scope_at(cfg, path), f'{path}.{key}')
    return component


def counts_iterations(cfg: Config) -> bool:
    """Whether the loop of the training is MMEngine's that knows no epochs."""
    loop = cfg.get('train_cfg') or {}
    return loop.get('type') == 'IterBasedTrainLoop' or not loop.get('by_epoch', True)


def scope_at(cfg: Config, path: str) -> str:
    """The package whose registries are searched for a ``type`` without a prefix at a dotted key.

    A scope that is no text is passed over here: :func:`check_config` names it.
    """
    steps = path.split('.')
    nodes = [value_at(cfg, '.'.join(steps[:count])) for count in range(len(steps), 0, -1)]
    scopes = [node.get('_scope_') for node in [*nodes, cfg] if isinstance(node, dict | Config)]
    texts = (one for one in [*scopes, cfg.get('default_scope')] if one and isinstance(one, str))
    return next(texts, 'mmengine')


def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A value and all values in it, with their key paths.

    A list of texts alone is one value: it may be that of 200,000 classes.
    """
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from walk(child, f'{path}.{key}')
    elif isinstance(value, list | tuple) and not all(isinstance(child, str) for child in value):
        for index, child in enumerate(value):
            yield from walk(child, f'{path}.{index}')


def value_at(cfg: Config, key: str) -> Any:
    """What stands at a dotted key, such as ``custom_hooks.0.momentum``; None where there is nothing."""
    node: Any = cfg
    for step in key.split('.') if key else ():
        node = child_of(node, step)
    return node


def child_of(node: Any, step: str) -> Any:
    """What a step of a dotted key leads to from a dict, a list or a config; None where there is nothing."""
    is_index = isinstance(node, list | tuple) and step.isdigit() and int(step) < len(node)
    return node[int(step)] if is_index else node.get(step) if isinstance(node, dict | Config) else None


def _children(value: Any) -> list[tuple[str, Any]]:
    """What stands in a dict or a list, with the last part of its key path."""
    if isinstance(value, dict):
        return [(str(key), child) for key, child in value.items()]
    items = enumerate(value) if isinstance(value, list | tuple) else ()
    return [(str(index), child) for index, child in items]


def _check(value: Any, path: str, scope: str) -> None:
    """Checks a value and what stands in it.

    The parts of other projects' components are left alone: there, a ``type`` may also be a name that only
    the component itself understands.
    """
    if isinstance(value, list | tuple) and path.rpartition('.')[2] in _NO_COMPONENTS:
        return
    if isinstance(value, dict):
        hints = hints_at(path)
        if hints is not None:
            check_values(value, path, hints, 'it')
            _check_keys(value, path, 'it', value if OTHERS in hints else hints)
        scope = value.get('_scope_') or scope
        if not isinstance(scope, str):
            raise UserError(f'config key {path}._scope_={scope!r}: it must be the name of a package')
        last = path.rpartition('.')[2]
        if last in _LAYERS:
            _check_layer(value, path, scope)
        if last in _NO_COMPONENTS:
            return
        component = _check_dict(value, path, scope)
        if component and str(component.__module__).split('.')[0] not in ('mmyolox', 'mmengine', 'mmcv'):
            return
    for key, child in _children(value):
        _check(child, f'{path}.{key}', scope)


def _check_dict(node: dict[str, Any], path: str, scope: str) -> Any:
    """Checks one dict against the component that it describes; returns that, or None if it describes none."""
    if path.endswith('_dataloader'):
        _check_keys(node, path, 'DataLoader', _LOADER_KEYS)
        is_auto = path == 'train_dataloader' and node.get('batch_size') == AUTO
        check_arguments(dict(node, batch_size=1) if is_auto else node, path, DataLoader)
        return None
    default = _DEFAULT_TYPES.get(path)
    if path == 'train_cfg':
        default = 'EpochBasedTrainLoop' if node.get('by_epoch', True) else 'IterBasedTrainLoop'
    component_type = node.get('type', default)
    if component_type is None and 'type' in node:
        raise UserError(f'config key {path}.type=None: it must be the name of a component')
    if component_type is None:
        if _TYPED.fullmatch(path):
            raise UserError(f'config key {path}: {_NEEDS_TYPE}')
        return None
    named = {
        key: find_component(name, scope, f'{path}.{key}') if isinstance(name, str) else name
        for key, name in [('type', component_type), *node.items()]
        if key in TYPE_NAMES and name is not None
    }
    for key, one in named.items():
        if not callable(one):
            raise UserError(f'config key {path}.{key}={one!r}: it must be the name of a component')
    component = named['type']
    average = annotated_parameters(component).get('ema_type', (Any, None))[1]
    if isinstance(average, str):
        named.setdefault('ema_type', find_component(average, scope, f'{path}.ema_type'))
    accepted = accepted_parameters(component)
    if 'ema_type' in named:  # EMAHook hands on what it does not take
        of_average = accepted_parameters(named['ema_type'])
        accepted = of_average and of_average | annotated_parameters(component).keys()
        check_arguments(node, path, named['ema_type'])
    check_arguments(node, path, component)
    constructor = named.get('constructor')
    if accepted is not None and getattr(constructor, '__name__', OWN_CONSTRUCTOR) == OWN_CONSTRUCTOR:
        popped = [*_POPPED.get(path.split('.')[0], ()), *_POPPED.get(path.split('.')[-1], ())]
        _check_keys(node, path, getattr(component, '__name__', str(component_type)), [*accepted, *popped])
    return component


def _check_layer(node: dict[str, Any], path: str, scope: str) -> None:
    """Checks the dict of one of mmcv's layers; not its keys, of which mmcv itself takes some."""
    layer = node.get('type')
    if layer is None:
        raise UserError(f'config key {path}: {_NEEDS_TYPE}')
    if isinstance(layer, str):
        layer = find_component(layer, scope, f'{path}.type')
    check_arguments(node, path, layer)


def _check_keys(node: dict[str, Any], path: str, owner: str, accepted: Collection[str]) -> None:
    for key in node:
        if key not in accepted and key not in ('type', '_scope_', '_delete_'):
            hint = hint_of_argument(key) or did_you_mean(key, accepted)
            raise UserError(f'config key {path}.{key}: {owner} takes no such parameter{hint}')
