"""The side of a comparison that is ours: a file, through the converter, into a network."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights

TOLERANCE = 1e-4

Levels = Sequence[Tensor]


def converted(path: Path, source: str, size: str) -> nn.ModuleDict:
    """Builds what the converter recognises in a file, and loads it, in float64.

    Args:
        path: The file, as another framework saved it.
        source: The framework that must be recognised.
        size: The model that must be recognised.

    Raises:
        SystemExit: Another one is recognised, or a tensor is left over or missing.
    """
    conversion = convert(read_weights(path)[0])
    found = (conversion.source.name, conversion.architecture.name)
    if found != (source, size) or conversion.unused or conversion.missing:
        raise SystemExit(f'{source} {size}: {found}, {conversion.unused}, {conversion.missing}')
    network = conversion.architecture.build().double().eval()
    network.load_state_dict(conversion.state_dict, strict=True)
    return network


@torch.no_grad()
def logits(network: nn.ModuleDict, images: Tensor) -> tuple[Levels, ...]:
    """The head's outputs: classes, boxes, objectness, and what else it gives, level by level."""
    return network.bbox_head.head_module(network.neck(network.backbone(images)))


def compare(name: str, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Prints the largest difference between tensors; returns whether it is small."""
    difference = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    largest = max(float(b.abs().max()) for b in theirs)
    print(f'{name:28} values to {largest:8.2f}, {difference=:.1e}')
    return difference <= TOLERANCE  # NaN is not
