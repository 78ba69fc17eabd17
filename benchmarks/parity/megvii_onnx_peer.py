"""Exports one model of Megvii's YOLOX 0.3.0 as its tools/export_onnx.py does; runs in Megvii's environment.

    python megvii_onnx_peer.py EXPERIMENT FOLDER

EXPERIMENT is a name of ``yolox.exp.default`` (yolox_s, yolov3, ...). FOLDER gets ``raw.onnx`` and
``decoded.onnx`` (``--decode_in_inference``), of one model with random weights and batch-norm statistics, and
``images.npy``, which they were measured on. ``export_onnx.py`` itself calls a function of PyTorch's that is
gone; what it asks of it is the same here.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1]))

from peers import prepare_megvii

prepare_megvii()

from yolox.exp import get_exp  # noqa: E402
from yolox.models.network_blocks import SiLU  # noqa: E402
from yolox.utils import replace_module  # noqa: E402

OPSET = 11  # the default of Megvii's tool
SIZE = (2, 3, 96, 128)


@torch.no_grad()
def randomise(model: nn.Module) -> Tensor:
    """Random norm weights and biases, and statistics measured on the images that it returns.

    Norms scale by little and add something positive, so that activations are nearly linear: rounding errors
    of float32, the type of the exported files, would be blown up layer by layer else.
    """
    images = torch.rand(SIZE) * 255
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.3, 0.8)
            nn.init.uniform_(norm.bias, 0, 1.5)
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
    model(images)
    return images


def main(experiment: str, folder: str) -> None:
    """Builds, fills and exports the model."""
    torch.manual_seed(0)
    model = get_exp(exp_name=experiment).get_model().eval()
    model.head.decode_in_inference = False
    images = randomise(model)
    model.eval()
    model = replace_module(model, nn.SiLU, SiLU)
    np.save(Path(folder, 'images.npy'), images.numpy())
    for name, decode in (('raw', False), ('decoded', True)):
        model.head.decode_in_inference = decode
        names = dict(input_names=['images'], output_names=['output'])
        path = str(Path(folder, f'{name}.onnx'))
        torch.onnx.export(model, (images,), path, opset_version=OPSET, dynamo=False, **names)


if __name__ == '__main__':
    main(*sys.argv[1:])
