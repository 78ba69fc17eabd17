"""Our COCO evaluation beside pycocotools: time, memory, and the largest difference of the 12 figures.

    python benchmarks/coco_eval.py                      # 5,000 images x 100 detections
    python benchmarks/coco_eval.py --growth growth.png  # and how the time grows with the images

Each way begins with the arrays that an epoch leaves behind (boxes, scores and labels of each image) and ends
with the figures; the annotation file is read before. pycocotools and "faster-coco-eval, as is" are used in
the usual way, dictionaries for all detections into ``loadRes``; ours hands faster-coco-eval one class at a
time. The ways run in turn in one process; times are medians. Memory is what a run adds at its peak, in a
process of its own. The ground truth is drawn with the statistics of COCO's val2017; half of the detections
are noisy ground truth, the others background.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

Results = list[tuple[int, NDArray]]
CLASSES = 80
MAX_DETS = (1, 10, 100)
GROWTH = (500, 1000, 2000, 5000)


def make_set(images: int, detections: int, seed: int = 0) -> tuple[dict[str, Any], Results]:
    """An annotation file's content, and for each image its id and (detections, 6) xyxy, score, label."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLASSES + 1)
    share /= share.sum()
    annotations: list[dict[str, Any]] = []
    results = []
    for number in range(images):
        present = rng.choice(CLASSES, 3, p=share)
        count = rng.poisson(rng.gamma(1.0, 7.36))
        labels = present[rng.integers(3, size=count)]
        boxes = draw_boxes(rng, count)
        crowd = rng.random(count) < 0.012
        for box, label, is_crowd in zip(boxes.tolist(), labels.tolist(), crowd.tolist(), strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=number + 1,
                    category_id=label + 1,
                    bbox=box,
                    area=0.6 * box[2] * box[3],
                    iscrowd=int(is_crowd),
                )
            )
        results.append((number + 1, detect(rng, boxes, labels, share, detections)))
    sizes = dict(width=640, height=480)
    entries = [dict(id=number + 1, file_name=f'{number}.jpg', **sizes) for number in range(images)]
    categories = [dict(id=label + 1, name=f'class{label}') for label in range(CLASSES)]
    return dict(info={}, images=entries, annotations=annotations, categories=categories), results


def draw_boxes(rng: np.random.Generator, count: int) -> NDArray:
    """(count, 4) xywh in a 640 x 480 image; about 40% small, 35% medium, 25% large by their outlines."""
    sides = np.exp(rng.normal(4.0, 1.1, (count, 2))).clip(3, (640, 480))
    corner = rng.random((count, 2)) * ((640, 480) - sides)
    return np.concatenate([corner, sides], 1).round(2)


def detect(
    rng: np.random.Generator, boxes: NDArray, labels: NDArray, share: NDArray, count: int
) -> NDArray[np.float32]:
    """What a detector finds: half objects, most with their class and better scores, half background."""
    found, found_labels = draw_boxes(rng, count), rng.choice(CLASSES, count, p=share)
    scores = rng.beta(1, 8, count)
    if len(boxes):
        source = rng.integers(len(boxes), size=count // 2)
        noise = rng.normal(0, 0.08, (len(source), 4)) * np.tile(boxes[source, 2:], 2)
        found[: len(source)] = boxes[source] + noise
        right = rng.random(len(source)) < 0.75
        found_labels[: len(source)] = np.where(right, labels[source], found_labels[: len(source)])
        scores[: len(source)] = rng.beta(2, 3, len(source))
    found[:, 2:] = found[:, :2] + found[:, 2:].clip(1)
    return np.column_stack([found, scores, found_labels])[np.argsort(-scores)].astype(np.float32)


def our_way(content: dict[str, Any]) -> Callable[[Results], Sequence[float]]:
    """Our metric; its 12 figures before they are rounded."""
    from mmyolox.evaluation import YOLOXCocoMetric
    from mmyolox.evaluation.coco_summary import figures_of, value_of

    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(content, file)
        file.flush()
        metric = YOLOXCocoMetric(file.name, proposal_nums=MAX_DETS)
    metric.dataset_meta = dict(classes=[category['name'] for category in content['categories']])

    def run(results: Results) -> Sequence[float]:
        curves = metric.curves(results)
        return [value_of(figure, curves) for figure in figures_of(curves.comparison).values()]

    return run


def usual_way(content: dict[str, Any], coco: Any, evaluation: Any) -> Callable[[Results], Sequence[float]]:
    """A library in the usual way."""
    truth = coco()
    truth.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()

    def run(results: Results) -> Sequence[float]:
        entries = [
            dict(image_id=image_id, bbox=[x1, y1, x2 - x1, y2 - y1], score=score, category_id=int(label) + 1)
            for image_id, rows in results
            for x1, y1, x2, y2, score, label in rows.tolist()
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluated = evaluation(truth, truth.loadRes(entries), 'bbox')
            evaluated.params.maxDets = list(MAX_DETS)
            evaluated.evaluate()
            evaluated.accumulate()
            evaluated.summarize()
        return evaluated.stats[:12]

    return run


def make_ways(content: dict[str, Any]) -> dict[str, Callable[[Results], Sequence[float]]]:
    """The ways to evaluate, each with ground truth of its own."""
    from faster_coco_eval import COCOeval_faster, coco as faster_coco
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    text = json.dumps(content)
    return {
        'ours': our_way(content),
        'faster-coco-eval, as is': usual_way(json.loads(text), faster_coco.COCO, COCOeval_faster),
        'pycocotools': usual_way(json.loads(text), COCO, COCOeval),
    }


def timed(way: Callable[[Results], Sequence[float]], results: Results) -> tuple[float, Sequence[float]]:
    """Seconds and figures of one run."""
    start = time.perf_counter()
    figures = way(results)
    return time.perf_counter() - start, figures


def added_memory(way: Callable[[Results], Sequence[float]], results: Results) -> float:
    """What a run adds at its peak, in MB; Linux only."""

    def kilobytes(field: str) -> int:
        lines = Path('/proc/self/status').read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    def measure(pipe: Any) -> None:
        before = kilobytes('VmRSS')
        way(results)
        pipe.send((kilobytes('VmHWM') - before) / 1024)

    fork = multiprocessing.get_context('fork')
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=measure, args=(sender,))
    child.start()
    megabytes = float(receiver.recv())
    child.join()
    return megabytes


def compare(images: int, detections: int, repeats: int) -> dict[str, float]:
    """Prints the table of one size, and returns the median seconds of each way."""
    content, results = make_set(images, detections)
    ways = make_ways(content)
    # Before anything else, so that no way finds the memory that another has left.
    memory = {name: added_memory(way, results) for name, way in ways.items()}
    runs = [{name: timed(way, results) for name, way in ways.items()} for _ in range(repeats)]
    seconds = {name: median(run[name][0] for run in runs) for name in ways}
    reference = np.array(runs[0]['pycocotools'][1])
    boxes = len(content['annotations'])
    print(f'\n{images:,} images x {detections} detections, {boxes:,} objects; AP {reference[0]:.4f}\n')
    print('| evaluation | seconds | pycocotools / this | memory added, MB | largest difference |')
    print('|:--|--:|--:|--:|--:|')
    for name in ways:
        ratio = seconds['pycocotools'] / seconds[name]
        difference = np.abs(np.array(runs[0][name][1]) - reference).max()
        print(f'| {name} | {seconds[name]:.2f} | {ratio:.1f}x | {memory[name]:.0f} | {difference:.1e} |')
    return seconds


def plot_growth(detections: int, repeats: int, out: Path) -> None:
    """Plots seconds against images."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    rows = [compare(images, detections, repeats) for images in GROWTH]
    _, axes = plt.subplots(figsize=(6, 4), layout='constrained')
    for name in rows[0]:
        axes.loglog(GROWTH, [row[name] for row in rows], marker='o', label=name)
    axes.set(xlabel=f'images x {detections} detections', ylabel='seconds', title='COCO evaluation')
    axes.set_xticks(GROWTH, [f'{images:,}' for images in GROWTH])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    plt.savefig(out, dpi=120)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='our COCO evaluation beside pycocotools')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--detections', type=int, default=100, help='an image')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--growth', type=Path, metavar='OUT.png', help='plot the time against the images')
    args = parser.parse_args()
    if args.growth:
        plot_growth(args.detections, args.repeats, args.growth)
    else:
        compare(args.images, args.detections, args.repeats)


if __name__ == '__main__':
    main()
