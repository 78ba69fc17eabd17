"""ncnn, through its converter pnnx from TorchScript."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from mmyolox.errors import UserError
from mmyolox.files import copy_pair
from mmyolox.models import YOLODetector

from .description import describe, write_sidecar
from .options import ExportOptions
from .torch_formats import example, trace


def write_ncnn(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.param``, ``NAME.bin`` and ``NAME.json``; see :func:`.formats.export_model`.

    The blob ``in0`` takes an image without the axis of the batch, ``out0`` gives its predictions; ``fp16``
    stores weights in 16 bits.
    """
    import pnnx

    info = describe(model, options)
    shape = ','.join(map(str, example(model, options).shape))
    # The converter writes more files, beside the one that it reads.
    with TemporaryDirectory() as folder:
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
        copy_pair(written[0], dst, '.bin')
    write_sidecar(dst, info)
