"""MindSpore's YOLOX: MindYOLO (0.1 to 0.5), and the model zoo's (official/cv/YOLOX, DarkNet53 and X).

Both are Megvii's network, with these differences, which a translation evens out:

- Batch norm's tensors are called gamma, beta, moving_mean and moving_variance.
- MindYOLO numbers its layers, and takes images as RGB from 0 to 1 where ours are BGR from 0 to 255: the
  stem's weights change their channels, and its batch norm's statistics are those of features 255 times as
  large. (The weights stay as large as they are: smaller ones would learn faster than all others.)
- The zoo has batch norm with MindSpore's epsilon 1e-5, ours is 1e-3: gamma makes up for it. Its SPP pads
  with zeros before it pools, where all others leave the border out: a ``border`` is added to the weights, by
  which they are known to need ``spp_zero_padding``.

``.ckpt`` files are read without MindSpore. Such a file is one protobuf message, a list of named tensors, that
MindSpore 1.x and 2.x write tensor by tensor (``mindspore/train/serialization.py``); after ``crc_check=True``
a checksum follows. It is read tensor by tensor here, too: protobuf takes no message of more than 2 GiB.
"""

import functools
import math
import re
from binascii import crc32
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.models.networks.blocks import BN

from .base import Source, Translation, replace_prefix
from .megvii import rename_key

_EPS: float = BN['eps']
_ZOO_EPS = 1e-5
_SPP_BORDER = dict(csp='backbone.stage4.1.border', darknet53='backbone.stage4.7.border')
_PIXEL_RANGE = 255

_AVERAGED = 'ema.'
_WRAPPERS = re.compile(r'^(?:ema\.|network\.)+')
_HEADS = {'24': 'csp', '32': 'darknet53'}
"""MindYOLO's number of the head -> the backbone before it."""

_MINDYOLO_LAYERS: dict[str, dict[int, str]] = {
    'csp': {
        0: 'backbone.backbone.stem',
        **{i: f'backbone.backbone.dark{(i + 3) // 2}.{1 - i % 2}' for i in range(1, 9)},
        9: 'backbone.backbone.dark5.2',
        10: 'backbone.lateral_conv0',
        13: 'backbone.C3_p4',
        14: 'backbone.reduce_conv1',
        17: 'backbone.C3_p3',
        18: 'backbone.bu_conv2',
        20: 'backbone.C3_n3',
        21: 'backbone.bu_conv1',
        23: 'backbone.C3_n4',
        24: 'head',
    },
    'darknet53': {
        **{i: f'backbone.backbone.stem.{i}' for i in range(3)},
        **{i: f'backbone.backbone.dark{(i + 1) // 2}.0' for i in (3, 5, 7, 9)},
        **{i: f'backbone.backbone.dark5.{i - 6}' for i in range(11, 16)},
        16: 'backbone.out1_cbl',
        **{i: f'backbone.out1.{i - 19}' for i in range(19, 24)},
        24: 'backbone.out2_cbl',
        **{i: f'backbone.out2.{i - 27}' for i in range(27, 32)},
        32: 'head',
    },
}
"""MindYOLO's number of a layer -> Megvii's name of it."""

_RESIDUALS = {
    'model.model.2': 'backbone.backbone.stem.2',
    **{
        f'model.model.{2 * stage}.{block}': f'backbone.backbone.dark{stage}.{block + 1}'
        for stage, depth in ((2, 2), (3, 8), (4, 8), (5, 4))
        for block in range(depth)
    },
}
_MINDYOLO_NAMES = {
    backbone: {f'model.model.{number}.': f'{name}.' for number, name in layers.items()}
    for backbone, layers in _MINDYOLO_LAYERS.items()
}
_MINDYOLO_NAMES['darknet53'] |= {
    f'{theirs}.conv{i}.': f'{ours}.layer{i}.' for theirs, ours in _RESIDUALS.items() for i in (1, 2)
}

_ZOO_PARTS = {'stem': 'stems'} | {
    part: part for part in ('cls_convs', 'reg_convs', 'cls_preds', 'reg_preds', 'obj_preds')
}
_ZOO_NAMES = {
    f'head_{size}.{theirs}.': f'head.{ours}.{level}.'
    for level, size in enumerate('lms')  # a head a level instead of a list a layer
    for theirs, ours in _ZOO_PARTS.items()
}

_NORM = {'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean', 'moving_variance': 'running_var'}
_TRAINING = re.compile(r'[^.]+$|(?:moments|accum|stat|moment1|moment2)\.')
"""Names of numbers (learning_rate, updates) and of the states of the optimizers."""

_ENCRYPTED_START = b'\xd8\x5e\x3a\x7f'
_VALUE_START = b'\x0a'  # field 1 of Checkpoint, a message with its length
FIRST_BYTES = (_VALUE_START, _ENCRYPTED_START)
_CHECKSUM_START = b'crc_num'
_CHECKSUM_LENGTH = len(_CHECKSUM_START) + 10

_MAX_ELEMENTS = 1 << 60

_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    'TensorProto': (
        ('dims', 1, 'repeated int64'),
        ('tensor_type', 2, 'required string'),
        ('tensor_content', 3, 'required bytes'),
    ),
    'Value': (('tag', 1, 'required string'), ('tensor', 2, 'optional TensorProto')),
}
"""MindSpore's checkpoint.proto, as far as tensors go: message -> name, number and type of its fields."""

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
                # A required field is absent; or the name is no UTF-8, and comes as bytes.
                if not value.IsInitialized() or not isinstance(value.tag, str):
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


def _tensor(path: Path, name: str, dtype: str, dims: list[int], chunks: list[bytes]) -> Tensor:
    """Joins the parts of a tensor, which MindSpore splits above 512 MiB."""
    if dtype not in _DTYPES:
        raise UserError(f'{path}: tensor {name} is of type {dtype}, which cannot be read here')
    content = bytearray().join(chunks)
    if dims == [0] and content:
        dims = []  # how old versions store a number
    # PyTorch counts the bytes of an empty tensor as if no axis was empty.
    is_possible = min(dims, default=0) >= 0 and math.prod(size or 1 for size in dims) < _MAX_ELEMENTS
    if not is_possible or len(content) != math.prod(dims) * _DTYPES[dtype].itemsize:
        raise UserError(
            f'{path} is damaged: tensor {name} has {len(content)} bytes for shape {dims}, {dtype}'
        )
    if not content:
        return torch.empty(dims, dtype=_DTYPES[dtype])
    return torch.frombuffer(content, dtype=_DTYPES[dtype]).reshape(dims)


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
    """The class of the message ``Value``, and the exception that its parser raises."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
    except ImportError as error:
        raise UserError('reading MindSpore checkpoints needs the package protobuf: install it') from error

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name='mindspore_checkpoint.proto', package='mmyolox')
    for message_name, fields in _FIELDS.items():
        message_type = file.message_type.add(name=message_name)
        for name, number, description in fields:
            label, type_name = description.split()
            field = message_type.field.add(name=name, number=number)
            field.label = getattr(field_type, f'LABEL_{label.upper()}')
            if type_name in _FIELDS:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f'.mmyolox.{type_name}'
            else:
                field.type = getattr(field_type, f'TYPE_{type_name.upper()}')
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName('mmyolox.Value')
    return message_factory.GetMessageClass(descriptor), message.DecodeError


def _recognises(names: Collection[str]) -> bool:
    is_zoo = any(re.search(r'\bhead_l\.obj_preds\.weight$', name) for name in names)
    return is_zoo or _backbone(names) is not None


def _backbone(names: Collection[str]) -> str | None:
    """Which of MindYOLO's models tensors are of, by the position of its head."""
    for name in names:
        head = re.search(r'\bmodel\.model\.(\d+)\.obj_preds\.0\.weight$', name)
        if head:
            return _HEADS.get(head[1])
    return None


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    """Translates the weights, averaged ones where there are both, and drops the rest."""
    backbone = _backbone(state_dict)
    translation = Translation()
    plain_names = {name: _WRAPPERS.sub('', name) for name in state_dict}
    averaged = {plain_name for name, plain_name in plain_names.items() if name.startswith(_AVERAGED)}
    for name, plain_name in plain_names.items():
        if _TRAINING.match(plain_name):
            translation.dropped[name] = 'a state of the training'
        elif plain_name in averaged and not name.startswith(_AVERAGED):
            translation.dropped[name] = 'the raw weights; their moving average is taken'
        else:
            megvii_name = replace_prefix(plain_name, _MINDYOLO_NAMES[backbone] if backbone else _ZOO_NAMES)
            module, _, part = megvii_name.rpartition('.')
            translation.add(name, rename_key(f'{module}.{_NORM.get(part, part)}'), state_dict[name])
    tensors = translation.tensors
    if backbone is None:
        for name in [name for name in tensors if name.endswith('.running_var')]:
            _change_epsilon(tensors, name.removesuffix('.running_var'), _ZOO_EPS)
        is_csp = 'backbone.stem.conv.conv.weight' in tensors
        tensors[_SPP_BORDER['csp' if is_csp else 'darknet53']] = torch.zeros(())
    else:
        _change_images(tensors, 'backbone.stem.' + ('conv' if backbone == 'csp' else '0'))
    return translation


def _change_images(tensors: dict[str, Tensor], stem: str) -> None:
    """Makes a stem for RGB images from 0 to 1 one for BGR images from 0 to 255.

    Args:
        tensors: The tensors in our layout; those of the stem are replaced, if it is complete.
        stem: The name of its convolution and batch norm.
    """
    weight, mean, variance = f'{stem}.conv.weight', f'{stem}.bn.running_mean', f'{stem}.bn.running_var'
    if not {weight, f'{stem}.bn.weight', mean, variance} <= tensors.keys():
        return
    patches = 4 if stem.endswith('conv') else 1  # Focus makes 4 patches of a pixel block, one after the other
    shape = tensors[weight].shape
    tensors[weight] = tensors[weight].reshape(shape[0], patches, -1, *shape[2:]).flip(2).reshape(shape)
    dtype = tensors[variance].dtype
    tensors[mean] = tensors[mean] * _PIXEL_RANGE
    tensors[variance] = tensors[variance].double() * _PIXEL_RANGE**2
    _change_epsilon(tensors, f'{stem}.bn', _EPS * _PIXEL_RANGE**2)
    tensors[variance] = tensors[variance].to(dtype)


def _change_epsilon(tensors: dict[str, Tensor], norm: str, old: float) -> None:
    """Makes a batch norm with another epsilon one with ours: the same function in prediction."""
    gamma, variance = tensors.get(f'{norm}.weight'), tensors[f'{norm}.running_var'].double()
    if gamma is not None:
        ratio = ((variance + _EPS) / (variance + old)).sqrt()
        tensors[f'{norm}.weight'] = (gamma * ratio).to(gamma.dtype)


SOURCE = Source('mindspore', "MindSpore: MindYOLO, or the model zoo's YOLOX", _recognises, _translate)
