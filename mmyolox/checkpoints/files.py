"""Reading the tensors out of a file of any kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmyolox.errors import UserError

from .load import load_checkpoint

_AVERAGES = ('ema_model', 'ema_net', 'ema')
_ENTRIES = (*_AVERAGES, 'state_dict', 'model', 'net')
"""Where checkpoints keep their weights, the moving average first.

MMEngine's average is under ``state_dict``: its hook swaps both when it saves, so that ``ema_state_dict``
holds the raw weights.
"""

_ONNX_START = b'\x08'  # ModelProto's first field, the number ir_version
_MINDSPORE_STARTS = (
    b'\x0a',
    b'\xd8\x5e\x3a\x7f',
)  # Checkpoint's first field, or the mark of an encrypted one


def read_weights(path: str | Path, allow_unsafe: bool = False) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Reads the weights of a file: a PyTorch checkpoint, MindSpore's ``.ckpt``, or an ONNX model.

    Args:
        path: The file.
        allow_unsafe: As in :func:`mmyolox.checkpoints.load.load_checkpoint`.

    Returns:
        The tensors by the file's names; and what else the file holds (optimizer, epoch, ...), with a remark
        where raw weights are left for their moving average.

    Raises:
        UserError: The file is absent, damaged, of another kind, holds no weights, or would run code.
    """
    return weights_in(load_checkpoint(path, allow_unsafe=allow_unsafe), str(path))


def read_protobuf(path: Path) -> dict[str, Tensor] | None:
    """Reads MindSpore's and ONNX files, which are known by their first bytes.

    Returns:
        The tensors; None for a file of another kind.

    Raises:
        UserError: The file is damaged, or is neither after all.
    """
    with path.open('rb') as file:
        start = file.read(4)
    if start.startswith(_ONNX_START):
        from .sources.onnx import read_model

        return read_model(path)
    if start.startswith(_MINDSPORE_STARTS):
        from .sources.mindspore import read_checkpoint

        return read_checkpoint(path)
    return None


def weights_in(content: Mapping[str, Any], source: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Finds the weights in what a PyTorch checkpoint holds.

    Args:
        content: ``{'state_dict': ...}`` (OpenMMLab), ``{'model': ...}`` (Megvii), ``{'net': ..., 'ema_net':
            ...}`` (SuperGradients), or a state dict by itself.
        source: The file's name, for messages.

    Returns:
        As :func:`read_weights`.

    Raises:
        UserError: There is no state dict.
    """
    entry = next((entry for entry in _ENTRIES if isinstance(content.get(entry), dict)), None)
    state_dict = content if entry is None else content[entry]
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise UserError(f'{source} holds no weights, neither by themselves nor under {", ".join(_ENTRIES)}')
    others = [str(name) for name in state_dict if name not in tensors]
    if entry is not None:
        others += [_remark(name, entry) for name in content if name != entry]
    return tensors, tuple(others)


def recorded_data(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint of OpenMMLab's says of the data set of its training; empty if it says nothing.

    Args:
        content: What the file holds.

    Returns:
        Its ``dataset_meta``; of files from before MMEngine, ``classes`` alone.
    """
    meta = content.get('meta')
    if not isinstance(meta, dict):
        return {}
    classes = meta.get('CLASSES')
    return meta.get('dataset_meta') or (dict(classes=tuple(classes)) if classes else {})


def _remark(name: str, taken: str) -> str:
    """The name of an entry that is left, and whether it holds raw weights."""
    if name == 'ema_state_dict':
        return f'{name} (the raw weights; {taken} holds their moving average)'
    if name in _ENTRIES and taken in _AVERAGES:
        return f'{name} (the raw weights; their moving average {taken} is taken)'
    return str(name)
