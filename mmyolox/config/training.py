"""What would stop or spoil a training after it has begun: lengths, loaders, hooks."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmyolox.errors import UserError

from .check import value_at, walk
from .components import find_component

_LEAST = {
    'train_cfg': dict(max_epochs=1, max_iters=1, val_interval=1),
    'train_dataloader': dict(batch_size=1, num_workers=0),
    'val_dataloader': dict(batch_size=1, num_workers=0),
    'test_dataloader': dict(batch_size=1, num_workers=0),
    'param_scheduler': dict(warmup_epochs=0, num_last_epochs=0),
    'log_processor': dict(window_size=1),
}
"""The least values of numbers, by the dict they stand in."""

_SINGLE_HOOKS = ('EMAHook', 'YOLOXModeSwitchHook', 'ParamSchedulerHook')
"""Hooks of which there must be one: two swap the weights twice, switch twice, step the rate twice."""

_HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
"""The names under which MMEngine's Runner has hooks of its own, that ``None`` takes away."""


def settle_training(cfg: Config) -> None:
    """Brings into line, in place, what follows from other values but does not do so in MMEngine.

    A loader without workers has none that persist or prefetch; a hook that is None is none.

    Args:
        cfg: The config, complete.
    """
    for key in _LEAST:
        loader = cfg.get(key)
        if key.endswith('_dataloader') and loader and loader.get('num_workers') == 0:
            loader.pop('prefetch_factor', None)
            if loader.get('persistent_workers'):
                loader['persistent_workers'] = False
    hooks = cfg.get('default_hooks')
    for name in [name for name, hook in (hooks or {}).items() if hook is None]:
        if name not in _HOOKS_OF_MMENGINE:
            del hooks[name]


def check_training(cfg: Config) -> None:
    """Checks what MMEngine would stumble over, or do otherwise than it reads, once a training has begun.

    Args:
        cfg: The config, complete, its types and keys checked.

    Raises:
        UserError: A number is too small for what it counts, hooks that must be alone are several, or the
            loop counts iterations and a part epochs.
    """
    for key, least in _LEAST.items():
        for path, node in _dicts(cfg.get(key), key):
            for name in least:
                value = node.get(name)
                if isinstance(value, int | float) and value < least[name]:
                    raise UserError(f'config key {path}.{name}={value!r}: it must be at least {least[name]}')
    for index, change in enumerate((cfg.get('train_cfg') or {}).get('dynamic_intervals') or ()):
        if change[1] < 1:
            raise UserError(
                f'config key train_cfg.dynamic_intervals.{index}={change!r}: the interval must be at least 1'
            )
    loop = cfg.get('train_cfg') or {}
    if loop.get('type') == 'IterBasedTrainLoop' or not loop.get('by_epoch', True):
        uses = [
            path
            for top in ('default_hooks', 'custom_hooks', 'param_scheduler')
            for path, value in walk(cfg.get(top), top)
            if value in ('YOLOXModeSwitchHook', 'YOLOXLR')
        ]
        if uses:
            raise UserError(
                f'config key train_cfg: IterBasedTrainLoop has no epochs, which {uses[0]}='
                f'{value_at(cfg, uses[0])} counts; train with EpochBasedTrainLoop and max_epochs'
            )
    wrapper = cfg.get('optim_wrapper') or {}
    for path, node in _dicts(wrapper.get('optimizer'), 'optim_wrapper.optimizer'):
        if isinstance(node.get('lr'), int | float) and not 0 < node['lr'] < float('inf'):
            raise UserError(f'config key {path}.lr={node["lr"]!r}: a learning rate is above 0 and finite')
    check_hooks(cfg)


def check_hooks(cfg: Config) -> None:
    """Checks that of hooks that must be alone there is one.

    Raises:
        UserError: There are several.
    """
    default = cfg.get('default_scope') or 'mmengine'
    hooks = dict(cfg.get('default_hooks') or {})
    named = [(f'default_hooks.{name}', hook) for name, hook in hooks.items() if hook]
    named += [(f'custom_hooks.{index}', hook) for index, hook in enumerate(cfg.get('custom_hooks') or ())]
    keys: dict[str, str] = {}
    for path, hook in named:
        component = hook.get('type') if isinstance(hook, dict) else type(hook)
        if isinstance(component, str):
            component = find_component(component, hook.get('_scope_') or default, f'{path}.type')
        for name in {base.__name__ for base in getattr(component, '__mro__', ())}.intersection(_SINGLE_HOOKS):
            if name in keys:
                raise UserError(
                    f'config keys {keys[name]} and {path}: both are a {name}, and there must be one only; '
                    f'leave {path} out, and set at {keys[name]} what it should do'
                )
            keys[name] = path


def _dicts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A dict, or the dicts of a list, with their config keys."""
    if isinstance(value, dict):
        yield path, value
    for index, item in enumerate(value if isinstance(value, list | tuple) else ()):
        if isinstance(item, dict):
            yield f'{path}.{index}', item
