"""Runs one YOLOX of MindYOLO's or of MindSpore's model zoo and stores what it saw and said.

    python mindspore_peer.py mindyolo SIZE FOLDER
    python mindspore_peer.py zoo darknet53|x FOLDER ZOO

It runs in the peers' environment. ZOO is the folder ``official/cv/YOLOX`` of the zoo's repository, which is
no package. Weights are random, and the batch-norm statistics are those of the images: none is trivial.
FOLDER gets ``weights.ckpt`` and ``outputs.npz`` with ``images`` (B, 3, H, W), BGR from 0 to 255, and the raw
``cls``, ``reg``, ``obj`` logits of the three levels as ``cls0``...
"""

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

SIZE = (2, 3, 96, 128)
Layer = list[Any]

FACTORS = {
    'nano': (0.33, 0.25),
    'tiny': (0.33, 0.375),
    's': (0.33, 0.5),
    'm': (0.67, 0.75),
    'l': (1.0, 1.0),
    'x': (1.33, 1.25),
    'darknet53': (1.0, 1.0),
}


def csp_layers(conv: str, csp: str, head: list[str]) -> tuple[list[Layer], list[Layer]]:
    """Backbone and head of MindYOLO's configs/yolox/yolox-s.yaml: from, number, module, arguments."""
    stages = [
        layer
        for channels, depth in ((128, 3), (256, 9), (512, 9))
        for layer in ([-1, 1, conv, [channels, 3, 2]], [-1, depth, csp, [channels]])
    ]
    last = [[-1, 1, conv, [1024, 3, 2]], [-1, 1, 'SPPF', [1024]], [-1, 3, csp, [1024, False]]]
    neck: list[Layer] = []
    for channels, level in ((512, 6), (256, 4)):
        neck += [[-1, 1, 'ConvNormAct', [channels, 1, 1]], [-1, 1, 'Upsample', [None, 2, 'nearest']]]
        neck += [[[-1, level], 1, 'Concat', [1]], [-1, 3, csp, [channels, False]]]
    for channels, level in ((256, 14), (512, 10)):
        neck += [[-1, 1, conv, [channels, 3, 2]], [[-1, level], 1, 'Concat', [1]]]
        neck += [[-1, 3, csp, [2 * channels, False]]]
    return [[-1, 1, 'Focus', [64, 3]], *stages, *last], [*neck, [[17, 20, 23], 1, 'YOLOXHead', head]]


def darknet_layers() -> tuple[list[Layer], list[Layer]]:
    """Backbone and head of MindYOLO's configs/yolox/yolox-darknet53.yaml."""
    act = 'act=nn.LeakyReLU(0.1)'

    def conv(channels: int, kernel: int = 1, stride: int = 1) -> Layer:
        return [-1, 1, 'ConvNormAct', [channels, kernel, stride, act]]

    backbone = [conv(32, 3)]
    for channels, depth in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        backbone += [conv(channels, 3, 2), [-1, depth, 'Bottleneck', [channels, act]]]
    backbone += [conv(512), conv(1024, 3), [-1, 1, 'SPPF', [512, act]], conv(1024, 3), conv(512)]
    neck: list[Layer] = []
    for channels, level in ((256, 8), (128, 6)):
        neck += [conv(channels), [-1, 1, 'Upsample', [None, 2, 'nearest']], [[-1, level], 1, 'Concat', [1]]]
        neck += [conv(channels * (1 + i % 2), 1 + 2 * (i % 2)) for i in range(5)]
    return backbone, [
        *neck,
        [[31, 23, 15], 1, 'YOLOXHead', ['nc', 'stride', 'is_standard_backbone=False', act]],
    ]


def build_mindyolo(size: str) -> tuple[nn.Cell, dict[str, list[nn.Cell]]]:
    """Returns the model and its prediction layers, level by level."""
    from mindyolo.models.model_factory import create_model
    from mindyolo.utils.config import Config

    if size == 'darknet53':
        backbone, head = darknet_layers()
    elif size == 'nano':
        backbone, head = csp_layers('DWConvNormAct', 'DWC3', ['nc', 'stride', 'depth_wise=True'])
    else:
        backbone, head = csp_layers('ConvNormAct', 'C3', ['nc', 'stride'])
    depth, width = FACTORS[size]
    config = dict(
        stride=[8, 16, 32], depth_multiple=depth, width_multiple=width, backbone=backbone, head=head
    )
    model = create_model('yolox', Config(config), num_classes=80)
    last = model.model.model[-1]
    return model, {kind: list(getattr(last, f'{kind}_preds')) for kind in ('cls', 'reg', 'obj')}


def build_zoo(backbone: str, folder: str) -> tuple[nn.Cell, dict[str, list[nn.Cell]]]:
    """Returns the model and its prediction layers, level by level."""
    sys.path.insert(0, folder)
    from src.yolox import DetectionBlock

    config = SimpleNamespace(num_classes=80, depth_wise=False, input_size=list(SIZE[2:]))
    model = DetectionBlock(config, backbone='yolofpn' if backbone == 'darknet53' else 'yolopafpn')
    heads = [model.head_l, model.head_m, model.head_s]
    return model, {kind: [getattr(head, f'{kind}_preds') for head in heads] for kind in ('cls', 'reg', 'obj')}


def randomise(model: nn.Cell, images: np.ndarray) -> None:
    """Random weights, norm weights and biases; statistics measured on the images.

    Norms scale by little and add something positive, so that activations are nearly linear: rounding errors
    of float32 would be blown up layer by layer else, to 1e-3 (a network of random norms is chaotic).
    """
    generator = np.random.default_rng(0)
    for parameter in model.get_parameters():
        kind, shape = parameter.name.rpartition('.')[2], parameter.shape
        if kind == 'weight':
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            value = generator.uniform(-bound, bound, shape)
        elif kind == 'gamma':
            value = generator.uniform(0.3, 0.8, shape)
        elif kind == 'beta':
            value = generator.uniform(0, 1.5, shape)
        elif kind == 'bias':
            value = generator.normal(0, 0.5, shape)
        else:
            continue
        parameter.set_data(Tensor(value.astype(np.float32)))
    for _, cell in model.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.bn_train = ops.BatchNorm(is_training=True, epsilon=cell.eps, momentum=1.0)
    model.set_train(True)
    model(Tensor(images))
    model.set_train(False)


def record(layers: dict[str, list[nn.Cell]]) -> dict[str, np.ndarray]:
    """Returns a dict that every run of the model fills with the outputs of its prediction layers."""
    outputs: dict[str, np.ndarray] = {}
    for kind, cells in layers.items():
        for level, cell in enumerate(cells):

            def keep(_cell: nn.Cell, _inputs: Any, output: Tensor, key: str = f'{kind}{level}') -> None:
                outputs[key] = output.asnumpy()

            cell.register_forward_hook(keep)
    return outputs


def as_mindyolo_sees(images: np.ndarray) -> np.ndarray:
    """BGR images from 0 to 255 as MindYOLO's transforms hand them to the network: RGB from 0 to 1."""
    return np.ascontiguousarray(images[:, ::-1] / np.float32(255))


def main(project: str, size: str, folder: str, zoo: str = '') -> None:
    """Builds, fills, runs and stores the model."""
    mindspore.set_seed(0)
    model, layers = build_mindyolo(size) if project == 'mindyolo' else build_zoo(size, zoo)
    images = np.random.default_rng(1).uniform(0, 255, SIZE).astype(np.float32)
    inputs = as_mindyolo_sees(images) if project == 'mindyolo' else images
    randomise(model, inputs)
    outputs = record(layers)
    model(Tensor(inputs))
    mindspore.save_checkpoint(model, str(Path(folder, 'weights.ckpt')))
    np.savez(Path(folder, 'outputs.npz'), images=images, **outputs)


if __name__ == '__main__':
    main(*sys.argv[1:])
