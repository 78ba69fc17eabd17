"""Weights to compare two networks on; needs torch alone, as it runs in the peers' environments."""

import torch
from torch import Tensor, nn

SIZE = (2, 3, 224, 288)


def random_images() -> Tensor:
    """(2, 3, 224, 288) float32, 0-255."""
    return torch.rand(SIZE) * 255


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Makes no norm layer trivial: random weights and biases, and statistics measured on random images.

    Outputs are then of order 1, whatever the size of the network.

    Args:
        model: Takes images; its convolutions are random already.
    """
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
            norm.momentum = None
            norm.train()
    for _ in range(2):
        model(random_images())
    model.eval()
