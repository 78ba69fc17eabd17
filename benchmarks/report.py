"""How long a report of many images takes: `mmyolox report` on detections of a COCO-sized data set.

    python benchmarks/report.py                 # 5,000 images x 100 detections
    python benchmarks/report.py --images 500

Ground truth and detections are those of ``coco_eval.py``. The images are links to one photo-like file, of
which those that the page shows are read. The report is made in a process of its own, of which time and peak
memory are printed, with the size of the page.
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

import numpy as np
from coco_eval import Results, make_set
from PIL import Image

TOOL = Path(__file__).parents[1] / 'tools/analysis_tools/report.py'


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--images', type=int, default=5000, help='(default: %(default)s)')
    parser.add_argument('--detections', type=int, default=100, help='in each; (default: %(default)s)')
    parser.add_argument('--cores', type=int, default=2, help='that it may use; (default: %(default)s)')
    parser.add_argument('--keep', type=Path, help='where to keep the page')
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


def write_results(path: Path, results: Results) -> int:
    """Writes detections in COCO's result format; how many they are."""
    entries = [
        dict(image_id=image_id, bbox=[x1, y1, x2 - x1, y2 - y1], score=score, category_id=int(label) + 1)
        for image_id, rows in results
        for x1, y1, x2, y2, score, label in rows.tolist()
    ]
    path.write_text(json.dumps(entries))
    return len(entries)


def main() -> None:
    """Makes the data, reports, and prints what it took."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content, results = make_set(args.images, args.detections)
        write_images(folder / 'images', args.images)
        (folder / 'truth.json').write_text(json.dumps(content))
        count = write_results(folder / 'found.bbox.json', results)
        page = args.keep or folder / 'report.html'
        data = ['--ann-file', folder / 'truth.json', '--img-prefix', folder / 'images']
        command = [sys.executable, TOOL, folder / 'found.bbox.json', *data, '--out', page]
        chosen = sorted(os.sched_getaffinity(0))[: args.cores]
        began = time.perf_counter()
        env = dict(os.environ, MMYOLOX_ANNOTATION_CACHE='0')
        subprocess.run(command, check=True, preexec_fn=lambda: os.sched_setaffinity(0, chosen), env=env)
        taken = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f'{args.images} images, {count} detections, {len(content["annotations"])} objects')
        print(f'{taken:.1f} s on {len(chosen)} cores, {peak:.2f} GiB at the peak, ', end='')
        print(f'the page has {page.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
