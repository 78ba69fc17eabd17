"""What YOLOX costs on a GPU, ours beside MMDetection's in the same environment.

    python benchmarks/gpu.py --data-root path/to/coco
    python benchmarks/gpu.py --device cpu --tiny      # only tries whether everything runs

Three tables, all with mixed precision:

- training: images/s with the real pipeline and with one batch that stays on the device, the share that is
  lost to data, the gain by ``torch.compile`` of the network, and the peak memory at 640 and at 800, the
  largest multi-scale size;
- matching and loss alone, forward and backward: milliseconds, kernels, and their share of the step;
- prediction: latency of single images and images/s of large batches, and the network alone with and without a
  CUDA graph.

Steps are timed in blocks with one synchronisation at the end of each; figures are medians over blocks.
"""

import argparse
import gc
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from gpu_models import BATCHES, Batch, Trainer
from pipeline import images
from side_by_side import table

STRIDES = (8, 16, 32)
CLASSES = 80


def real_batches(cfg: Any, count: int, workers: int) -> Iterator[Batch]:
    """Endless batches of our training pipeline."""
    from mmengine.runner import Runner

    loader = cfg.train_dataloader
    loader.update(batch_size=count, num_workers=workers, persistent_workers=workers > 0)
    loader.sampler = dict(type='InfiniteSampler', shuffle=True)
    return iter(Runner.build_dataloader(loader, seed=0))


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


def peak_gb(run: Callable[[], Any], device: str) -> str:
    """Peak memory of a call on the device."""
    import torch

    if device != 'cuda':
        run()
        return '-'
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    run()
    return f'{torch.cuda.max_memory_allocated() / 2**30:.1f}'


def training_row(who: str, size: str, count: int, args: argparse.Namespace) -> list[str]:
    """Speed and memory of one model."""
    trainer = Trainer(who, size, args)
    batch = BATCHES[who](count, args.side, args.device)
    step = seconds(lambda: trainer.step(batch), args)
    larger = BATCHES[who](count, args.side * 5 // 4, args.device)
    memory = [peak_gb(partial(trainer.step, data), args.device) for data in (batch, larger)]
    real, lost, compiled = '-', '-', '-'
    if who == 'ours':
        stream = real_batches(trainer.cfg, count, args.workers)
        with_data = seconds(lambda: trainer.step(next(stream)), args)
        real, lost = f'{count / with_data:.0f}', f'{100 * max(0.0, 1 - step / with_data):.0f}%'
    if args.compile:
        compiled = attempt(lambda: f'{step / compiled_step(who, size, batch, args):.2f}')
    return [f'{who}, {size}, batch {count}', real, f'{count / step:.0f}', lost, compiled, *memory]


def compiled_step(who: str, size: str, batch: Batch, args: argparse.Namespace) -> float:
    """Seconds of a step with a compiled network."""
    trainer = Trainer(who, size, args, is_compiled=True)
    return seconds(lambda: trainer.step(batch), args)


def attempt(measure: Callable[[], str]) -> str:
    """What a measurement says; if it fails, that is printed and the others go on."""
    try:
        return measure()
    except Exception as error:  # of a compiler, a driver, a peer
        print(f'{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}')
        return 'failed'


def loss_of(who: str, count: int, args: argparse.Namespace) -> Callable[[], None]:
    """Matching and loss of one head, forward and backward, on fixed outputs of the network."""
    import torch

    trainer = Trainer(who, args.models[0], args)
    head = trainer.model.bbox_head
    data = trainer.model.data_preprocessor(BATCHES[who](count, args.side, args.device), True)
    with torch.no_grad():
        outputs = [[level.detach() for level in kind] for kind in trainer.network(data['inputs'])]
    leaves = [level.requires_grad_() for kind in outputs for level in kind]
    if who == 'ours':
        head.head_module = torch.nn.Identity()
        head.head_module.num_classes, head.head_module.featmap_strides = CLASSES, STRIDES

    def losses() -> dict[str, Any]:
        if who == 'ours':
            from mmyolox.models import HeadOutputs

            return head.loss(HeadOutputs(*outputs), data['data_samples'])
        samples = data['data_samples']
        truths, metas = [s.gt_instances for s in samples], [s.metainfo for s in samples]
        return head.loss_by_feat(*outputs, truths, metas)

    def run() -> None:
        with trainer.precision():
            total = sum(losses().values())
        torch.autograd.grad(total, leaves)

    return run


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


def loss_row(who: str, count: int, args: argparse.Namespace) -> list[str]:
    """Cost of matching and loss, and their share of the step of the first model."""
    run = loss_of(who, count, args)
    alone = seconds(run, args)
    trainer, batch = Trainer(who, args.models[0], args), BATCHES[who](count, args.side, args.device)
    step = seconds(lambda: trainer.step(batch), args)
    share = f'{100 * alone / step:.1f}%'
    return [f'{who}, batch {count}', f'{1000 * alone:.1f}', str(kernels(run, args.device)), share]


def predict_row(who: str, size: str, args: argparse.Namespace) -> list[str]:
    """Latency of one image, images/s of many, and the network alone."""
    import torch

    trainer = Trainer(who, size, args)
    trainer.for_prediction(args)
    one, many = (BATCHES[who](count, args.side, args.device) for count in (1, args.large))
    inputs = trainer.model.data_preprocessor(one, False)['inputs']
    with torch.no_grad():
        latency = seconds(lambda: trainer.predict(one), args)
        rate = args.large / seconds(lambda: trainer.predict(many), args)
        network = seconds(lambda: trainer.network(inputs), args)
        graph = attempt(lambda: graph_ms(trainer, inputs, args))
    return [f'{who}, {size}', f'{1000 * latency:.2f}', f'{rate:.0f}', f'{1000 * network:.2f}', graph]


def graph_ms(trainer: Trainer, inputs: Any, args: argparse.Namespace) -> str:
    """Milliseconds of the network as one CUDA graph."""
    import torch

    if args.device != 'cuda':
        return '-'
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        trainer.network(inputs)
    return f'{1000 * seconds(graph.replay, args):.2f}'


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='YOLOX on a GPU, ours and MMDetection')
    parser.add_argument('--data-root', type=Path, help="folder with COCO's layout (default: made images)")
    parser.add_argument('--models', nargs='+', default=['s', 'x'])
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
    parser.add_argument('--tiny', action='store_true', help='small and few of everything')
    args = parser.parse_args()
    if args.tiny:
        args.models, args.batches, args.large, args.side = ['nano'], [2], 3, 128
        args.workers, args.block, args.blocks = 0, 1, 1
    return args


def main() -> None:
    """Measures and prints, a table at a time."""
    args = parse_args()
    logging.disable(logging.INFO)  # a line for every parameter
    contestants = ['ours', 'mmdet'] if args.mmdet else ['ours']
    with images(args.data_root) as args.root:
        header = ['training', 'real img/s', 'same batch', 'lost', 'compiled x', 'GB at 640', 'at 800']
        rows = [
            training_row(who, size, count, args)
            for size in args.models
            for count in args.batches
            for who in contestants
        ]
        print(table(header, rows), flush=True)
    rows = [loss_row(who, count, args) for count in args.batches for who in contestants]
    print('', table(['matching and loss', 'ms', 'kernels', 'of the step'], rows), sep='\n', flush=True)
    rows = [predict_row(who, size, args) for size in args.models for who in contestants]
    header = ['prediction', 'ms, 1 image', f'img/s, {args.large}', 'network ms', 'as a graph']
    print('', table(header, rows), sep='\n')


if __name__ == '__main__':
    main()
