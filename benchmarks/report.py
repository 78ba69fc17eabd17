"""How long a report of many images takes: `mmyolox report` on detections of a COCO-sized data set.

    python benchmarks/report.py                 # 5,000 images x 100 detections
    python benchmarks/report.py --images 500

Ground truth and detections are those of ``coco_eval.py``; a second source has the same detections with boxes
and scores shaken. The images are links to one photo-like file, of which those that the page shows are read.
The report of one source and the comparison of both are made in a process each, of which time, processor time
and peak memory are printed, with the size of the page.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from coco_eval import Results, make_set
from numpy.typing import NDArray
from PIL import Image

TOOL = Path(__file__).parents[1] / 'tools/analysis_tools/report.py'


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--images', type=int, default=5000, help='(default: %(default)s)')
    parser.add_argument('--detections', type=int, default=100, help='in each; (default: %(default)s)')
    parser.add_argument('--cores', type=int, default=2, help='that it may use; (default: %(default)s)')
    parser.add_argument('--keep', type=Path, help='a new folder in which to keep data and pages')
    return parser.parse_args()


def write_images(folder: Path, count: int) -> None:
    """Writes a picture that compresses like a photo, and links to it."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), np.float64)
    pixels = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    folder.mkdir()
    Image.fromarray(pixels).save(folder / 'photo.jpg')
    for number in range(count):
        (folder / f'{number}.jpg').symlink_to('photo.jpg')


def write_results(path: Path, results: Iterable[tuple[int, NDArray]]) -> int:
    """Writes detections in COCO's result format; how many they are."""
    entries = [
        dict(image_id=image_id, bbox=[x1, y1, x2 - x1, y2 - y1], score=score, category_id=int(label) + 1)
        for image_id, rows in results
        for x1, y1, x2, y2, score, label in rows.tolist()
    ]
    path.write_text(json.dumps(entries))
    return len(entries)


def shaken(results: Results) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The detections of a second model: other places by some pixels, and other scores."""
    rng = np.random.default_rng(1)
    for image_id, rows in results:
        other = rows.astype(np.float64)
        other[:, :4] += rng.normal(0, 3, (len(rows), 1, 2)).repeat(2, 1).reshape(-1, 4)
        other[:, 4] = (other[:, 4] + rng.normal(0, 0.05, len(rows))).clip(0, 1)
        yield image_id, other


def measure(sources: Sequence[Path], folder: Path, page: Path, cores: int) -> None:
    """Makes a page in a process of its own, and prints what it took."""
    data = ['--ann-file', folder / 'truth.json', '--img-prefix', folder / 'images']
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    env = dict(os.environ, MMYOLOX_ANNOTATION_CACHE='0')
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, TOOL, *sources, *data, '--out', page],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
        env=env,
    )
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    if status:
        sys.exit(f'the report of {len(sources)} failed')
    count = 'one source' if len(sources) == 1 else f'{len(sources)} sources'
    print(
        f'{count}: {taken:.1f} s on {len(chosen)} cores ({used.ru_utime + used.ru_stime:.1f} s of processor '
        f'time), {used.ru_maxrss / 2**20:.2f} GiB at the peak, a page of {page.stat().st_size / 1e6:.2f} MB'
    )


def main() -> None:
    """Makes the data, reports one source and two, and prints what each took."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        content, results = make_set(args.images, args.detections)
        write_images(folder / 'images', args.images)
        (folder / 'truth.json').write_text(json.dumps(content))
        sources = [folder / 'first.bbox.json', folder / 'second.bbox.json']
        count = write_results(sources[0], results)
        write_results(sources[1], shaken(results))
        print(f'{args.images} images, {count} detections, {len(content["annotations"])} objects')
        measure(sources[:1], folder, folder / 'report.html', args.cores)
        measure(sources, folder, folder / 'comparison.html', args.cores)


if __name__ == '__main__':
    main()
