"""Compares our networks' outputs with those of the ONNX files that they are converted from.

    benchmarks/parity/make_env.sh megvii
    python benchmarks/parity/megvii_onnx.py [--models nano tiny s darknet53]

Each model is exported in Megvii's own environment (``megvii_onnx_peer.py``). The file as it is, with decoded
boxes, simplified by onnxslim, and without names as old exporters wrote it and in another order of the nodes,
goes through our converter; our network must give the rows of ONNX Runtime on the raw file to 1e-4, with its
batch norms and with these folded back into the convolutions.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxslim
import torch
from converted import compare, converted, logits
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn

HERE = Path(__file__).parent
SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53')


def anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with numbers for names, no names of nodes, and another valid order of the nodes."""
    graph = model.graph
    kept = {value.name for value in (*graph.input, *graph.output)} | {''}
    numbers = count(400)
    names: dict[str, str] = {name: name for name in kept}
    for node in graph.node:
        node.ClearField('name')
        for field in (node.input, node.output):
            field[:] = [names.setdefault(name, str(next(numbers))) for name in field]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    del graph.value_info[:]
    nodes = late_first(list(graph.node))
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def late_first(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Orders nodes so that of those whose inputs are there the last one comes first."""
    waiting = {output for node in nodes for output in node.output}
    ordered: list[onnx.NodeProto] = []
    while nodes:
        ready = max(i for i, node in enumerate(nodes) if waiting.isdisjoint(node.input))
        ordered.append(nodes.pop(ready))
        waiting.difference_update(ordered[-1].output)
    return ordered


VARIANTS: dict[str, tuple[str, Callable[[onnx.ModelProto], onnx.ModelProto]]] = {
    'raw': ('raw', lambda model: model),
    'decoded': ('decoded', lambda model: model),
    'raw, simplified': ('raw', onnxslim.slim),
    'decoded, simplified': ('decoded', onnxslim.slim),
    'raw, anonymous': ('raw', anonymous),
    'decoded, anonymous': ('decoded', anonymous),
}
"""Name -> the exported file, and what is done to it."""


def raw_rows(network: nn.ModuleDict, images: Tensor) -> Tensor:
    """Our outputs as (B, N, 5 + C): raw box, and the scores of objectness and classes."""
    levels = zip(*logits(network, images), strict=True)
    rows = [torch.cat([reg, obj.sigmoid(), cls.sigmoid()], dim=1).flatten(2) for cls, reg, obj in levels]
    return torch.cat(rows, dim=2).transpose(1, 2)


def is_equal(python: str, size: str) -> bool:
    """Compares all variants of one size."""
    experiment = 'yolov3' if size == 'darknet53' else f'yolox_{size}'
    with tempfile.TemporaryDirectory() as folder:
        peer = [python, '-W', 'ignore', str(HERE / 'megvii_onnx_peer.py'), experiment, folder]
        subprocess.run(peer, check=True)
        images = np.load(Path(folder, 'images.npy'))
        session = onnxruntime.InferenceSession(Path(folder, 'raw.onnx'))
        theirs = torch.from_numpy(session.run(None, {'images': images})[0])
        equal = []
        for name, (exported, change) in VARIANTS.items():
            path = Path(folder, 'variant.onnx')
            onnx.save(change(onnx.load(Path(folder, f'{exported}.onnx'))), path)
            network = converted(path, 'onnx', size).float()
            for label in ('', ', fused'):
                if label:
                    fuse_conv_bn(network)
                rows = raw_rows(network, torch.from_numpy(images))
                equal.append(compare(f'{size}, {name}{label}', [rows], [theirs]))
    return all(equal)


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's', 'darknet53'], choices=SIZES)
    parser.add_argument('--python', default='.venv-parity/megvii/bin/python', help="Megvii's interpreter")
    args = parser.parse_args()
    equal = [is_equal(args.python, size) for size in args.models]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
