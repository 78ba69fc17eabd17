"""Weight files of all kinds with changed bits, missing and additional bytes: read, or refused in a line."""

import random
import resource
import time

import numpy as np
import pytest
import torch
from onnx import helper

from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.safetensors_file import write_checkpoint
from mmyolox.errors import UserError
from tests.checkpoints import mindspore_writer
from tests.checkpoints.test_onnx_graphs import CONV, WEIGHT, graph_file

WEIGHTS = {f'backbone.{i}.weight': torch.full((3, 2, 3, 3), i + 0.5) for i in range(4)}
CONTENT = dict(state_dict=WEIGHTS, meta=dict(epoch=3, sigmas=np.float32([1, 2])))
WRITERS = dict(
    zip=lambda path: torch.save(CONTENT, path),
    legacy=lambda path: torch.save(CONTENT, path, _use_new_zipfile_serialization=False),
    safetensors=lambda path: write_checkpoint(path, WEIGHTS, dict(epoch=3)),
    mindspore=lambda path: path.write_bytes(mindspore_writer.checkpoint(WEIGHTS)),
    onnx=lambda path: graph_file(path, [CONV, helper.make_node('Relu', ['c'], ['y'])], [WEIGHT]),
)
CASES = 150


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cuts a file off, takes or adds bytes, or changes bits; often near its start, where the structure is."""
    changed, end = bytearray(content), rng.choice((len(content), min(len(content), 600)))
    at, count = rng.randrange(end), rng.choice((1, 1, 2, 5, 20))
    kind = rng.choice(('cut', 'take', 'add', 'flip', 'flip', 'flip'))
    if kind == 'cut':
        del changed[at:]
    elif kind == 'take':
        del changed[at : at + count]
    elif kind == 'add':
        changed[at:at] = rng.randbytes(count)
    else:
        for _ in range(count):
            changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize('kind', WRITERS)
def test_damage_is_found_or_harmless(tmp_path, kind):
    rng = random.Random(kind)
    WRITERS[kind](tmp_path / 'whole.pth')
    whole, memory = (tmp_path / 'whole.pth').read_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    messages: list[str] = []
    for case in range(CASES):
        path = tmp_path / f'{case}.pth'
        path.write_bytes(damaged(whole, rng))
        begin = time.monotonic()
        try:
            found = read_weights(path)[0]
        except UserError as error:
            messages.append(str(error))
        else:
            if kind == 'zip':  # has checksums
                assert all(torch.equal(found[name], tensor) for name, tensor in WEIGHTS.items()), case
        assert time.monotonic() - begin < 5, case
    assert len(messages) > CASES / 4
    assert not [message for message in messages if '\n' in message or len(message) > 500]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 1 << 20  # KiB
