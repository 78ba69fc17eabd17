"""ncnn, through its converter pnnx from TorchScript."""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector

from .description import describe
from .loaded import LoadedGraph, read_sidecar, write_sidecar
from .options import ExportOptions
from .torchscript import example, trace

_INPUT, _OUTPUT = 'in0', 'out0'


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.param``, ``NAME.bin`` and ``NAME.json``; see :meth:`.formats.Format.export`.

    The blob ``in0`` takes an image without the axis of the batch, ``out0`` gives its rows; ``fp16`` stores
    weights in 16 bits.
    """
    import pnnx

    info = describe(model, options)
    shape = ','.join(map(str, example(model, options).shape))
    parts = (dst, dst.with_suffix('.bin'))
    # The converter writes more files, beside the one that it reads.
    with TemporaryDirectory(dir=dst.parent) as folder:
        traced = Path(folder) / 'model.pt'
        trace(model, options).save(str(traced))
        written = (traced.with_suffix('.param'), traced.with_suffix('.bin'))
        command = [
            pnnx.EXEC_PATH,
            str(traced),
            f'inputshape=[{shape}]f32',
            f'fp16={int(options.precision.name == "fp16")}',
            f'ncnnparam={written[0]}',
            f'ncnnbin={written[1]}',
        ]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode or not all(part.is_file() for part in written):
            raise UserError(f'pnnx could not convert the network: {done.stdout.strip().splitlines()[-1:]}')
        for source, target in zip(written, parts, strict=True):
            source.replace(target)
    write_sidecar(dst, info)


def load(path: Path) -> Runtime:
    """Opens the files in ncnn, on the CPU in float32."""
    import ncnn

    info = read_sidecar(path)
    net = ncnn.Net()
    options = net.opt
    options.use_vulkan_compute = False
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix('.bin'))):
        raise UserError(f'{path}: ncnn cannot load it, it is damaged or has layers that it does not know')

    def compute(batch: Array) -> list[Array]:
        extractor = net.create_extractor()
        extractor.input(_INPUT, ncnn.Mat(batch[0]).clone())
        _, rows = extractor.extract(_OUTPUT)
        return [np.array(rows)[None]]

    return LoadedGraph(compute, (1, _channels(path), *info.input_size), info.to_json())


def _channels(path: Path) -> int:
    """Channels of the images, from the first convolution: its numbers of outputs, weights and their size."""
    found = re.search(r'^Convolution .* 0=(\d+) 1=(\d+) .*\b6=(\d+)', path.read_text(), re.MULTILINE)
    if found is None:
        raise UserError(f'{path}: it has no convolution')
    outputs, side, weights = map(int, found.groups())
    return weights // (outputs * side * side)
