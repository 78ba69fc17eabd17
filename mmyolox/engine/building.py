"""What a library says while a part of a config is built, as an error that names the part."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import unwrap
from types import CodeType
from typing import Any

from mmengine.config import Config
from mmengine.registry import build_functions
from mmengine.runner import Runner, activation_checkpointing
from mmengine.runner.runner import turn_on_efficient_conv_bn_eval
from mmengine.visualization import Visualizer

from mmyolox.config.check import walk
from mmyolox.errors import UserError
from mmyolox.utils.cli import advice_on

_KEYS: dict[CodeType, str] = {
    Runner.build_visualizer.__code__: 'visualizer',
    unwrap(Visualizer.add_config).__code__: 'visualizer.vis_backends',  # what makes them begin
    Runner.build_model.__code__: 'model',
    Runner.wrap_model.__code__: 'model_wrapper_cfg',
    Runner._init_model_weights.__code__: 'model',
    Runner.register_default_hooks.__code__: 'default_hooks',
    Runner.register_custom_hooks.__code__: 'custom_hooks',
    Runner.build_log_processor.__code__: 'log_processor',
    Runner.build_train_loop.__code__: 'train_cfg',
    Runner.build_val_loop.__code__: 'val_cfg',
    Runner.build_test_loop.__code__: 'test_cfg',
    Runner.build_evaluator.__code__: 'val_evaluator',
    Runner.build_optim_wrapper.__code__: 'optim_wrapper',
    Runner.build_param_scheduler.__code__: 'param_scheduler',
    Runner.scale_lr.__code__: 'auto_scale_lr',
    Runner._maybe_compile.__code__: 'compile',
    activation_checkpointing.turn_on_activation_checkpointing.__code__: 'activation_checkpointing',
    turn_on_efficient_conv_bn_eval.__code__: 'efficient_conv_bn_eval',
}
"""The functions of MMEngine that build a part, with the config key of the part."""

_DICTS: dict[CodeType, str] = {
    Runner.build_dataloader.__code__: 'dataloader',
    build_functions.build_from_cfg.__code__: 'cfg',
}
"""Those that build any part, with their variable that is the part's dict."""


@contextmanager
def errors_of_parts(cfg: Config) -> Iterator[None]:
    """Turns an error that comes out of building a part of a config in the block into one that names it.

    What happens elsewhere, in an iteration above all, passes as it is; so do missing files and a shortage of
    memory.

    Args:
        cfg: The config.

    Raises:
        UserError: A part cannot be built.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:  # a library refuses in any way
        part = part_of(error, cfg)
        if part is None or advice_on(error):
            raise
        said = str(error).strip().partition('\n')[0]
        if not said or not isinstance(error, ValueError | AssertionError | RuntimeError | ImportError):
            said = f'{type(error).__name__}: {said}'
        raise UserError(f'config key {part}: {said}') from error


def part_of(error: Exception, cfg: Config) -> str | None:
    """The config key of the innermost part that was being built when an error came; None for none.

    Args:
        error: The error, as caught.
        cfg: The config; of dicts alike, the first one counts.
    """
    part = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        part = _KEYS.get(frame.f_code, part)
        if frame.f_code in _DICTS:
            top = part.split('.')[0] if part else ''
            part = key_of(frame.f_locals[_DICTS[frame.f_code]], cfg, top) or part
    return part


def key_of(node: Any, cfg: Config, top: str) -> str | None:
    """The key under which a dict of the same ``type`` and most of the same entries stands.

    MMEngine builds from copies that it takes entries out of, and adds others to.

    Args:
        node: The dict.
        cfg: The config.
        top: The top-level key to look under; under all where it is that of a loop, or none.
    """
    if not isinstance(node, dict):
        return None
    tops = [top] if top in cfg and top not in ('train_cfg', 'val_cfg', 'test_cfg') else list(cfg)
    best, most = None, 0
    for key, other in (pair for one in tops for pair in walk(cfg[one], one)):
        if isinstance(other, dict) and other.get('type') == node.get('type'):
            same = sum(
                name in node and node[name] is not None and node[name] == other[name] for name in other
            )
            if same > most:
                best, most = key, same
    return best
