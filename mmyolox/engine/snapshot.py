"""A checkpoint as it is at one moment, in host memory, while the training goes on."""

import io
import pickle
import time
from collections import Counter, defaultdict
from functools import cache
from typing import Any, NamedTuple

import mmengine
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.utils import get_git_hash
from torch import Tensor


def checkpoint_of(
    runner: Runner, meta: dict[str, Any], save_optimizer: bool = True, save_param_scheduler: bool = True
) -> dict[str, Any]:
    """Collects what MMEngine's ``Runner.save_checkpoint`` writes, which has no function that does not write.

    Args:
        runner: The runner.
        meta: What the checkpoint says of the progress, its ``epoch`` and ``iter``.
        save_optimizer: Whether the optimizer's state is in it.
        save_param_scheduler: Whether the states of the schedulers are in it.

    Returns:
        The checkpoint after all hooks have seen it. Its tensors are those of the training, on their device.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    meta = dict(
        meta,
        cfg=runner.cfg.pretty_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S', time.localtime()),
        mmengine_version=_mmengine_version(),
    )
    if hasattr(runner.train_dataloader.dataset, 'metainfo'):
        meta['dataset_meta'] = runner.train_dataloader.dataset.metainfo
    checkpoint = dict(meta=meta, state_dict=model.state_dict(), message_hub=runner.message_hub.state_dict())
    if save_optimizer:
        checkpoint['optimizer'] = runner.optim_wrapper.state_dict()
    schedulers = runner.param_schedulers
    if save_param_scheduler and isinstance(schedulers, dict):  # those of several optimizers
        states = {name: [one.state_dict() for one in group] for name, group in schedulers.items()}
        checkpoint['param_schedulers'] = states
    elif save_param_scheduler and schedulers is not None:
        checkpoint['param_schedulers'] = [one.state_dict() for one in schedulers]
    runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
    return checkpoint


@cache
def _mmengine_version() -> str:
    """As MMEngine writes it; it asks git, which is another program."""
    return str(mmengine.__version__ + get_git_hash())


class Snapshot(NamedTuple):
    """A nest of values as it was when it was copied."""

    pickled: bytes
    """All of it but the tensors."""
    tensors: list[Tensor]
    """The copies of the tensors, on the CPU."""

    def restore(self) -> Any:
        """The nest, with the copies in the place of its tensors."""
        unpickler = pickle.Unpickler(io.BytesIO(self.pickled))
        unpickler.persistent_load = self.tensors.__getitem__  # type: ignore[method-assign]
        return unpickler.load()


class HostMemory:
    """Memory for one :class:`Snapshot`, which is kept for the next one.

    Memory that is new to the process costs more time than the copy: the system has to clear it page by page.
    The memory for tensors of CUDA and ROCm is pinned, which they are copied to fastest.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], list[Tensor]] = defaultdict(list)

    def copy(self, values: Any) -> Snapshot:
        """Copies a nest of values; nothing that happens to them later gets into the copy.

        Args:
            values: What can be pickled, as all that is saved.

        Returns:
            The copy. It is in the memory of the one before, which must not be used any more.
        """
        file = io.BytesIO()
        pickler = _Pickler(file, self._kept)
        pickler.dump(values)
        return Snapshot(file.getvalue(), pickler.copies)


class _Pickler(pickle.Pickler):
    """Pickles all but tensors, which it copies to memory that is kept by what they need of it."""

    def __init__(self, file: io.BytesIO, kept: dict[tuple[Any, ...], list[Tensor]]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.copies: list[Tensor] = []
        self._kept = kept
        self._taken: Counter[tuple[Any, ...]] = Counter()

    def persistent_id(self, value: Any) -> int | None:
        """Copies a plain tensor, and returns its number; others, such as parameters, PyTorch pickles."""
        if type(value) is not Tensor or value.layout is not torch.strided or value.requires_grad:
            return None
        key = (value.dtype, value.shape, value.stride(), value.is_cuda)
        kept = self._kept[key]
        if self._taken[key] == len(kept):
            kept.append(torch.empty_like(value, device='cpu', pin_memory=value.is_cuda))
        copy = kept[self._taken[key]]
        self._taken[key] += 1
        self.copies.append(copy.copy_(value))
        return len(self.copies) - 1
