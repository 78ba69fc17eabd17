"""What would stop or spoil a training after it has begun: lengths, loaders, hooks."""

import inspect
import math
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from mmyolox.errors import UserError, did_you_mean

from .arguments import FaultyValueError
from .check import LOADERS, OWN_CONSTRUCTOR, RUNNER_KEYS, component_at, counts_iterations, value_at, walk
from .components import accepted_parameters, find_component, names_of_bases
from .mmdet_parts import package_at


class _Range(NamedTuple):
    """Which numbers may stand at a key."""

    least: float = -math.inf
    most: float = math.inf
    is_open: bool = False
    """Whether the limits themselves are out of range."""
    other: float | None = None
    """A number that means something else, such as "none" or "all"."""

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or value == self.other:
            return True
        inside = self.least < value < self.most if self.is_open else self.least <= value <= self.most
        return inside and abs(value) < math.inf

    def __str__(self) -> str:
        above = 'above' if self.is_open else 'at least'
        below = 'below' if self.is_open else 'at most'
        limits = [f'{above} {self.least}'] * (self.least > -math.inf)
        limits += [f'{below} {self.most}'] * (self.most < math.inf)
        return ' and '.join(limits) + (f', or {self.other}' if self.other is not None else '')


_COUNT, _SHARE, _POSITIVE = _Range(1), _Range(0, 1), _Range(0, is_open=True)
_RANGES = {
    'train_cfg.max_epochs': _COUNT,
    'train_cfg.max_iters': _COUNT,
    'train_cfg.val_interval': _COUNT,
    'train_cfg.val_begin': _Range(0),
    '*_dataloader.batch_size': _COUNT,
    '*_dataloader.num_workers': _Range(0),
    '*.img_scale': _COUNT,
    '*_dataloader.prefetch_factor': _COUNT,
    '*_dataloader.num_batch_per_epoch': _COUNT,
    '*_dataloader.timeout': _Range(0),
    '*.max_refetch': _Range(0),
    '*.max_undecodable_ratio': _SHARE,
    '*.filter_cfg.min_size': _Range(0),
    'param_scheduler*.begin': _Range(0),
    'param_scheduler*.eta_min_ratio': _SHARE,
    '*.warmup_epochs': _Range(0),
    '*.num_last_epochs': _Range(0),
    'log_processor.window_size': _COUNT,
    'optim_wrapper.optimizer.lr': _POSITIVE,
    'optim_wrapper.optimizer.weight_decay': _Range(0),
    'optim_wrapper.optimizer.momentum': _SHARE,
    'optim_wrapper.optimizer.eps': _Range(0),
    'optim_wrapper.clip_grad.max_norm': _POSITIVE,
    'optim_wrapper.clip_grad.clip_value': _POSITIVE,
    'optim_wrapper.accumulative_counts': _COUNT,
    'auto_scale_lr.base_batch_size': _COUNT,
    'randomness.seed': _Range(0, 2**32 - 1),
    'default_hooks.runtime_info.max_history': _COUNT,
    'default_hooks.patience.patience': _Range(0),
    '*_hooks.*.patience': _COUNT,
    '*_hooks.*.begin_*': _Range(0),
    '*_hooks.*.save_begin': _Range(0),
    'default_hooks.checkpoint.interval': _Range(1, other=-1),
    '*_hooks.*.max_keep_ckpts': _Range(1, other=-1),
    '*_hooks.*.interval': _COUNT,
    '*_hooks.*.momentum': _Range(0, 1, is_open=True),
    '*_hooks.*.gamma': _POSITIVE,
    'model.*.widen_factor': _POSITIVE,
    'model.*.deepen_factor': _POSITIVE,
    'model.*.stacked_convs': _COUNT,
    'model.*.num_classes': _COUNT,
    'model.*.*_channels': _COUNT,
    'model.*.candidate_topk': _COUNT,
    'model.data_preprocessor.std': _POSITIVE,
    'model.*.interval': _COUNT,
    'model.*_weight': _Range(0),
    'model.bbox_head.class_weights': _Range(0),
    'model.*.center_radius': _POSITIVE,
    'model.test_cfg.score_thr': _SHARE,
    '*.nms.iou_threshold': _SHARE,
    '*_cfg.nms_pre': _Range(1, other=-1),
    '*_cfg.max_per_img': _Range(1, other=-1),
    '*_evaluator*.proposal_nums': _COUNT,
    '*_evaluator*.iou_thrs': _SHARE,
    '*.prob': _SHARE,
    '*_dataloader.sampler.oversample_thr': _SHARE,
}
"""The numbers that may stand at keys of a pattern, and in lists there; the first one that fits counts."""

_CONSTRUCTORS = (OWN_CONSTRUCTOR, 'DefaultOptimWrapperConstructor')
"""Those that read the settings of parts of a model as MMEngine does."""

_SINGLE_HOOKS = ('EMAHook', 'YOLOXModeSwitchHook', 'ParamSchedulerHook', 'CheckpointHook')
"""Hooks of which there must be one: two swap the weights, switch, step the rate, or save and clear twice."""

_NEEDED_HOOKS = {
    'sampler_seed': ('DistSamplerSeedHook', 'train_dataloader', 'each epoch would be as the first one'),
    'param_scheduler': ('ParamSchedulerHook', 'param_scheduler', 'the rate would stay as it begins'),
}
"""Of hooks of MMEngine's: the class, what at the top of a config needs it, and what would be without it."""

_HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
"""The names under which MMEngine's Runner has hooks of its own, that ``None`` takes away."""


def settle_training(cfg: Config) -> None:
    """Brings into line, in place, what follows from other values but does not do so in MMEngine.

    A loader without workers has none that persist, prefetch or are waited for; a hook that is None is none.

    Args:
        cfg: The config, complete.
    """
    for key in LOADERS:
        loader = cfg.get(key)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            for name in ('prefetch_factor', 'multiprocessing_context', 'timeout'):
                loader.pop(name, None)
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
    check_numbers(cfg)
    for index, change in enumerate((cfg.get('train_cfg') or {}).get('dynamic_intervals') or ()):
        if change[1] < 1:
            raise UserError(
                f'config key train_cfg.dynamic_intervals.{index}={change!r}: the interval must be at least 1'
            )
    loop = cfg.get('train_cfg') or {}
    if counts_iterations(cfg):
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
    begin, end = loop.get('val_begin', 1), loop.get('max_epochs', math.inf)
    if begin > end:
        raise UserError(
            f'config key train_cfg.val_begin={begin}: a training of {end} epochs would never be validated; '
            'to want none, set val_dataloader, val_cfg and val_evaluator to None'
        )
    if (
        cfg.get('val_dataloader')
        and package_at(cfg, 'model')[0] == 'mmyolox'
        and not cfg.model.get('test_cfg')
    ):
        raise UserError('config key model.test_cfg=None: the validation needs its thresholds')
    check_shadowed(cfg)
    check_updates(cfg)
    check_hooks(cfg)
    check_schedules(cfg)


def check_shadowed(cfg: Config) -> None:
    """Checks that MMEngine ignores no top-level key because another part of the config says otherwise.

    Configs of MMDetection's models have a variable ``data_preprocessor`` that is used elsewhere.

    Raises:
        UserError: It would ignore one.
    """
    given = cfg.get('data_preprocessor')
    is_ours = package_at(cfg, 'model')[0] == 'mmyolox'
    if is_ours and given not in (None, cfg.model.get('data_preprocessor', given)):
        raise UserError(
            'config key data_preprocessor has no effect beside model.data_preprocessor; change that instead'
        )
    wrapper, key = cfg.get('model_wrapper_cfg'), 'find_unused_parameters'
    if wrapper and cfg.get(key) and not wrapper.get(key):
        raise UserError(
            f'config key {key} has no effect beside model_wrapper_cfg; set model_wrapper_cfg.{key}'
        )


def check_groups(cfg: Config) -> None:
    """Checks that the keys of each loop that a Runner has are all there, or none of them.

    Raises:
        UserError: Some are there only, so that the Runner would not know what to do.
    """
    for split, third in (('train', 'optim_wrapper'), ('val', 'val_evaluator'), ('test', 'test_evaluator')):
        keys = [f'{split}_dataloader', f'{split}_cfg', third]
        absent = [key for key in keys if cfg.get(key) is None]
        if absent and len(absent) < len(keys):
            there = ' and '.join(key for key in keys if key not in absent)
            remedy = '' if split == 'train' else f', or {there} to None too'
            raise UserError(f'config key {absent[0]}=None stands beside {there}: set it{remedy}')


def check_compilation(cfg: Config) -> None:
    """Checks the arguments of ``torch.compile`` in ``compile``, which PyTorch reads in the first iteration.

    Raises:
        UserError: PyTorch takes no such argument, backend or mode.
    """
    options = cfg.get('compile')
    if options is None or isinstance(options, bool):
        return
    if not isinstance(options, dict):
        raise UserError(
            f"config key compile={options!r}: it must be true, false or a dict of torch.compile's arguments"
        )
    try:
        torch.compile(lambda x: x, **options)
        if isinstance(options.get('backend'), str):
            torch._dynamo.lookup_backend(options['backend'])
    except Exception as error:  # PyTorch refuses in any way
        raise UserError(f'config key compile={dict(options)}: torch.compile says: {error}') from error


def check_updates(cfg: Config) -> None:
    """Checks how the weights are updated: the multipliers of settings, and how gradients are clipped.

    Raises:
        UserError: The rate is to be scaled by a batch size that is not there, a setting that is multiplied
            is not there, or PyTorch's function does not clip so.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    scaling = cfg.get('auto_scale_lr') or {}
    if scaling.get('enable') and not scaling.get('base_batch_size'):
        raise UserError('config key auto_scale_lr.enable=True needs auto_scale_lr.base_batch_size')
    multiplied = [
        key for key, _ in walk(wrapper.get('paramwise_cfg'), 'paramwise_cfg') if 'decay_mult' in key
    ]
    if multiplied and 'weight_decay' not in (wrapper.get('optimizer') or {}):
        raise UserError(
            f'config key optim_wrapper.{multiplied[0]} multiplies optim_wrapper.optimizer.weight_decay, '
            'which is not there: set it (0 for none)'
        )
    check_custom_keys(cfg)
    clipping = dict(wrapper.get('clip_grad') or {})
    clip = clip_grad_value_ if clipping.pop('type', 'norm') == 'value' else clip_grad_norm_
    try:
        inspect.signature(clip).bind([], **clipping) if wrapper.get('clip_grad') else None
    except TypeError as error:
        raise UserError(
            f'config key optim_wrapper.clip_grad={dict(wrapper["clip_grad"])}: {clip.__name__}: {error}'
        ) from error


def check_custom_keys(cfg: Config) -> None:
    """Checks the settings of parts of a model: the multipliers, and what the optimizer has for a group.

    A constructor of others may read more.

    Raises:
        UserError: Nothing reads one, or what should hold them is no dict.
    """
    paramwise = (cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}
    parts = paramwise.get('custom_keys') or {} if isinstance(paramwise, dict) else {}
    for path, value in {'': paramwise, **{f'.custom_keys.{part}': parts[part] for part in parts}}.items():
        if not isinstance(value, dict):
            raise UserError(f'config key optim_wrapper.paramwise_cfg{path}={value!r}: it must be a dict')
    constructor = component_at(cfg, 'optim_wrapper', 'constructor')
    optimizer = component_at(cfg, 'optim_wrapper.optimizer')
    accepted = accepted_parameters(optimizer) if optimizer else None
    if accepted is None or getattr(constructor, '__name__', OWN_CONSTRUCTOR) not in _CONSTRUCTORS:
        return
    known = {'lr_mult', 'decay_mult', *accepted} - {'params'}
    for part, settings in parts.items():
        for key in [key for key in settings if key not in known]:
            raise UserError(
                f'config key optim_wrapper.paramwise_cfg.custom_keys.{part}.{key}: neither MMEngine nor the '
                f'optimizer reads it{did_you_mean(key, known)}'
            )


def check_schedules(cfg: Config) -> None:
    """Checks that each schedule has its place in the training.

    Raises:
        UserError: One would never begin or come to its end, or begins where it cannot.
    """
    length = (cfg.get('train_cfg') or {}).get('max_epochs', math.inf)
    given = cfg.get('param_scheduler') or []
    schedules = (
        [('param_scheduler', given)]
        if isinstance(given, dict)
        else [(f'param_scheduler.{index}', one) for index, one in enumerate(given)]
    )
    for path, one in schedules:
        by_epoch, begin, end = one.get('by_epoch', True), one.get('begin') or 0, one.get('end')
        if one.get('convert_to_iter_based') and not by_epoch:
            raise UserError(f'config key {path}.convert_to_iter_based=True: it needs by_epoch=True')
        last = end if end is not None else length if by_epoch else math.inf
        if begin >= min(last, length if by_epoch else math.inf):
            raise UserError(f'config key {path}.begin={begin}: it must be below end and train_cfg.max_epochs')
        if one.get('warmup_epochs', 0) > last:
            raise UserError(
                f'config key {path}.warmup_epochs={one["warmup_epochs"]}: the training ends before, after '
                f'{last} epochs'
            )
        if package_at(cfg, path) == ('mmyolox', 'YOLOXLR'):
            check_own_schedule(cfg, path, one)


def check_own_schedule(cfg: Config, path: str, schedule: dict[str, Any]) -> None:
    """Checks that ``YOLOXLR`` spans the training, step by step.

    Args:
        cfg: The config.
        path: The config key of the schedule.
        schedule: What stands there.

    Raises:
        UserError: It spans a part, or is left to steps of an epoch.
    """
    length = (cfg.get('train_cfg') or {}).get('max_epochs')
    for key, whole in (('begin', 0), ('end', length)):
        if whole is not None and (schedule.get(key) or whole) != whole:
            raise UserError(
                f'config key {path}.{key}={schedule[key]}: YOLOXLR is a schedule of the whole training; '
                f'leave {key} out'
            )
    for key, default in (('by_epoch', True), ('convert_to_iter_based', False)):
        if not schedule.get(key, default):
            raise UserError(
                f'config key {path}.{key}=False: YOLOXLR takes its lengths in epochs and steps every '
                'iteration; set by_epoch=True and convert_to_iter_based=True'
            )


def check_numbers(cfg: Config) -> None:
    """Checks that numbers are in the range of what they mean, also those in lists.

    Raises:
        UserError: One is not.
    """
    for top in cfg:
        for path, value in walk(cfg[top], top) if top in RUNNER_KEYS else ():
            numbers = value if isinstance(value, list | tuple) else [value]
            allowed = next((_RANGES[one] for one in _RANGES if fnmatchcase(path, one)), None)
            if allowed and not (numbers and all(number in allowed for number in numbers)):
                raise FaultyValueError(path, value, f'it must be {allowed}')


def hooks_of(cfg: Config) -> dict[str, Any]:
    """The hooks of a training that are not None, by config key."""
    hooks = {f'default_hooks.{name}': hook for name, hook in (cfg.get('default_hooks') or {}).items() if hook}
    return hooks | {f'custom_hooks.{index}': hook for index, hook in enumerate(cfg.get('custom_hooks') or ())}


def check_hooks(cfg: Config) -> None:
    """Checks that of hooks that must be alone there is one, and that those that go by figures know how.

    Raises:
        UserError: There are several, or it cannot be told whether a figure is better if it is higher.
    """
    default = cfg.get('default_scope') or 'mmengine'
    keys: dict[str, str] = {}
    bases: set[str] = set()
    length = (cfg.get('train_cfg') or {}).get('max_epochs', math.inf)
    for path, hook in hooks_of(cfg).items():
        component = hook.get('type') if isinstance(hook, dict) else type(hook)
        if isinstance(component, str):
            component = find_component(component, hook.get('_scope_') or default, f'{path}.type')
        check_rule(hook, path, component)
        begin = hook.get('begin_epoch', 0) if isinstance(hook, dict) else 0
        if begin > length:
            raise UserError(f'config key {path}.begin_epoch={begin}: the training has {length} epochs')
        bases |= names_of_bases(component)
        for name in names_of_bases(component).intersection(_SINGLE_HOOKS):
            if name in keys:
                raise UserError(
                    f'config keys {keys[name]} and {path}: both are a {name}, and there must be one only; '
                    f'leave {path} out, and set at {keys[name]} what it should do'
                )
            keys[name] = path
    default_hooks = cfg.get('default_hooks') or {}
    for name, (kind, uses, why) in _NEEDED_HOOKS.items():
        if default_hooks.get(name, ...) is None and kind not in bases and cfg.get(uses):
            raise UserError(f'config key default_hooks.{name}=None: {uses} needs it, or {why}; leave it out')


def check_rule(hook: Any, path: str, component: Any) -> None:
    """Checks that a hook that goes by figures, if it is one, knows which of two values is the better one.

    Args:
        hook: Its config.
        path: The config key.
        component: Its class.

    Raises:
        UserError: MMEngine could not tell.
    """
    names = hook.get('save_best', hook.get('monitor')) if isinstance(hook, dict) else None
    if names is None or not hasattr(component, '_default_greater_keys'):
        return
    keys = [*component._default_greater_keys, *component._default_less_keys]
    keys += [*(hook.get('greater_keys') or ()), *(hook.get('less_keys') or ())]
    for name in [names] if isinstance(names, str) else names:
        is_known = name == 'auto' or any(key.lower() in name.lower() for key in keys)
        rules = hook.get('rule') or ([] if is_known else [None])
        if not {'greater', 'less'}.issuperset([rules] if isinstance(rules, str) else rules):
            raise UserError(
                f'config key {path}.rule={hook.get("rule")!r}: it must say whether a higher {name} is better'
                ': greater or less'
            )
