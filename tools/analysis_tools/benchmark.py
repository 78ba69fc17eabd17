"""Measures how fast a detector is, stage by stage.

    mmyolox benchmark yolox_s yolox_s --images photos/

A batch goes through four stages, one after the other: *decode* reads the image files, *preprocess* resizes
them, stacks them and moves them to the device, *network* gives the raw outputs, *postprocess* turns these
into boxes on the CPU. Each stage is timed until the device is done. Without a checkpoint the weights are
random: the network takes the same time, the postprocessing does not. ``images/s`` is what one process reaches
without overlapping the stages.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError
from mmyolox.files import atomic_write, check_target
from mmyolox.tool_parser import ToolParser, add_cfg_options
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.apis import TorchDetector
    from mmyolox.models import YOLODetector

STAGES = ('decode', 'preprocess', 'network', 'postprocess')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0], split='val')
    parser.add_argument('config', help='a config file, or the name of one of ours')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='the checkpoint file, its web address, or a name such as yolox_s; default: random weights',
    )
    parser.add_argument('--images', type=Path, help='a folder of images; default: 640x480 images, made up')
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 32], help='(default: 1 32)')
    parser.add_argument('--device', help='such as cpu or cuda:1; default: the accelerator, if there is one')
    parser.add_argument(
        '--dtype', default='float32', help='float32, bfloat16, float16 or auto (default: %(default)s)'
    )
    parser.add_argument(
        '--fuse',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='fold batch norms into convolutions',
    )
    parser.add_argument('--compile', action='store_true', help='run the network through torch.compile')
    parser.add_argument(
        '--threads', type=int, help="of PyTorch and OpenCV on the CPU; default: each one's own"
    )
    parser.add_argument('--repeats', type=int, default=20, help='batches measured (default: %(default)s)')
    parser.add_argument('--warmup', type=int, default=3, help='batches before that (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='keep the figures in this JSON file')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuses what cannot be measured, before anything is loaded."""
    threads = 1 if args.threads is None else args.threads
    for name, number, least in (
        ('batch-sizes', min(args.batch_sizes), 1),
        ('repeats', args.repeats, 1),
        ('warmup', args.warmup, 0),
        ('threads', threads, 1),
    ):
        if number < least:
            raise UserError(f'--{name} {number}: at least {least} is needed')
    if args.out:
        check_target(args.out)


def find_images(folder: Path) -> list[Path]:
    """The images under a folder."""
    from mmyolox.files import list_images

    images = list_images(folder) if folder.is_dir() else []
    if not images:
        raise UserError(f'--images {folder}: there is no such folder, or no image in it')
    return images


def make_images(folder: Path, count: int, channels: int = 3) -> list[Path]:
    """Writes files of 640 x 480 with smooth structures and a little noise, as photographs have.

    They are JPEG files, or NumPy's for numbers of channels that JPEG does not have.
    """
    import cv2
    import numpy as np

    from mmyolox.apis.drawing import write_image

    rng = np.random.default_rng(0)
    is_jpeg = channels in (1, 3)
    paths = [folder / f'{number}.{"jpg" if is_jpeg else "npy"}' for number in range(count)]
    for path in paths:
        coarse = rng.integers(0, 256, (24, 32, channels), dtype=np.uint8)
        noise = rng.normal(scale=4, size=(480, 640, channels))
        smooth = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC).reshape(noise.shape)
        pixels = (smooth + noise).clip(0, 255).astype(np.uint8)
        if is_jpeg:
            write_image(path, pixels)
        else:
            np.save(path, pixels)
    return paths


def random_checkpoint(args: argparse.Namespace, folder: Path) -> Path:
    """Saves random weights with norm statistics of random images: else features fade to (slow) denormals."""
    import logging

    import torch
    from mmengine.registry import init_default_scope
    from torch.nn.modules.batchnorm import _BatchNorm

    from mmyolox.config import load_config
    from mmyolox.registry import MODELS

    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmyolox'))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    logging.disable(logging.WARNING)  # MMEngine reports on every parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = 1.0
    model.train()(255 * torch.rand(4, model.input_channels, 96, 96))
    torch.save(dict(state_dict=model.state_dict()), folder / 'random.pth')
    return folder / 'random.pth'


def time_batch(detector: 'TorchDetector', images: Sequence[Path]) -> list[float]:
    """Takes images through all ``STAGES``; the seconds that each took."""
    import torch

    from mmyolox.datasets import yolox_collate

    model = detector.model
    wait = torch.get_device_module(next(model.parameters()).device).synchronize
    times = [time.perf_counter()]

    def lap() -> None:
        wait()
        times.append(time.perf_counter())

    pixels = [detector.read(image) for image in images]
    lap()
    samples = [detector.prepare(image, {}) for image in pixels]
    batch = model.data_preprocessor(yolox_collate(samples))
    lap()
    outputs = model(batch['inputs'])
    lap()
    [one.cpu() for one in model.bbox_head.postprocess(outputs, batch['data_samples']['metas'])]
    lap()
    return [end - start for start, end in pairwise(times)]


def measure(
    model: 'YOLODetector', images: Sequence[Path], batch_size: int, warmup: int, repeats: int
) -> dict[str, Any]:
    """The figures of a batch size: seconds at the median and at the 90th percentile of each stage."""
    import numpy as np
    import torch

    from mmyolox.apis import TorchDetector
    from mmyolox.datasets.transforms import UndecodableImageError

    detector, endless = TorchDetector(model), cycle(images)
    try:
        with torch.no_grad():
            runs = [time_batch(detector, list(islice(endless, batch_size))) for _ in range(warmup + repeats)]
    except UndecodableImageError as error:
        raise UserError(str(error)) from error
    seconds = np.array(runs[warmup:])
    columns = dict(zip((*STAGES, 'total'), (*seconds.T, seconds.sum(axis=1)), strict=True))
    return dict(
        batch_size=batch_size,
        stages={
            name: dict(median=float(np.median(column)), p90=float(np.quantile(column, 0.9)))
            for name, column in columns.items()
        },
        images_per_second=batch_size / float(np.median(columns['total'])),
    )


def table(results: Iterable[dict[str, Any]]) -> str:
    """The figures, a line a stage, in milliseconds."""
    lines = [f'{"batch":>5}  {"stage":12}{"median ms":>10}{"p90 ms":>10}{"ms/image":>10}{"images/s":>10}']
    for result in results:
        size = result['batch_size']
        for name, stage in result['stages'].items():
            median, p90 = 1000 * stage['median'], 1000 * stage['p90']
            rate = f'{result["images_per_second"]:10.1f}' if name == 'total' else ''
            lines.append(f'{size:5}  {name:12}{median:10.2f}{p90:10.2f}{median / size:10.2f}{rate}')
    return '\n'.join(lines)


def load_model(args: argparse.Namespace, checkpoint: str | Path) -> 'YOLODetector':
    """The detector as the options want it."""
    import cv2
    import torch

    from mmyolox.apis import init_detector

    if args.threads is not None:
        torch.set_num_threads(args.threads)
        cv2.setNumThreads(args.threads)
    options = (args.cfg_options or {}) | {'model.compile_network': args.compile}
    return init_detector(args.config, checkpoint, args.device, options, fuse=args.fuse, dtype=args.dtype)


def describe(model: 'YOLODetector', args: argparse.Namespace) -> dict[str, Any]:
    """What was measured, on what."""
    import torch

    from mmyolox.utils.devices import device_name

    weight = next(model.parameters())
    return dict(
        config=model.cfg.filename,
        checkpoint=args.checkpoint,
        images=str(args.images) if args.images else None,
        img_scale=list(model.cfg.test_dataloader.dataset.img_scale),
        device=device_name(weight.device),
        dtype=str(weight.dtype).removeprefix('torch.'),
        fuse=args.fuse,
        compile=args.compile,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def main() -> None:
    """Measures every batch size and prints the table."""
    args = parse_args()
    check_args(args)
    from mmyolox.engine.terminal import use_terminal

    use_terminal()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = find_images(args.images) if args.images else []
        model = load_model(args, args.checkpoint or random_checkpoint(args, folder))
        images = found or make_images(folder, max(args.batch_sizes), model.input_channels)
        setting = describe(model, args)
        print(', '.join(f'{key} {value}' for key, value in setting.items()))
        results = [
            measure(model, images, batch_size, args.warmup, args.repeats) for batch_size in args.batch_sizes
        ]
    print(table(results))
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(json.dumps(dict(setting=setting, results=results), indent=1), encoding='utf-8')


if __name__ == '__main__':
    run_tool(main)
