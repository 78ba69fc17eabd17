"""Files of safetensors: eight bytes with the length of a JSON header, the header, and the tensors' bytes.

They cannot run code, and have no checksums. What a checkpoint has under ``meta`` stands in the header's
metadata, as JSON.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.files import atomic_write

from .download import advice_on_copy

START_LENGTH = 9
"""Bytes of a file that tell whether it is one."""

_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000  # that of the format
_META = 'mmyolox_meta'


def is_safetensors(start: bytes) -> bool:
    """Whether the first bytes of a file are a plausible length, and the start of a JSON object."""
    length = int.from_bytes(start[:_LENGTH_BYTES], 'little')
    return start[_LENGTH_BYTES:START_LENGTH] == b'{' and length <= _MAX_HEADER


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a file.

    Returns:
        The tensors under ``state_dict``; under ``meta`` what :func:`write_checkpoint` was given.

    Raises:
        UserError: The file is damaged, a tensor is of a type that PyTorch lacks, or safetensors is not
            installed.
    """
    safetensors = _package()
    try:
        with safetensors.safe_open(path, 'pt') as file:
            meta = dict(json.loads((file.metadata() or {}).get(_META, '{}')))
            # A copy, since the file may be written anew while its tensors are in use.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # a damaged file can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f'checkpoint {path} is damaged or no safetensors file ({reason}); {advice_on_copy(path)}'
        ) from error
    return dict(state_dict=tensors, meta=meta)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Writes a file, whole or not at all.

    Args:
        path: The file.
        tensors: The weights; of tensors that share memory, each is written in full.
        meta: What JSON can hold; and NumPy's arrays, which become lists, as tuples do.

    Raises:
        UserError: It cannot be written, safetensors is not installed, or JSON cannot hold ``meta``.
    """
    _package()
    from safetensors.torch import save

    try:
        text = json.dumps(meta, default=np.ndarray.tolist)
    except (TypeError, ValueError) as error:
        raise UserError(f'{path}: the metadata cannot be written as JSON ({error})') from error
    metadata = {'format': 'pt'} | ({_META: text} if meta else {})
    content = save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata)
    with atomic_write(path) as part:
        part.write_bytes(content)


def _package() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise UserError(
            'files of safetensors need the package safetensors: pip install safetensors'
        ) from error
    return safetensors
