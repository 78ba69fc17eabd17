"""Reading MindSpore's ``.ckpt`` files without MindSpore.

Such a file is one protobuf message, a list of named tensors, that MindSpore 1.x and 2.x write tensor by
tensor (``mindspore/train/serialization.py``); after ``crc_check=True`` a checksum follows. It is read tensor
by tensor here, too: a message as a whole may not be larger than 2 GiB.
"""

import functools
import math
from binascii import crc32
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mmyolox.errors import UserError

_ENCRYPTED_START = b'\xd8\x5e\x3a\x7f'
_VALUE_START = b'\x0a'  # field 1 of Checkpoint, a message with its length
FIRST_BYTES = (_VALUE_START, _ENCRYPTED_START)
_CHECKSUM_START = b'crc_num'
_CHECKSUM_LENGTH = len(_CHECKSUM_START) + 10

_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    'TensorProto': (
        ('dims', 1, 'repeated int64'),
        ('tensor_type', 2, 'required string'),
        ('tensor_content', 3, 'required bytes'),
    ),
    'Value': (('tag', 1, 'required string'), ('tensor', 2, 'optional TensorProto')),
}
"""MindSpore's checkpoint.proto, as far as tensors go: message -> name, number and kind of its fields."""

_DTYPES: dict[str, torch.dtype] = {
    'Bool': torch.bool,
    'BFloat16': torch.bfloat16,
    **{f'Float{bits}': getattr(torch, f'float{bits}') for bits in (16, 32, 64)},
    **{f'Int{bits}': getattr(torch, f'int{bits}') for bits in (8, 16, 32, 64)},
    **{f'UInt{bits}': getattr(torch, f'uint{bits}') for bits in (8, 16, 32, 64)},
}


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a MindSpore checkpoint.

    Args:
        path: The file.

    Returns:
        The file's names -> tensors, as they are stored; strings, which may stand beside them, are left out.

    Raises:
        UserError: The file is cut off, damaged, encrypted or no such file, a tensor is of a type that PyTorch
            lacks, or protobuf is not installed.
    """
    chunks: dict[str, list[bytes]] = {}
    headers: dict[str, tuple[str, list[int]]] = {}
    value_type, decode_error = _value_message()
    try:
        with path.open('rb') as file:
            for content in _contents(path, file):
                value = value_type.FromString(content)
                if not value.IsInitialized():  # a required field is absent
                    raise decode_error
                if value.HasField('tensor') and value.tensor.tensor_type != 'str':
                    headers[value.tag] = value.tensor.tensor_type, list(value.tensor.dims)
                    chunks.setdefault(value.tag, []).append(value.tensor.tensor_content)
    except decode_error as error:
        raise UserError(f'{path} is damaged or no MindSpore checkpoint') from error
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}') from error
    if not headers:
        raise UserError(f'{path} is a MindSpore checkpoint without tensors')
    return {name: _tensor(path, name, *headers[name], chunks.pop(name)) for name in headers}


def _tensor(path: Path, name: str, kind: str, dims: list[int], chunks: list[bytes]) -> Tensor:
    """Joins the parts of a tensor, which MindSpore splits above 512 MiB."""
    if kind not in _DTYPES:
        raise UserError(f'{path}: tensor {name} is of type {kind}, which cannot be read here')
    content = bytearray().join(chunks)
    if dims == [0] and content:
        dims = []  # how old versions store a number
    if len(content) != math.prod(dims) * _DTYPES[kind].itemsize:
        raise UserError(f'{path} is damaged: tensor {name} has {len(content)} bytes for shape {dims}, {kind}')
    if not content:
        return torch.empty(dims, dtype=_DTYPES[kind])
    return torch.frombuffer(content, dtype=_DTYPES[kind]).reshape(dims)


def _contents(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yields the serialised values of an open file, and verifies the checksum where there is one."""
    if file.read(len(_ENCRYPTED_START)) == _ENCRYPTED_START:
        raise UserError(
            f'{path} is encrypted; save it again from what mindspore.load_checkpoint(..., dec_key=...) gives'
        )
    end, checksum, expected = file.seek(0, 2), 0, None
    file.seek(max(end - _CHECKSUM_LENGTH, 0))
    tail = file.read()
    if tail.startswith(_CHECKSUM_START):
        end -= _CHECKSUM_LENGTH
        expected = int.from_bytes(tail[len(_CHECKSUM_START) :], 'big')
    file.seek(0)
    while file.tell() < end:
        start = file.tell()
        if file.read(1) != _VALUE_START:
            raise UserError(f'{path} is damaged or no MindSpore checkpoint')
        length = _read_varint(file)
        if length > end - file.tell():
            raise UserError(f'{path} is cut off or damaged: {length} bytes of a tensor should follow')
        content = file.read(length)
        yield content
        if expected is not None:
            head_length = file.tell() - length - start
            file.seek(start)
            checksum = crc32(content, crc32(file.read(head_length), checksum))
            file.seek(length, 1)
    if expected not in (None, checksum):
        raise UserError(f'{path} is damaged: its checksum is wrong')


def _read_varint(file: BinaryIO) -> int:
    """Reads protobuf's number of variable length; a cut-off one ends."""
    number = 0
    for shift in range(0, 64, 7):
        byte = int.from_bytes(file.read(1), 'big')
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return number


@functools.cache
def _value_message() -> tuple[Any, type[Exception]]:
    """Returns the class of the message ``Value``, and the exception that its parser raises."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
    except ImportError as error:
        raise UserError('reading MindSpore checkpoints needs the package protobuf: install it') from error

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name='mindspore_checkpoint.proto', package='mmyolox')
    for message_name, fields in _FIELDS.items():
        message_type = file.message_type.add(name=message_name)
        for name, number, description in fields:
            label, kind = description.split()
            field = message_type.field.add(name=name, number=number)
            field.label = getattr(field_type, f'LABEL_{label.upper()}')
            if kind in _FIELDS:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f'.mmyolox.{kind}'
            else:
                field.type = getattr(field_type, f'TYPE_{kind.upper()}')
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName('mmyolox.Value')
    return message_factory.GetMessageClass(descriptor), message.DecodeError
