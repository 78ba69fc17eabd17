"""Prints how fast images are read from shards, in chunks and at random, and from files.

    python benchmarks/shards.py --images 4096 --bytes 150000 --dir DISK

Writes the same images to files and to shards, and reads each of them once, undecoded, in one process. Before
each way the system is asked to forget what it has of these files (``posix_fadvise``); what a disk's own cache
or a virtual machine's host keeps is beyond that. Memory is what the process has more at the end than at the
beginning.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / 'tools/dataset_converters'))

from make_shards import write_shard

from mmyolox.datasets import ChunkedSampler
from mmyolox.datasets.canvas.images import read_file
from mmyolox.datasets.shards import open_shard

PER_SHARD = 1024


def write(folder: Path, count: int, size: int) -> tuple[list[str], list[str]]:
    """Writes images to files and to shards: the paths of both, in the same order."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(size // 2, size * 3 // 2, count)
    (folder / 'files').mkdir()
    files, members = [], []
    for first in range(0, count, PER_SHARD):
        shard = folder / f'train-{first // PER_SHARD:06d}.tar'

        def contents(first: int = first, shard: Path = shard) -> Iterator[tuple[str, bytes]]:
            for number in range(first, min(first + PER_SHARD, count)):
                content = rng.bytes(int(sizes[number]))
                path = folder / f'files/{number:09d}.jpg'
                path.write_bytes(content)
                files.append(str(path))
                members.append(f'{shard}/{number:09d}.jpg')
                yield f'{number:09d}.jpg', content
                yield f'{number:09d}.json', b'{}'

        write_shard(shard, contents())
    return files, members


def forget(folder: Path) -> None:
    """Asks the system to drop what it has of the files in a folder."""
    os.sync()
    for path in folder.rglob('*.*'):
        if path.is_file():
            with path.open('rb') as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident() -> float:
    """The memory of this process in MB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def measure(name: str, paths: Iterable[str]) -> None:
    before, began = resident(), time.perf_counter()
    first, total, count = 0.0, 0, 0
    for path in paths:
        total += len(read_file(path))
        count += 1
        first = first or time.perf_counter() - began
    seconds = time.perf_counter() - began
    print(
        f'{name:<28}{count / seconds:9.0f} images/s{total / seconds / 1e6:9.0f} MB/s   '
        f'first after {first * 1e3:6.1f} ms   {resident() - before:+6.0f} MB'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--images', type=int, default=4096)
    parser.add_argument('--bytes', type=int, default=150_000, help='of an image, on average')
    parser.add_argument('--dir', help='where to write (default: that of temporary files)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as name:
        folder = Path(name)
        began = time.perf_counter()
        files, members = write(folder, args.images, args.bytes)
        print(f'{args.images} images written twice in {time.perf_counter() - began:.1f} s')
        order = np.random.default_rng(1).permutation(args.images).tolist()
        chunked = list(ChunkedSampler(members, seed=1))
        began = time.perf_counter()
        open_shard(members[0].partition('.tar')[0] + '.tar')
        print(f'a shard of {PER_SHARD} images is opened in {(time.perf_counter() - began) * 1e3:.1f} ms')
        ways = {
            'files at random': (files[index] for index in order),
            'shards at random': (members[index] for index in order),
            'files in order': iter(files),
            'shards in chunks': (members[index] for index in chunked),
            'shards in order': iter(members),
        }
        for way, paths in ways.items():
            forget(folder)
            measure(way, paths)
        measure('files at random, cached', (files[index] for index in order))
        measure('shards in chunks, cached', (members[index] for index in chunked))


if __name__ == '__main__':
    main()
