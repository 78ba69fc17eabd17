"""Weights to compare two networks on; needs torch alone, as it runs in the peers' environments."""

from typing import Any

import torch
from torch import Tensor, nn

SIZE = (2, 3, 224, 288)


def random_images() -> Tensor:
    """Noise, (2, 3, 224, 288) float64, 0-255."""
    return torch.rand(SIZE, dtype=torch.float64) * 255


@torch.no_grad()
def randomise(model: nn.Module, *rest: Any) -> Tensor:
    """Makes no norm layer trivial: random weights and biases, and statistics measured on random images.

    All is taken to float64: what two networks then differ in is not the order of their sums, which random
    weights blow up to some 1e-4 in float32.

    Args:
        model: Its convolutions are random already.
        *rest: What it takes after the images.

    Returns:
        These images, see :func:`random_images`: outputs for them are of order 1 whatever the model.
    """
    model.double()
    images = random_images()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
    model(images, *rest)
    model.eval()
    return images
