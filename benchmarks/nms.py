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
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

CASES = [
    (n, classes, kind)
    for kind in ('scattered', 'crowded')
    for n in (1000, 10000, 30000)
    for classes in (1, 80)
]
IOU_THRESHOLD = 0.65


class Peer:
    """mmcv's process (``nms_peer.py``)."""

    def __init__(self, python: Path, threads: int, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name('nms_peer.py')), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, way: str) -> float:
        """Run the current case once."""
        request = dict(case=str(self.folder / 'case.npz'), way=way, keep=str(self.folder / f'{way}.npy'))
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return float(json.loads(self.process.stdout.readline()))

    def keep(self, way: str) -> NDArray[np.int64]:
        """What the last run of this way kept, by falling score."""
        return np.load(self.folder / f'{way}.npy')


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

    from mmyolox.ops import batched_nms

    bboxes, scores, labels = (torch.from_numpy(case[name]) for name in ('bboxes', 'scores', 'labels'))
    start = time.perf_counter()
    keep = batched_nms(bboxes, scores, labels, IOU_THRESHOLD, max_num)
    return time.perf_counter() - start, keep.numpy()


def compare(peer: Peer, n: int, classes: int, kind: str, repeats: int) -> str:
    """Measure one case; a row of the table."""
    case = make_case(n, classes, kind)
    np.savez(peer.folder / 'case.npz', **case)
    runs: dict[str, Callable[[], float]] = {
        'ours': lambda: our_seconds(case)[0],
        'best 300': lambda: our_seconds(case, 300)[0],
        'one_pass': lambda: peer.seconds('one_pass'),
        'class_by_class': lambda: peer.seconds('class_by_class'),
    }
    times = [[run() for run in runs.values()] for _ in range(repeats + 1)][1:]
    ours, best, one_pass, by_class = (1000 * median(column) for column in zip(*times, strict=True))
    peer.seconds('exact')
    equal = 'yes' if np.array_equal(our_seconds(case)[1], peer.keep('exact')) else 'NO'
    off = len(np.setxor1d(peer.keep('one_pass'), peer.keep('exact')))
    return (
        f'{kind:10}{n:7}{classes:8}{ours:10.1f}{best:10.1f}{one_pass:10.1f}{by_class:13.1f}'
        f'{ours / min(one_pass, by_class):8.2f}{equal:>7}{off:10}'
    )


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description='our NMS beside compiled mmcv')
    parser.add_argument(
        '--peer', type=Path, default=Path('.venv-peers/mmcv/bin/python'), help="mmcv's Python"
    )
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=9)
    args = parser.parse_args()
    if not args.peer.exists():
        parser.error(f'{args.peer} is not there: run benchmarks/make_env.sh mmcv')
    import torch

    torch.set_num_threads(args.threads)
    print('boxes          N classes   ours ms  best 300  one pass  class by cl.   ratio  equal  mmcv off')
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(args.peer, args.threads, Path(folder))
        for case in CASES:
            print(compare(peer, *case, args.repeats), flush=True)
        peer.process.terminate()


if __name__ == '__main__':
    main()
