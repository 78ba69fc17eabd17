"""Runs a tool on an accelerator that is emulated on the CPU.

    python -m tests.accelerator.emulated_device WAITS TOOL [ARGUMENT ...]

Tensors say that they are on an Ascend NPU, for which MMEngine looks first, and compute on the CPU. An
operation on tensors of two devices raises, as on a device. Writes into the file WAITS, as JSON, where in the
code a value was waited for, and how often. The device stays registered: for a process of its own.
"""

import json
import runpy
import sys
from collections import Counter
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

ROOT = Path(__file__).resolve().parents[2]
OURS = [str(ROOT / name) for name in ('mmyolox', 'projects')]
NAME = 'npu'
WAITING = ('_local_scalar_dense', 'nonzero', 'equal', 'is_nonzero', 'masked_select', 'unique')
"""Operations whose outcome the host has to know before it goes on."""
MOVING = ('copy_', '_to_copy', 'set_')
KERNELS = torch.library.Library('aten', 'IMPL', 'PrivateUse1')
waits = Counter()


class EmulatedTensor(torch.Tensor):
    """A tensor of the device; ``inner`` holds its numbers."""

    @staticmethod
    def __new__(cls, inner):
        options = dict(strides=inner.stride(), storage_offset=inner.storage_offset())
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=torch.device(NAME, 0), **options
        )

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f'emulated({self.inner})'

    def tolist(self):
        note_wait('tolist')
        return self.inner.tolist()

    def __reduce_ex__(self, protocol):
        note_wait('pickling')
        return self.inner.__reduce_ex__(protocol)

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of a device to numpy")

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Emulation(TorchDispatchMode):
    """Inside it, tensors are made on the device, and moved there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func, args, kwargs):
    """What an operation gives, on the device that it has to be on."""
    name = func.overloadpacket.__name__
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    ours = [one for one in tensors if isinstance(one, EmulatedTensor)]
    # A number may come from the host.
    theirs = [one for one in tensors if not isinstance(one, EmulatedTensor) and one.dim()]
    if ours and theirs and name not in MOVING:
        raise RuntimeError(f'{func}: tensors of the device and of the host')
    to = kwargs.get('device')
    is_leaving = (to is not None and torch.device(to).type == 'cpu') or (
        name == 'copy_' and not isinstance(args[0], EmulatedTensor)
    )
    if ours and (name in WAITING or (is_leaving and not kwargs.get('non_blocking'))):
        note_wait(name)
    result = func(*tree_map(inner_of, args), **tree_map(inner_of, kwargs))
    if name.endswith('_') and not name.startswith('_'):
        return args[0]
    if 'out' in kwargs:
        return kwargs['out']
    is_on_device = bool(ours) if to is None else torch.device(to).type == NAME
    return tree_map(wrap, result) if is_on_device else result


def inner_of(value):
    if isinstance(value, EmulatedTensor):
        return value.inner
    is_device = isinstance(value, torch.device) and value.type == NAME
    return torch.device('cpu') if is_device else value


def wrap(value):
    return EmulatedTensor(value) if isinstance(value, torch.Tensor) else value


def note_wait(operation):
    """Counts a wait at the innermost function of ours that is running, or of MMEngine's."""
    frame, place = sys._getframe(1), None
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(tuple(OURS)):
            place = f'{Path(path).relative_to(ROOT)}:{frame.f_code.co_name}'
            break
        if place is None and '/mmengine/' in path:
            place = f'mmengine/{path.rpartition("/mmengine/")[2]}:{frame.f_code.co_name}'
        frame = frame.f_back
    waits[f'{operation} in {place}'] += 1


class Event:
    """An event of a device that has always finished."""

    def record(self, *args):
        pass

    def synchronize(self):
        note_wait('synchronize')

    def query(self):
        return True


class OfType(type):
    """The class of tensors of a type, which MMEngine asks of a device."""

    def __instancecheck__(cls, value):
        return isinstance(value, EmulatedTensor) and value.dtype == cls.dtype


def register():
    """Makes ``torch.npu`` and ``torch_npu``, as far as PyTorch and MMEngine ask; before MMEngine is there."""
    answers = dict(
        is_available=True,
        is_initialized=True,
        device_count=1,
        current_device=0,
        get_device_name='emulated',
        _is_in_bad_fork=False,
        get_amp_supported_dtype=[torch.float16, torch.bfloat16],
        is_bf16_supported=True,
        memory_allocated=0,
        max_memory_allocated=0,
        mem_get_info=(1 << 33, 1 << 34),
        **dict.fromkeys(('set_device', 'manual_seed_all', 'reset_peak_memory_stats', 'synchronize')),
        **dict.fromkeys(('empty_cache', 'set_compile_mode')),
    )
    types = dict(BoolTensor=torch.bool, LongTensor=torch.int64, FloatTensor=torch.float32)
    backend = SimpleNamespace(
        Event=Event,
        native_device=NAME,
        **{name: answer(value) for name, value in answers.items()},
        **{name: OfType(name, (), dict(dtype=dtype)) for name, dtype in types.items()},
    )
    _setup_privateuseone_for_python_backend(NAME, backend_module=backend)
    # Never called. Without a kernel of the device's own, PyTorch takes it apart, and rounds in between.
    KERNELS.impl('silu_backward', torch.ops.aten.silu_backward)
    utils = stand_in('torch_npu.npu.utils', get_soc_version=lambda: 230)
    stand_in('torch_npu', npu=stand_in('torch_npu.npu', utils=utils))
    amp = stand_in('torch.npu.amp', GradScaler=torch.amp.GradScaler)
    sys.modules['torch.npu'] = stand_in('torch.npu', amp=amp)


def answer(value):
    return lambda *args, **kwargs: value


def stand_in(name, **contents):
    module = ModuleType(name)
    module.__path__, module.__spec__ = [], ModuleSpec(name, None)
    vars(module).update(contents)
    sys.modules[name] = module
    return module


def main():
    report, tool, *args = sys.argv[1:]
    register()
    sys.argv = [tool, *args]
    sys.path.insert(0, str(ROOT))
    try:
        with Emulation():
            runpy.run_path(tool, run_name='__main__')
    finally:
        Path(report).write_text(json.dumps(waits))


if __name__ == '__main__':
    main()
