"""Our class-wise NMS beside compiled mmcv's on the CPU: time and equality.

    benchmarks/make_env.sh mmcv     # once: compiles mmcv, about 10 minutes
    python benchmarks/nms.py

The two run in turn, each in its own process, on the same boxes; times are medians. "scattered" boxes are
uniform and mostly stay, "crowded" ones are a detector's: many on each of 300 objects. mmcv's ``batched_nms``
has two ways and takes "one pass" below 10,000 boxes: both are shown. "equal" compares ours with mmcv's
compiled op on each class, "mmcv off" counts the boxes that mmcv's own ``batched_nms`` decides differently,
because it moves the classes apart and so rounds their coordinates.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from side_by_side import Worker, add_peer, check_peers, take_turns

CASES = [
    (n, classes, kind)
    for kind in ('scattered', 'crowded')
    for n in (1000, 10000, 30000)
    for classes in (1, 80)
]
IOU_THRESHOLD = 0.65


def make_case(n: int, classes: int, kind: str) -> dict[str, NDArray]:
    """Boxes (n, 4) in a 640-pixel image, distinct scores and labels of n candidates."""
    rng = np.random.default_rng(n + classes)
    objects = n if kind == 'scattered' else 300
    owner = rng.permutation(n) % objects
    size = rng.uniform(10, 200, (objects, 2))[owner]
    centre = rng.uniform(0, 640, (objects, 2))[owner]
    label = rng.integers(classes, size=objects)[owner]
    if kind == 'crowded':
        centre += rng.normal(scale=0.1, size=(n, 2)) * size
        size *= np.exp(rng.normal(scale=0.15, size=(n, 2)))
    return dict(
        bboxes=np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float32),
        scores=((rng.permutation(n) + 1) / n).astype(np.float32),
        labels=label,
        iou_threshold=np.float64(IOU_THRESHOLD),
    )


def our_seconds(case: dict[str, NDArray], max_num: int = -1) -> tuple[float, NDArray[np.int64]]:
    """Run ours once; also return what it keeps."""
    import torch

    from mmyolox.nms import batched_nms

    bboxes, scores, labels = (torch.from_numpy(case[name]) for name in ('bboxes', 'scores', 'labels'))
    start = time.perf_counter()
    keep = batched_nms(bboxes, scores, labels, IOU_THRESHOLD, max_num)
    return time.perf_counter() - start, keep.numpy()


def compare(peer: Worker, folder: Path, n: int, classes: int, kind: str, repeats: int) -> str:
    """Measure one case; a row of the table."""
    case = make_case(n, classes, kind)
    np.savez(folder / 'case.npz', **case)

    def ask(way: str) -> float:
        return peer.ask(case=str(folder / 'case.npz'), way=way, keep=str(folder / f'{way}.npy'))

    def kept(way: str) -> NDArray[np.int64]:
        return np.load(folder / f'{way}.npy')

    runs: dict[str, Callable[[], float]] = {
        'ours': lambda: our_seconds(case)[0],
        'best 300': lambda: our_seconds(case, 300)[0],
        'one_pass': lambda: ask('one_pass'),
        'class_by_class': lambda: ask('class_by_class'),
    }
    times = take_turns(runs, repeats)
    ours, best, one_pass, by_class = (1000 * median(times[name]) for name in runs)
    ask('exact')
    equal = 'yes' if np.array_equal(our_seconds(case)[1], kept('exact')) else 'NO'
    off = len(np.setxor1d(kept('one_pass'), kept('exact')))
    return (
        f'{kind:10}{n:7}{classes:8}{ours:10.1f}{best:10.1f}{one_pass:10.1f}{by_class:13.1f}'
        f'{ours / min(one_pass, by_class):8.2f}{equal:>7}{off:10}'
    )


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description='our NMS beside compiled mmcv')
    add_peer(parser, 'mmcv')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=9)
    args = parser.parse_args()
    check_peers(parser, args, 'mmcv')
    import torch

    torch.set_num_threads(args.threads)
    print('boxes          N classes   ours ms  best 300  one pass  class by cl.   ratio  equal  mmcv off')
    with tempfile.TemporaryDirectory() as folder:
        peer = Worker(args.mmcv, Path(__file__).with_name('nms_peer.py'), threads=args.threads)
        for case in CASES:
            print(compare(peer, Path(folder), *case, args.repeats), flush=True)
        peer.close()


if __name__ == '__main__':
    main()
