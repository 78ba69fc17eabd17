"""What data of many images cost beside their images: orders, annotations, indices of shards.

    python benchmarks/scale.py                 # orders of 100 million images, annotations of a million; 10 GB

Each measurement is a process of its own; "MB" is the most that it had in memory more than before. The order
is that of rank 0 of 64, as it is made when an epoch begins or a training is resumed. Annotations are made
ones, of shards without images, which are looked up by their indices; all is removed at the end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RANKS = 64
PER_SHARD = 1024
BOXES = 10
"""Of each image."""


class Counted:
    """As many samples as asked for, which nobody takes."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


def order(name: str, count: int, folder: Path) -> Callable[[], str]:
    """The samples of rank 0."""
    from unittest.mock import patch

    from mmyolox.datasets import ChunkedSampler, SeededSampler

    kind = dict(chunked=ChunkedSampler, seeded=SeededSampler)[name]
    with patch('mmengine.dataset.sampler.get_dist_info', return_value=(0, RANKS)):
        sampler = kind(Counted(count), seed=0)
    if name == 'chunked':
        sampler.share_among(32, 8)
    return lambda: f'{sum(1 for _ in sampler):,} samples'


def member(number: int) -> str:
    """The name of an image, relative to the folder of the shards."""
    return f'train-{number // PER_SHARD:06d}.tar/{number:012d}.jpg'


def index_of(first: int) -> str:
    """The index of the shard that begins with an image."""
    from mmyolox.datasets.shards import Member, format_index

    found = {}
    for number in range(PER_SHARD):
        found[f'{first + number:012d}.jpg'] = Member(number * 150_000 + 512, 140_000)
        found[f'{first + number:012d}.json'] = Member(number * 150_000 + 141_024, 1000)
    return format_index(found)


def annotations(name: str, count: int, folder: Path) -> Callable[[], str]:
    """The data set's start: the first one, or one with what the first one kept."""
    from mmyolox.datasets import YOLOXCocoDataset

    def load() -> str:
        dataset = YOLOXCocoDataset(
            ann_file=str(folder / 'annotations.json'), data_prefix=dict(img=str(folder)), pipeline=[]
        )
        kept = sum(path.stat().st_size for path in (folder / 'cache').rglob('*') if path.is_file())
        boxes = int(dataset.data_list.counts.sum())
        return f'{len(dataset):,} images, {boxes:,} boxes, {kept / 1e6:,.0f} MB kept'

    return load


def packing(name: str, count: int, folder: Path) -> Callable[[], str]:
    """The annotation file as packing reads it."""

    def read() -> str:
        with (folder / 'annotations.json').open() as file:
            return f'{len(json.load(file)["images"]):,} images'

    return read


def index(name: str, count: int, folder: Path) -> Callable[[], str]:
    """The indices of shards of 1,024 images."""
    from mmyolox.datasets.shards import parse_index

    text = index_of(0)

    def parse() -> str:
        for _ in range(100):
            parse_index(text)
        return f'100 shards of {PER_SHARD:,} images, {len(text) / PER_SHARD:.0f} bytes an image'

    return parse


MEASURED = {
    'order, chunk_size=64': (order, 'chunked', 100_000_000),
    'order, image by image': (order, 'seeded', 20_000_000),
    'annotations, first start': (annotations, 'first', 1_000_000),
    'annotations, later start': (annotations, 'later', 1_000_000),
    'annotations, to pack them': (packing, '', 0),
    'indices of shards': (index, '', 0),
}


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--share', type=float, default=1.0, help='of the numbers, to try it')
    parser.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        function, name, count = MEASURED[args.one[0]]
        call = function(name, int(count * args.share), Path(args.one[1]))
        before, began = peak(), time.perf_counter()
        said = call()
        seconds = time.perf_counter() - began
        print(f'{args.one[0]:<26}{seconds:9.2f} s{peak() - before:9.0f} MB   {said}', flush=True)
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from annotations import write_annotations

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'annotations.json')
        count = int(1_000_000 * args.share)
        write_annotations(path, count, BOXES * count, 0, member)
        for first in range(0, count, PER_SHARD):
            # The shards themselves are empty: only whether images are there is looked up.
            shard = Path(folder, member(first)).parent
            shard.touch()
            shard.with_suffix('.idx').write_text(index_of(first))
        print(f'annotation file: {path.stat().st_size / count:,.0f} bytes an image, of {BOXES} boxes')
        time.sleep(3)  # what was written just now may change, and is not kept
        environment = os.environ | dict(MMYOLOX_HOME=f'{folder}/cache')
        for name in MEASURED:
            command = [sys.executable, __file__, '--share', str(args.share), '--one', name, folder]
            subprocess.run(command, env=environment, check=True)


if __name__ == '__main__':
    main()
