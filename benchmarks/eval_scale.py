"""Evaluation of a data set of Objects365's size on several processes: seconds and memory of each.

    python benchmarks/eval_scale.py          # 36,000 images x 20 detections, 365 classes, 2 processes
    python benchmarks/eval_scale.py --detections 100

Each process reads the annotation file, takes the detections of its share of the images in batches of 8, and
evaluates; they are joined by gloo. The network is left out. Half of the detections are noisy objects, the
others background. The rows are the same evaluation on one process, with MMEngine's exchange of results
(pickled, through files), which ours was before, and with arrays. "Taken" is what the metric does with the
batches; "exchanged" is part of "evaluated". Memory is what a process holds before the evaluation and the most
that it had, in MiB; the figures of all rows must be equal.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 365
OBJECTS = 14
"""A mean number of objects in an image."""


def boxes_in(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 4) xywh in a 640 x 480 image."""
    sides = np.exp(rng.normal(4.0, 1.1, (count, 2))).clip(3, (640, 480))
    return np.concatenate([rng.random((count, 2)) * ((640, 480) - sides), sides], 1).round(2)


def objects_of(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and labels of an image's objects, of which a few classes have most."""
    rng = np.random.default_rng(number)
    boxes = boxes_in(rng, 1 + rng.poisson(OBJECTS - 1))
    return boxes, (CLASSES * rng.random(len(boxes)) ** 3).astype(np.int64)


def detections_of(number: int, count: int) -> dict[str, Any]:
    """An image's data sample."""
    import torch

    rng = np.random.default_rng([number, 1])
    boxes, labels = objects_of(number)
    chosen = rng.integers(len(boxes), size=count // 2)
    noisy = boxes[chosen] + rng.normal(0, 0.06, (len(chosen), 4)) * np.tile(boxes[chosen, 2:], 2)
    found = np.concatenate([noisy, boxes_in(rng, count - len(chosen))])
    found[:, 2:] = found[:, :2] + found[:, 2:].clip(1)
    scores = np.concatenate([rng.beta(2, 3, len(chosen)), rng.beta(1, 8, count - len(chosen))])
    others = (CLASSES * rng.random(count - len(chosen)) ** 3).astype(np.int64)
    arrays = dict(
        bboxes=found.astype(np.float32),
        scores=scores.astype(np.float32),
        labels=np.concatenate([labels[chosen], others]),
    )
    predicted = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return dict(img_id=number + 1, pred_instances=predicted)


def write_file(path: Path, images: int) -> None:
    """Writes the annotation file."""
    annotations = [
        dict(
            id=0,
            image_id=number + 1,
            category_id=label + 1,
            bbox=box,
            area=round(0.6 * box[2] * box[3], 2),
            iscrowd=0,
        )
        for number in range(images)
        for box, label in zip(*(array.tolist() for array in objects_of(number)), strict=True)
    ]
    for index, annotation in enumerate(annotations, 1):
        annotation['id'] = index
    entries = [
        dict(id=number + 1, file_name=f'{number}.jpg', width=640, height=480) for number in range(images)
    ]
    categories = [dict(id=label + 1, name=f'class{label}') for label in range(CLASSES)]
    path.write_text(json.dumps(dict(images=entries, annotations=annotations, categories=categories)))


def held() -> float:
    """The memory of this process, in MiB; Linux only."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmRSS')) / 1024


def work(args: argparse.Namespace) -> None:
    """What one process does; prints its figures and costs as JSON."""
    import torch.distributed
    from mmengine.evaluator import BaseMetric

    from mmyolox.evaluation import YOLOXCocoMetric

    if args.processes > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{args.folder}/store', rank=args.rank, world_size=args.processes
        )

    class Timed(YOLOXCocoMetric):
        """Notes when all results are there."""

        def compute_metrics(self, results: Any) -> dict[str, float]:
            self.exchanged = time.perf_counter()
            return super().compute_metrics(results)

    metric = Timed(f'{args.folder}/annotations.json')
    metric.dataset_meta = dict(classes=[f'class{label}' for label in range(CLASSES)])
    share = range(args.rank, args.images, args.processes)
    taken = 0.0
    for start in range(0, len(share), 8):
        samples = [detections_of(number, args.detections) for number in share[start : start + 8]]
        began = time.perf_counter()
        metric.process({}, samples)
        taken += time.perf_counter() - began
    before = held()
    if args.processes > 1:
        torch.distributed.barrier()
    began = time.perf_counter()
    metric.exchanged = began
    evaluate = BaseMetric.evaluate if args.way == 'pickled' else YOLOXCocoMetric.evaluate
    figures = evaluate(metric, args.images)
    ends = dict(exchange=metric.exchanged - began, seconds=time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(figures=figures, taken=taken, before=before, peak=peak, **ends)))


def measure(args: argparse.Namespace, way: str, processes: int, folder: str) -> dict[str, float]:
    """Prints the row of a way; the figures."""
    Path(folder, 'store').unlink(missing_ok=True)
    options = ['--images', args.images, '--detections', args.detections, '--processes', processes]
    command = [sys.executable, __file__, '--way', way, '--folder', folder, *options]
    env = dict(os.environ, OMP_NUM_THREADS='1')
    running = [
        subprocess.Popen(
            [*map(str, command), '--rank', str(rank)], stdout=subprocess.PIPE, env=env, cwd=folder, text=True
        )
        for rank in range(processes)
    ]
    ends = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    held_before, most = (', '.join(f'{end[key]:.0f}' for end in ends) for key in ('before', 'peak'))
    seconds = (f'{max(end[key] for end in ends):.1f}' for key in ('taken', 'exchange', 'seconds'))
    print('|', ' | '.join([way, str(processes), *seconds, held_before, most]), '|', flush=True)
    figures: dict[str, float] = ends[0]['figures']
    return figures


def main() -> None:
    """Measures, or does the part of a process."""
    parser = argparse.ArgumentParser(description='evaluation on several processes: seconds and memory')
    parser.add_argument('--images', type=int, default=36_000)
    parser.add_argument('--detections', type=int, default=20, help='an image')
    parser.add_argument('--processes', type=int, default=2)
    for name in ('--way', '--folder', '--rank'):
        parser.add_argument(name, type=int if name == '--rank' else str, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        work(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder, 'annotations.json'), args.images)
        print(f'{args.images:,} images x {args.detections} detections, {CLASSES} classes\n')
        print(
            '| results | processes | taken, s | exchanged, s | evaluated, s | held before, MiB | peak, MiB |'
        )
        print('|:--|--:|--:|--:|--:|--:|--:|')
        rows = [('arrays', 1), ('pickled', args.processes), ('arrays', args.processes)]
        figures = [measure(args, way, processes, folder) for way, processes in rows]
    print(
        f'\nAP {figures[0]["coco/bbox_mAP"]}; the figures are equal: {figures.count(figures[0]) == len(rows)}'
    )


if __name__ == '__main__':
    main()
