"""State-dict layouts of the real projects, as ``benchmarks/parity`` wrote them, and state dicts of them."""

from pathlib import Path

import torch

from benchmarks.parity import layout_file
from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture

DATA = Path(__file__).parents[1] / 'data'


def read_layouts(name):
    """Model -> tensor name -> shape."""
    return layout_file.read(DATA / name)


MEGVII = read_layouts('megvii_yolox_keys.json')


def megvii_weights(model, device='meta'):
    """A state dict as Megvii's project has it; without values by default."""
    return {key: torch.zeros(shape, device=device) for key, shape in MEGVII[model].items()}


def our_weights(architecture, device='meta'):
    """A state dict of ours; without values by default."""
    return {name: torch.zeros(shape, device=device) for name, shape in architecture.shapes().items()}


def published(model, **fields):
    return Architecture(model, *PUBLISHED[model], **fields)


def assert_all_used(weights, source, architecture):
    """Converts the weights of a model: each is used, and together they are the whole of ours."""
    conversion = convert(weights)
    assert conversion.source.name == source
    assert conversion.architecture == architecture
    assert (conversion.unused, conversion.dropped, conversion.missing) == ({}, {}, ())
    assert set(conversion.used.values()) == set(weights)
    assert list(conversion.state_dict) == list(conversion.architecture.shapes())
