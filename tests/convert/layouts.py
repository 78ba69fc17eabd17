"""State-dict layouts of the real projects, as ``tests/parity`` wrote them, and state dicts of them."""

import json
from pathlib import Path

import torch

from mmyolox.convert.architecture import PUBLISHED, Architecture
from mmyolox.convert.conversion import convert

DATA = Path(__file__).parents[1] / 'data'


def read_layouts(name):
    """Model -> tensor name -> shape."""
    content = json.loads((DATA / name).read_text())
    return {
        model: {key: tuple(row[i]) for key, row in content['shapes'].items() if row[i] is not None}
        for i, model in enumerate(content['models'])
    }


MEGVII = read_layouts('megvii_yolox_keys.json')


def megvii_weights(model, device='meta'):
    """A state dict as Megvii's project has it; without values by default."""
    return {key: torch.zeros(shape, device=device) for key, shape in MEGVII[model].items()}


def our_weights(architecture, device='meta'):
    """A state dict of ours; without values by default."""
    return {name: torch.zeros(shape, device=device) for name, shape in architecture.shapes().items()}


def published(model, **fields):
    return Architecture(model, *PUBLISHED[model], **fields)


def assert_all_used(weights, source, size):
    """Converts the weights of a published model: each is used, and together they are the whole of ours."""
    conversion = convert(weights)
    assert conversion.source.name == source
    assert conversion.architecture == published(size)
    assert (conversion.unused, conversion.dropped, conversion.missing) == ({}, {}, ())
    assert sorted(conversion.used.values()) == sorted(weights)
    assert list(conversion.state_dict) == list(conversion.architecture.shapes())
