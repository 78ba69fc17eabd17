"""Reading weights out of files of any kind, without running what these contain.

A ``.pth`` file is a pickle, and a pickle can name any function to be called while it is read. PyTorch's
``weights_only=True`` admits tensors and plain containers; the little more that MMEngine's checkpoints hold
is admitted here by name. (MMEngine 0.10.7 reads everything; onedl-mmengine 0.10.12 tries the safe way, and
then reads everything after all.)
"""

import logging
import os.path
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmyolox.deploy.archives import archive_fault
from mmyolox.deploy.formats import format_of
from mmyolox.errors import UserError, first_few

from . import safetensors_file
from .download import advice_on_copy
from .published import WEB, checkpoint_file, published_weights
from .sources import mindspore, onnx

_AVERAGES = ('ema_model', 'ema_net', 'ema', 'model_ema', 'state_dict_ema')
_ENTRIES = (*_AVERAGES, 'state_dict', 'ema_state_dict', 'model', 'net', 'module')
"""The keys under which checkpoints keep their weights, the moving average first.

MMEngine's average is under ``state_dict``: its hook swaps both when it saves, so that ``ema_state_dict``
holds the raw weights. Without a ``state_dict`` it is the average.
"""

_WRAPPERS = frozenset({'module', '_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'})
"""What PyTorch's wrappers (several devices, compiled, sharded, recomputed) put into names."""
_OWNERS = ('model.', 'ema_model.')
"""What stands before all names where an object saved itself that has the network, or its moving average, by
that name: Lightning's modules, ema_pytorch."""
_MAX_REPEATED = 64 << 20
"""Bytes of a tensor whose numbers are partly the same ones in memory."""
_MAX_META = 3_000_000
"""Entries of a ``meta``, with all that is inside of them."""
_AVERAGE_COUNTERS = ('steps', 'n_averaged', 'initted', 'step')
"""What the averaged models of MMEngine, PyTorch and ema_pytorch count beside their weights."""

_VARIANCES = ('running_var', 'moving_variance')
"""The ends of the names of a norm's variances: PyTorch's, and MindSpore's."""
_CONFIGS = ('.py', '.yaml', '.yml')
"""The ends of the names of configs, which are typed in the place of a checkpoint."""
_ZIP_START = b'PK\x03\x04'
_HISTORY_STATISTICS = ('min', 'max', 'mean', 'current')
_NUMBER_TYPES = re.compile(r'[?biufc]\d*')
_NUMBERS = '?bhilqBHILQefdgFD'


def load_checkpoint(
    source: str | Path, map_location: Any = 'cpu', allow_unsafe: bool = False
) -> dict[str, Any]:
    """Loads a checkpoint: PyTorch's, safetensors', MindSpore's, or an ONNX model of Megvii's.

    Which one it is is seen from its structure, whatever its name.

    The checksums of PyTorch's files are verified, about a second a GB. PyTorch's format of before 2020 has
    none, nor have ONNX and safetensors: a changed bit among their weights cannot be seen.

    Args:
        source: A file, a web address, or the name of published weights
            (see :func:`~mmyolox.checkpoints.published.checkpoint_file`).
        map_location: The device that its tensors go to, as for ``torch.load``.
        allow_unsafe: Whether to read whatever the file contains, which may run code: for a file of trusted
            origin.

    Returns:
        What the file holds, without ``meta['config']``: MMEngine runs that text as Python on resuming. Of a
        file that is not PyTorch's, the tensors on the CPU under ``state_dict``; of safetensors also our
        ``meta``. Of published weights without names of their classes, these in ``meta['dataset_meta']``.

    Raises:
        UserError: The file is absent or damaged, cannot be downloaded, is no checkpoint, or needs more than
            is safe.
    """
    path = checkpoint_file(source)
    content = _read(path, map_location, allow_unsafe)
    weights = published_weights().get(str(source))
    if weights is not None and weights.path == path:
        meta = content.setdefault('meta', {})
        if isinstance(meta, dict) and meta.keys().isdisjoint({'dataset_meta', 'CLASSES'}):
            meta['dataset_meta'] = dict(classes=weights.classes)
    return content


def _read(path: Path, map_location: Any, allow_unsafe: bool) -> dict[str, Any]:
    """Reads a file of any kind, see :func:`load_checkpoint`."""
    if path.suffix in _CONFIGS:
        raise UserError(f'checkpoint {path}: this is a config; it stands before the checkpoint')
    exported = format_of(path.with_suffix('.xml') if path.suffix == '.bin' else path)
    # An ONNX file is one that weights are read from.
    if exported is not None and exported.name != 'onnx' and path.with_suffix(exported.suffix).exists():
        raise UserError(
            f'checkpoint {path}: this is an exported file, which cannot be trained or exported again; '
            'mmyolox predict and mmyolox test-export run it'
        )
    try:
        with path.open('rb') as file:
            start = file.read(safetensors_file.START_LENGTH)
    except OSError as error:
        raise UserError(f'checkpoint {path} cannot be read: {error.strerror}') from error
    if safetensors_file.is_safetensors(start):
        return safetensors_file.read_checkpoint(path)
    if start.startswith(onnx.FIRST_BYTE):
        return dict(state_dict=onnx.read_model(path))
    if start.startswith(mindspore.FIRST_BYTES):
        return dict(state_dict=mindspore.read_checkpoint(path))
    if start.startswith(_ZIP_START) and (fault := archive_fault(path)):
        raise _damaged(str(path), fault)
    with path.open('rb') as file:  # not the path, of which PyTorch would believe the suffix
        return _checked(partial(torch.load, file, map_location), str(path), allow_unsafe)


def use_safe_loading(allow_unsafe: bool = False, loaded: Mapping[str, dict[str, Any]] | None = None) -> None:
    """Makes MMEngine load local files, web addresses and published weights through :func:`load_checkpoint`.

    This reaches ``Runner.load_checkpoint``, ``Runner.resume``, ``init_cfg`` and all else that goes through
    MMEngine's ``CheckpointLoader``. Its other schemes (``torchvision://``, ``s3://``...) stay its own.

    Args:
        allow_unsafe: Whether the user said ``--allow-unsafe-checkpoint``.
        loaded: What was read already, by what the user called it, on the CPU: it is handed out once, instead
            of reading the file again.
    """
    known = dict(loaded or {})

    def load(filename: str, map_location: Any = None) -> dict[str, Any]:
        return known.pop(filename, None) or load_checkpoint(filename, map_location, allow_unsafe)

    CheckpointLoader.register_scheme(('', *WEB), load, force=True)


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Finds the checkpoint to resume from: the undamaged one that was written last.

    MMEngine believes the file ``last_checkpoint``, which after a kill may be empty or name a checkpoint that
    is gone, and names the old place of a folder that was moved. Here it is one candidate beside all
    ``epoch_*.pth`` and ``iter_*.pth``. They are verified from the newest on, until one is good; we log which
    ones are not.

    Args:
        work_dir: A folder that a training wrote to.

    Returns:
        The file; None if there is none at all.

    Raises:
        UserError: All are damaged: a training that began anew would take their place.
    """

    def progress(file: Path) -> int:
        return int(re.sub(r'\D', '', file.stem) or 0)

    folder = Path(work_dir)
    note = folder / 'last_checkpoint'
    noted = Path(os.fsdecode(note.read_bytes()).strip() if note.is_file() else '')
    noted = here if os.path.isfile(here := folder / noted.name) else noted
    # Unlike Path.is_file, this takes any text that a damaged file may hold.
    files = [*filter(os.path.isfile, {noted, *folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')})]
    files.sort(key=lambda file: (file.stat().st_mtime, progress(file)), reverse=True)
    if noted in files and progress(noted) >= progress(files[0]):
        files.sort(key=lambda file: file != noted)
    faults: dict[str, str] = {}
    for file in files:
        fault = archive_fault(file)
        if fault is None:
            for name, found in faults.items():
                print_log(f'checkpoint {name} is damaged and skipped: {found}', 'current', logging.WARNING)
            return file
        faults[str(file)] = fault
    if faults:
        described = first_few(f'{Path(name).name}: {fault}' for name, fault in faults.items())
        raise UserError(
            f'work dir {folder}: all {len(faults)} checkpoint(s) are damaged ({described}); put a good copy '
            'in their place, or train in another folder by --work-dir'
        )
    return None


def read_weights(path: str | Path, allow_unsafe: bool = False) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Reads the weights of a file: a PyTorch checkpoint, MindSpore's ``.ckpt``, or an ONNX model.

    Returns:
        The tensors by the file's names; and what else the file holds (optimizer, epoch, ...), with a remark
        where raw weights are left for their moving average.

    Raises:
        UserError: The file is absent, damaged, of another kind, holds no weights, or would run code.
    """
    return weights_in(load_checkpoint(path, allow_unsafe=allow_unsafe), str(path))


def weights_in(content: Mapping[str, Any], source: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Finds the weights in what a PyTorch checkpoint holds.

    Args:
        content: ``{'state_dict': ...}`` (OpenMMLab), ``{'model': ...}`` (Megvii), ``{'net': ..., 'ema_net':
            ...}`` (SuperGradients), or a state dict by itself.
        source: The file's name, for messages.

    Returns:
        As :func:`read_weights`, without the names of wrappers (see :func:`without_wrapper`).

    Raises:
        UserError: There is no state dict, or it holds something else than dense tensors of finite numbers.
    """
    entry = next((entry for entry in _ENTRIES if isinstance(content.get(entry), dict)), None)
    state_dict = content if entry is None else content[entry]
    # An average may keep its weights one level deeper, beside its count of updates.
    inner = next((inner for inner in _ENTRIES if entry and isinstance(state_dict.get(inner), dict)), None)
    state_dict = state_dict if inner is None else state_dict[inner]
    tensors = {
        name: value
        for name, value in state_dict.items()
        if isinstance(value, Tensor) and name not in _AVERAGE_COUNTERS
    }
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise UserError(f'{source} holds no weights, neither by themselves nor under {", ".join(_ENTRIES)}')
    for name, tensor in tensors.items():
        fault = _tensor_fault(name, tensor)
        if fault:
            raise UserError(f'{source}: its tensor {name} {fault}')
    others = [str(name) for name in state_dict if name not in tensors]
    for name in content if entry is not None else ():
        if name == 'ema_state_dict' and entry == 'state_dict':
            others.append(f'{name} (the raw weights; {entry} holds their moving average)')
        elif name in _ENTRIES and entry in (*_AVERAGES, 'ema_state_dict') and name != entry:
            others.append(f'{name} (the raw weights; their moving average {entry} is taken)')
        elif name != entry:
            others.append(str(name))
    return without_wrapper(tensors), tuple(others)


def _tensor_fault(name: str, tensor: Tensor) -> str:
    """Why no layer can have a tensor of such a name; empty if one can."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_complex():
        return f'is {tensor.dtype}, {tensor.layout}: needed are dense, real numbers that are not quantised'
    if tensor.is_meta:
        return 'has no values: the file holds shapes alone'
    if tensor.nbytes > max(tensor.untyped_storage().nbytes(), _MAX_REPEATED):
        return f'of shape {tuple(tensor.shape)} repeats fewer numbers: save its contiguous()'
    is_empty = not tensor.is_floating_point() or tensor.numel() == 0
    least, most = (torch.zeros(()),) * 2 if is_empty else tensor.float().aminmax()
    if not (torch.isfinite(least) and torch.isfinite(most)):
        return 'holds numbers that are not finite: the training that wrote it has failed; take an earlier one'
    if least < 0 and name.endswith(_VARIANCES):
        return 'holds variances below 0, which none can be: the file is damaged; take another copy'
    return ''


def without_wrapper(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drops what PyTorch's wrappers put into names: ``module.``, ``_orig_mod.`` and their like, anywhere.

    So is a ``model.`` or ``ema_model.`` before all names, if a backbone follows. A name that would then be
    there twice stays as it is, to be reported as unused.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = '.'.join(part for part in name.split('.') if part not in _WRAPPERS)
        is_free = short == name or (short not in tensors and short not in plain)
        plain[short if is_free else name] = tensor
    for owner in _OWNERS:
        has_backbone = any(name.startswith(f'{owner}backbone.') for name in plain)
        if has_backbone and all(name.startswith(owner) for name in plain):
            return {name.removeprefix(owner): tensor for name, tensor in plain.items()}
    return plain


def _checked(load: Callable[..., Any], name: str, allow_unsafe: bool) -> dict[str, Any]:
    try:
        if allow_unsafe:
            checkpoint = load(weights_only=False)
        else:
            with torch.serialization.safe_globals(_ALLOWED):
                checkpoint = load(weights_only=True)
    except UnpicklingError as error:
        raise _refusal(name, str(error.__context__ or error)) from error
    except Exception as error:  # a damaged or foreign file can fail in any way
        reason = re.split(r'\n|\. ', str(error))[0]
        reason = reason or ('empty file' if isinstance(error, EOFError) else type(error).__name__)
        raise _damaged(name, reason) from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'checkpoint {name} holds a {type(checkpoint).__name__}, not a dict of weights')
    if not allow_unsafe and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    _check_meta(checkpoint.get('meta'), name)
    return checkpoint


def _damaged(name: str, reason: str) -> UserError:
    """Says in one line what is wrong with a file, and what to do with one that was downloaded."""
    return UserError(f'checkpoint {name} is damaged or no checkpoint ({reason}); {advice_on_copy(name)}')


def _check_meta(meta: Any, name: str) -> None:
    """Refuses a ``meta`` that holds itself, or a few lists so many times that to look at it would not end."""
    pending, count = [meta], 0
    while pending:
        item = pending.pop()
        count += 1
        if count > _MAX_META:
            raise _damaged(name, 'its meta has no end')
        pending += item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()


def _refusal(name: str, reason: str) -> UserError:
    """Says in one line what the unpickler did not like; PyTorch wraps its reason in a page of advice."""
    content = re.search(r'GLOBAL (\S+)|unrecognized function (.*)', reason)
    if not content:
        return _damaged(name, reason)
    return UserError(
        f'checkpoint {name} is refused: beside weights it holds {content[1] or content[2]}, which could run '
        'code; if you trust its origin, load it with --allow-unsafe-checkpoint'
    )


def _number_type(code: str, align: bool = False, copy: bool = True) -> np.dtype[Any]:
    if not _NUMBER_TYPES.fullmatch(code):
        raise UnpicklingError(f'GLOBAL numpy.dtype({code!r})')
    return np.dtype(code, align, copy)


def _history_statistic(owner: Any, name: str) -> Callable[..., Any]:
    if owner is not HistoryBuffer or name not in _HISTORY_STATISTICS:
        raise UnpicklingError('GLOBAL builtins.getattr')
    statistic: Callable[..., Any] = getattr(HistoryBuffer, name)
    return statistic


_ALLOWED: list[Any] = [
    HistoryBuffer,
    (OrderedDict, 'mmengine.config.config.ConfigDict'),
    np.ndarray,
    (_number_type, 'numpy.dtype'),
    (_history_statistic, 'builtins.getattr'),
    (lambda: b'', 'builtins.bytes'),
    *((np.array(0).__reduce__()[0], f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
    *((np.float64(0).__reduce__()[0], f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
    *{type(np.dtype(code)) for code in _NUMBERS},
]
"""What a checkpoint may name beside PyTorch's own list: classes, and functions with the name they have.

NumPy 1 and 2 call the same functions by different names. ``getattr`` and ``numpy.dtype`` can do too much, so
that their names mean functions here which only do what a checkpoint needs; so does ``bytes``, the content of
an array without elements. PyTorch fills no dicts but its own, and MMEngine up to 0.7 pickled its
``ConfigDict`` empty, with the items to follow.
"""
