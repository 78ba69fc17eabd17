"""Runs one model of Megvii's YOLOX 0.3.0 and stores what it saw and said; runs in Megvii's environment.

    python megvii_peer.py EXPERIMENT OUT.pth [WEIGHTS.pth]

EXPERIMENT is a name of ``yolox.exp.default`` (yolox_s, yolov3, ...). Without WEIGHTS the weights are random.
OUT.pth holds the state dict as ``model``, the ``images`` and the raw ``cls``, ``reg``, ``obj`` logits of
every level, all in float64.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1]))

from peers import prepare_megvii

prepare_megvii()

from random_weights import random_images, randomise  # noqa: E402
from yolox.exp import get_exp  # noqa: E402


def record(model: nn.Module, images: Tensor) -> dict[str, list[Tensor]]:
    """The outputs of the prediction layers, level by level."""
    outputs: dict[str, list[Tensor]] = {'cls': [], 'reg': [], 'obj': []}
    for kind, kept in outputs.items():
        for layer in getattr(model.head, f'{kind}_preds'):
            layer.register_forward_hook(lambda _module, _inputs, output, kept=kept: kept.append(output))
    model(images)
    return outputs


@torch.no_grad()
def main(experiment: str, out: str, weights: str = '') -> None:
    """Builds, fills, runs and stores the model."""
    torch.manual_seed(0)
    model = get_exp(exp_name=experiment).get_model().eval()
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True)['model'])
        model.double()
        images = random_images()
    else:
        images = randomise(model)
    torch.save(dict(model=model.state_dict(), images=images, **record(model, images)), out)


if __name__ == '__main__':
    main(*sys.argv[1:])
