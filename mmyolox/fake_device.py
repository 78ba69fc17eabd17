"""What a model costs on an accelerator, counted without one: kernel launches, and memory.

PyTorch lets Python register a device, and makes "fake" tensors of it, which have a shape, a type and a
device, but no contents. A training step on them takes seconds on any computer. An operation on tensors of two
devices raises an error there, and so does one that would wait for a value.

Benchmarks run this file in environments that have PyTorch alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = 'fake'
"""What the device is called. It takes the one place that PyTorch keeps for devices from outside."""

_ANSWERS = dict(
    is_available=True,
    is_initialized=True,
    device_count=1,
    current_device=0,
    set_device=None,
    manual_seed_all=None,
    _is_in_bad_fork=False,
    get_amp_supported_dtype=[torch.float16, torch.bfloat16],
)
"""What the module of the device says of itself."""

_LOWER = ('addmm', 'bmm', 'conv2d', 'linear', 'matmul', 'mm')
_FLOAT32 = (
    'binary_cross_entropy_with_logits',
    'exp',
    'log',
    'log1p',
    'pow.Tensor_Scalar',
    'sum',
    'sum.dim_IntList',
)
"""What autocast computes in half precision and in float32 on CUDA and Ascend (PyTorch 2.13), of the
operations that detectors use."""

_FUSED = ('silu_backward',)
"""What accelerators have one kernel for, and PyTorch takes apart on devices that register none."""

_NO_KERNEL = {
    'alias',
    'as_strided',
    'chunk',
    'detach',
    'diagonal',
    'empty',
    'empty_like',
    'empty_strided',
    'expand',
    'lift_fresh',
    'narrow',
    'new_empty',
    'new_empty_strided',
    'permute',
    'reshape',
    '_reshape_alias',
    'select',
    'slice',
    'split',
    'split_with_sizes',
    'squeeze',
    't',
    'transpose',
    'unbind',
    'unfold',
    '_unsafe_view',
    'unsqueeze',
    'view',
    'view_as',
}
"""Operations that only look at memory, or reserve it."""


@contextmanager
def fake_device() -> Iterator[torch.device]:
    """Makes all new tensors fake ones.

    Yields:
        The device, on which they are made that are to count.

    Raises:
        UserError: This version of PyTorch cannot simulate a device.
    """
    _register()
    from torch._subclasses.fake_tensor import FakeTensorMode

    class Mode(FakeTensorMode):  # type: ignore[no-untyped-call]
        def __deepcopy__(self, memo: object) -> 'Mode':
            return self  # of the copy of a tensor, too

    with Mode(allow_non_fake_inputs=False):
        yield torch.device(NAME, 0)


def move_to_fake(model: nn.Module, device: torch.device) -> None:
    """Puts fake tensors in the place of a model's parameters and buffers, as ``model.to(device)`` would."""
    from mmengine.model import BaseDataPreprocessor

    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, _like(buffer, device))
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(_like(parameter, device), parameter.requires_grad))
        if isinstance(module, BaseDataPreprocessor):
            module.to(device)  # it notes where batches are to go


def _like(tensor: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


@cache
def _register() -> list[torch.library.Library]:
    """Registers the device and how autocast casts on it, while the process lives."""
    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as register
    except ImportError as error:
        from mmyolox.errors import UserError

        raise UserError(
            f'PyTorch {torch.__version__} cannot simulate a device: install 2.10 or later'
        ) from error

    def answer(value: Any) -> Callable[..., Any]:
        return lambda *args: value

    event = SimpleNamespace(record=answer(None), synchronize=answer(None))
    answers = {name: answer(value) for name, value in dict(_ANSWERS, Event=event).items()}
    register(NAME, SimpleNamespace(**answers))
    library: Any = torch.library.Library
    others = library('_', 'IMPL', 'AutocastPrivateUse1')
    others.fallback(torch.library.fallthrough_kernel)
    casts = library('aten', 'IMPL', 'AutocastPrivateUse1')
    for names, dtype in ((_LOWER, None), (_FLOAT32, torch.float32)):
        for name in names:
            casts.impl(name, _casting(name, dtype))
    kernels = library('aten', 'IMPL', 'PrivateUse1')
    for name in _FUSED:
        # Never called: what fake tensors do is asked of the kernel for tensors without contents.
        kernels.impl(name, getattr(torch.ops.aten, name))
    return [others, casts, kernels]


def _casting(name: str, dtype: torch.dtype | None) -> Callable[..., Any]:
    """An operation after its tensors of floats were cast; None is for the type of autocast."""
    packet, _, overload = name.partition('.')
    operation = getattr(getattr(torch.ops.aten, packet), overload or 'default')
    keys: Any = torch._C.DispatchKey
    key = torch._C.DispatchKeySet(keys.AutocastPrivateUse1)

    def run(*args: Any, **kwargs: Any) -> Any:
        to = dtype or torch.get_autocast_dtype(NAME)

        def cast(value: Any) -> Any:
            is_cast = isinstance(value, Tensor) and value.is_floating_point() and value.device.type == NAME
            return value.to(to) if is_cast else value

        with torch._C._ExcludeDispatchKeyGuard(key):
            return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

    return run


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the kernels that a device is sent inside the context.

    Args:
        device: The type of the device.

    Attributes:
        by_name: How often each operation was called that needs a kernel.
    """

    def __init__(self, device: str = NAME) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self.by_name: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return self.by_name.total()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Runs an operation and counts it."""
        outputs = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        is_on_device = any(
            isinstance(leaf, Tensor) and leaf.device.type == self._device for leaf in tree_leaves(outputs)
        )
        if is_on_device and name not in _NO_KERNEL:
            self.by_name[name] += 1
        return outputs


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that were made inside the context and are still alive.

    Forward and backward passes count alike; what a single operation needs within itself does not, nor do
    the tensors in ``known``.

    Args:
        known: Tensors in any nest of containers.

    Attributes:
        peak: The most bytes after any operation so far.
    """

    def __init__(self, known: object = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = {_storage(tensor).cdata for tensor in tree_leaves(known) if isinstance(tensor, Tensor)}
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Runs an operation and looks at what lives after it."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (ref := _storage(leaf)).cdata not in self.known:
                self.alive.setdefault(ref.cdata, (ref, leaf.untyped_storage().nbytes()))
        alive = self.alive.items()
        self.alive = {key: item for key, item in alive if not item[0].expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return out


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
