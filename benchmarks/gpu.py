"""What YOLOX costs on a GPU, ours beside MMDetection's in the same environment.

    python benchmarks/gpu.py --data-root path/to/coco
    python benchmarks/gpu.py --device cpu --tiny      # only tries whether everything runs

First the tests that need a device, then, all with mixed precision:

- training: images/s with one batch that stays on the device, eager and compiled, and the peak memory at 640
  and at 800, the largest multi-scale size, beside what is computed without a device;
- data: images/s with the real pipeline, plain, with the files in memory, and cached with colours and flips on
  the device, and the share of what the network could train;
- matching and losses alone, forward and backward: milliseconds, kernels, and their share of the step;
- prediction: latency of single images and images/s of large batches, eager, compiled and as a CUDA graph;
- exported: ONNX Runtime on the GPU and TensorRT, where they are installed.

Each row is written to ``--out`` (JSON) when it is there: a run that is cut off goes on from it. At the end,
the tables and the goals are written beside it as Markdown. Steps are timed in blocks with one synchronisation
at the end of each; figures are medians over blocks.
"""

import argparse
import gc
import logging
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from gpu_models import BATCHES, Batch, Trainer
from gpu_results import Figures, Results
from pipeline import images

ROOT = Path(__file__).parents[1]
STRIDES = (8, 16, 32)
CLASSES = 80
PIPELINES = {
    'plain': ('yolox_{}_fast_8xb8-300e_coco', {}),
    'files in memory': ('yolox_{}_fast_8xb8-300e_coco', {'train_dataloader.dataset.image_cache': 'ram'}),
    'cached, device augmentation': ('yolox_{}_fast_8xb8-300e-cached_coco', {}),
}


def seconds(run: Callable[[], Any], args: argparse.Namespace) -> float:
    """Median seconds of a call over blocks of calls, after one block to warm up."""
    import torch

    wait = torch.cuda.synchronize if args.device == 'cuda' else lambda: None
    blocks = []
    for _ in range(args.blocks + 1):
        start = time.perf_counter()
        for _ in range(args.block):
            run()
        wait()
        blocks.append((time.perf_counter() - start) / args.block)
    return median(blocks[1:])


def peak_gib(run: Callable[[], Any]) -> float:
    """Peak memory of a call on the GPU."""
    import torch

    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    run()
    return torch.cuda.max_memory_allocated() / 2**30


def tests() -> Figures:
    """The tests that need a device."""
    command = [sys.executable, '-m', 'pytest', '-m', 'gpu']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    counts = re.findall(r'(\d+) (passed|failed|skipped|error)', done.stdout)
    return {name: int(count) for count, name in counts} or dict(
        failed=done.stdout[-200:] + done.stderr[-200:]
    )


def training(who: str, size: str, count: int, args: argparse.Namespace, is_compiled: bool) -> Figures:
    """Speed of one model on batches that stay on the device; its memory, if it is not compiled."""
    trainer = Trainer(who, size, args, is_compiled)
    batch = BATCHES[who](count, args.side, args.device)
    step = seconds(lambda: trainer.step(batch), args)
    figures: Figures = {'images/s': count / step, 'ms': 1000 * step}
    if args.device == 'cuda' and not is_compiled:
        larger = BATCHES[who](count, args.side * 5 // 4, args.device)
        figures['GiB at 640'] = peak_gib(partial(trainer.step, batch))
        figures['GiB at 800'] = peak_gib(partial(trainer.step, larger))
    if who == 'ours' and not is_compiled:
        figures['GiB computed'] = computed_gib(size, count, args)
    return figures


def computed_gib(size: str, count: int, args: argparse.Namespace) -> float:
    """What ``mmyolox flops --memory`` says, in a process of its own."""
    tool = ROOT / 'tools' / 'analysis_tools' / 'get_flops.py'
    command = [sys.executable, str(tool), f'yolox_{size}_fast_8xb8-300e_coco', '--memory']
    command += ['--batch', str(count), *(['--amp'] if args.amp else [])]
    command += ['--cfg-options', f'img_scale={args.side},{args.side}']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = re.search(r'memory +([\d.]+) GiB', done.stdout)
    assert found, done.stdout
    return float(found[1])


def with_data(size: str, count: int, name: str, args: argparse.Namespace) -> Figures:
    """Speed of ours with a real pipeline, and its share of the speed without."""
    config, options = PIPELINES[name]
    trainer = Trainer('ours', size, args, config=config.format(size), options=options)
    same = BATCHES['ours'](count, args.side, args.device)
    alone = seconds(lambda: trainer.step(same), args)
    stream = real_batches(trainer.cfg, count, args.workers)
    step = seconds(lambda: trainer.step(next(stream)), args)
    return {'images/s': count / step, 'of the network': alone / step}


def real_batches(cfg: Any, count: int, workers: int) -> Iterator[Batch]:
    """Endless batches of our training pipeline."""
    from mmengine.runner import Runner

    loader = cfg.train_dataloader
    loader.update(batch_size=count, num_workers=workers, persistent_workers=workers > 0)
    loader.sampler = dict(type='InfiniteSampler', shuffle=True)
    return iter(Runner.build_dataloader(loader, seed=0))


def after_network(who: str, size: str, count: int, args: argparse.Namespace, is_compiled: bool) -> Figures:
    """Matching and losses of one head, forward and backward, on fixed outputs of the network."""
    import torch

    trainer = Trainer(who, size, args)
    batch = BATCHES[who](count, args.side, args.device)
    step = seconds(lambda: trainer.step(batch), args)
    head = trainer.model.bbox_head
    data = trainer.model.data_preprocessor(batch, True)
    with torch.no_grad():
        outputs = [[level.detach() for level in kind] for kind in trainer.network(data['inputs'])]
    leaves = [level.requires_grad_() for kind in outputs for level in kind]
    if is_compiled:
        head.after_network.compile(dynamic=True)

    def losses() -> dict[str, Any]:
        samples = data['data_samples']
        if who == 'ours':
            from mmyolox.models import HeadOutputs

            found: dict[str, Any] = head.after_network(head, HeadOutputs(*outputs), samples)
            return found
        truths, metas = [s.gt_instances for s in samples], [s.metainfo for s in samples]
        return head.loss_by_feat(*outputs, truths, metas)

    def run() -> None:
        with trainer.precision():
            total = sum(losses().values())
        torch.autograd.grad(total, leaves)

    alone = seconds(run, args)
    return {'ms': 1000 * alone, 'kernels': kernels(run, args.device), 'of the eager step': alone / step}


def kernels(run: Callable[[], None], device: str) -> int:
    """How many kernels a call launches; on the CPU, how many operators it calls."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == 'cuda')
    run()
    with profile(activities=activities) as profiler:
        run()
    events = profiler.events()
    if device == 'cuda':
        return sum(event.device_type == DeviceType.CUDA for event in events)
    return sum(event.name.startswith('aten::') for event in events)


def prediction(who: str, size: str, args: argparse.Namespace, is_compiled: bool) -> Figures:
    """Latency of one image and images/s of many, with and without postprocessing."""
    import torch

    trainer = Trainer(who, size, args)
    trainer.for_prediction(args, is_compiled)
    one, many = (BATCHES[who](count, args.side, args.device) for count in (1, args.large))
    inputs = [trainer.model.data_preprocessor(batch, False)['inputs'] for batch in (one, many)]
    with torch.no_grad():
        figures: Figures = {
            'ms, 1 image': 1000 * seconds(lambda: trainer.predict(one), args),
            f'images/s, {args.large}': args.large / seconds(lambda: trainer.predict(many), args),
            'network ms, 1 image': 1000 * seconds(lambda: trainer.network(inputs[0]), args),
            f'network images/s, {args.large}': args.large / seconds(lambda: trainer.network(inputs[1]), args),
        }
        if args.device == 'cuda' and not is_compiled:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                trainer.network(inputs[0])
            figures['as a graph ms, 1 image'] = 1000 * seconds(graph.replay, args)
    return figures


def exported(runtime: str, size: str, count: int, args: argparse.Namespace) -> Figures:
    """A batch through the network in a file: of ONNX Runtime, or TensorRT's."""
    import numpy as np

    from mmyolox.deploy.letterbox import Size
    from mmyolox.deploy.runtimes import open_tensorrt
    from mmyolox.export.formats import export_model, find_format, unavailable
    from mmyolox.export.options import ExportOptions

    format = find_format('tensorrt' if runtime == 'TensorRT' else 'onnx')
    if (reason := unavailable(format)) is not None:
        return dict(failed=reason)
    batch = np.random.default_rng(0).uniform(0, 255, (count, 3, args.side, args.side)).astype(np.float32)
    trainer = Trainer('ours', size, args)
    with tempfile.TemporaryDirectory() as folder:
        options = ExportOptions(Size(args.side, args.side), batch=count)
        path = export_model(format, trainer.exportable(Path(folder)), Path(folder, 'model'), options)
        if runtime == 'TensorRT':
            run = open_tensorrt(path).run
        else:
            import onnxruntime

            provider = dict(cuda='CUDAExecutionProvider', cpu='CPUExecutionProvider')[args.device]
            if provider not in onnxruntime.get_available_providers():
                return dict(failed=f'ONNX Runtime has no {provider}')
            session = onnxruntime.InferenceSession(str(path), providers=[provider])
            name = session.get_inputs()[0].name
            run = lambda batch: session.run(None, {name: batch})  # noqa: E731
        step = seconds(lambda: run(batch), args)
    return {'ms': 1000 * step, 'images/s': count / step}


def goals(results: Results, large: int) -> str:
    """What was aimed at on one H100, and what there is."""
    figure = results.figure
    ours, theirs = (figure('matching and losses', f'{who}, 32', 'ms') for who in ('ours', 'mmdet'))
    ratio = theirs / ours if ours and theirs else None
    found = {
        'training s, 1,200 images/s': (figure('training', 'ours, s, 32', 'images/s'), 1200),
        'prediction s, 8,000 images/s': (figure('prediction', 'ours, s', f'images/s, {large}'), 8000),
        'the real pipeline, 0.9 of the network': (
            figure('data', 's, 32, cached, device augmentation', 'of the network'),
            0.9,
        ),
        'matching and losses, 10 times as fast as MMDetection': (ratio, 10),
        'matching and losses, 0.05 of the step at most': (
            figure('matching and losses', 'ours, 32', 'of the eager step'),
            -0.05,
        ),
    }
    lines = []
    for goal, (value, least) in found.items():
        met = 'not measured' if value is None else 'met' if (value >= least) == (least > 0) else 'missed'
        lines.append(f'- {goal}: {met}' + ('' if value is None else f' ({value:.3g})'))
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='YOLOX on a GPU, ours and MMDetection')
    parser.add_argument('--data-root', type=Path, help="folder with COCO's layout (default: made images)")
    parser.add_argument('--out', type=Path, default=Path('gpu.json'), help='where figures are kept')
    parser.add_argument('--models', nargs='+', default=['nano', 's', 'x'])
    parser.add_argument('--batches', nargs='+', type=int, default=[8, 32])
    parser.add_argument('--large', type=int, default=64, help='batch of the throughput of prediction')
    parser.add_argument('--side', type=int, default=640)
    parser.add_argument('--workers', type=int, default=16)
    parser.add_argument('--block', type=int, default=20, help='steps in a block')
    parser.add_argument('--blocks', type=int, default=5)
    parser.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    parser.add_argument('--no-amp', dest='amp', action='store_false')
    parser.add_argument('--no-compile', dest='compile', action='store_false')
    parser.add_argument('--no-mmdet', dest='mmdet', action='store_false', help='ours alone')
    parser.add_argument('--no-tests', dest='tests', action='store_false', help='figures alone')
    parser.add_argument('--tiny', action='store_true', help='small and few of everything')
    args = parser.parse_args()
    if args.tiny:
        args.models, args.batches, args.large, args.side = ['s'], [2], 3, 128
        args.workers, args.block, args.blocks = 0, 1, 1
    return args


def machine(args: argparse.Namespace) -> dict[str, Any]:
    """What figures are of."""
    import torch

    is_gpu = args.device == 'cuda'
    settings = {key: getattr(args, key) for key in ('side', 'large', 'workers', 'block', 'blocks', 'amp')}
    name = torch.cuda.get_device_name() if is_gpu else f'CPU ({platform.machine()})'
    return dict(device=name, torch=torch.__version__, cuda=torch.version.cuda, **settings)


def main() -> None:
    """Measures what is not there yet, and prints all of it."""
    args = parse_args()
    import torch

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('error: there is no CUDA device; --device cpu --tiny tries whether everything runs')
    logging.disable(logging.INFO)  # a line for every parameter
    results = Results(args.out, machine(args))
    contestants = ['ours', 'mmdet'] if args.mmdet else ['ours']
    middle = 's' if 's' in args.models else args.models[0]
    if args.tests:
        results.add('tests', 'that need a device', tests)
    with images(args.data_root) as args.root:
        for who in contestants:
            for size in [size for size in args.models if who == 'ours' or size != 'nano']:
                for count in args.batches:
                    row = f'{who}, {size}, {count}'
                    results.add('training', row, partial(training, who, size, count, args, False))
                    if args.compile:
                        measure = partial(training, who, size, count, args, True)
                        results.add('training', f'{row}, compiled', measure)
        for name in PIPELINES:
            row, measure = (
                f'{middle}, {args.batches[-1]}, {name}',
                partial(with_data, middle, args.batches[-1], name),
            )
            results.add('data', row, partial(measure, args))
        for count in args.batches:
            for who in contestants:
                measure = partial(after_network, who, middle, count, args)
                results.add('matching and losses', f'{who}, {count}', partial(measure, False))
            if args.compile:
                measure = partial(after_network, 'ours', middle, count, args)
                results.add('matching and losses', f'ours, {count}, compiled', partial(measure, True))
        for who in contestants:
            for size in [size for size in args.models if who == 'ours' or size != 'nano']:
                results.add('prediction', f'{who}, {size}', partial(prediction, who, size, args, False))
                if args.compile and who == 'ours':
                    measure = partial(prediction, who, size, args, True)
                    results.add('prediction', f'{who}, {size}, compiled', measure)
        for runtime in ('ONNX Runtime', 'TensorRT'):
            for count in (1, args.large):
                measure = partial(exported, runtime, middle, count, args)
                results.add('exported', f'{runtime}, {middle}, {count}', measure)
    text = f'{results.markdown()}\n'
    if args.device == 'cuda':
        text += f'\n{goals(results, args.large)}\n'
    args.out.with_suffix('.md').write_text(text, encoding='utf-8')
    print(f'\n{text}')


if __name__ == '__main__':
    main()
