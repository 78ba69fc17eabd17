"""Seconds and memory that the data doctor takes for a data set of COCO's size, by headers and by pixels.

    python benchmarks/doctor.py                          # 100,000 images, 730,000 boxes; 1.5 GB of disk
    python benchmarks/doctor.py --images 10000 --pixels  # decodes them, too
    python benchmarks/doctor.py --data path/to/data --pixels

It writes seeded pictures, each another one, and COCO's annotations to a folder that is removed at the end; or
it takes a data set that is there. The measurement is a process of its own, whose files lie in the system's
cache where they were just written. "peak" is the most that the process ever had in memory. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

SIZE = (640, 480)
CLASSES = 80
BOXES_PER_IMAGE = 7.3
FOLDERS = dict(train=0.9, val=0.1)


def write_picture(path: Path, seed: int) -> None:
    """Writes a picture of soft colours with some detail."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    for x, y, width, height in rng.integers(20, 200, (8, 4)).tolist():
        pixels[2 * y : 2 * y + height, 2 * x : 2 * x + width] = rng.integers(0, 256, 3)
    path.write_bytes(cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())


def write_split(folder: Path, name: str, images: int, first_seed: int) -> None:
    """Writes the pictures and the annotations of a split."""
    (folder / name).mkdir()
    files = [f'{first_seed + number:012}.jpg' for number in range(images)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(write_picture, folder / name / file, first_seed + number)
            for number, file in enumerate(files)
        ]
        for job in jobs:
            job.result()
    rng = np.random.default_rng(first_seed)
    count = int(images * BOXES_PER_IMAGE)
    columns = (
        np.sort(rng.integers(0, images, count)),
        rng.integers(0, CLASSES, count),
        rng.uniform(0, [400, 300], (count, 2)).round(2),
        rng.uniform(9, [240, 180], (count, 2)).round(2),
    )
    entries = [
        dict(id=number + 1, image_id=image, category_id=label, bbox=[x, y, w, h], area=w * h, iscrowd=0)
        for number, (image, label, (x, y), (w, h)) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        )
    ]
    content = dict(
        images=[
            dict(id=number, file_name=file, width=SIZE[0], height=SIZE[1])
            for number, file in enumerate(files)
        ],
        annotations=entries,
        categories=[dict(id=label, name=f'class{label}') for label in range(CLASSES)],
    )
    (folder / 'annotations').mkdir(exist_ok=True)
    (folder / 'annotations' / f'{name}.json').write_text(json.dumps(content))


def peak() -> float:
    """The most memory that this process has had, in MB."""
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1024


def examine(folder: Path, by_pixels: bool) -> None:
    """Examines a data set in this process and prints what it took."""
    from mmyolox.doctor.checks import CHECKS
    from mmyolox.doctor.diagnosis import diagnose
    from mmyolox.doctor.examined import Examined
    from mmyolox.doctor.files import read_headers
    from mmyolox.doctor.pixels import read_pixels
    from mmyolox.doctor.reading import folder_sources, read_sources

    times = [time.perf_counter()]
    print(f'{"":14}{"seconds":>9}{"peak MB":>10}')
    print(f'{"imports":14}{"":9}{peak():10.0f}')

    def tell(what: str) -> None:
        times.append(time.perf_counter())
        print(f'{what:14}{times[-1] - times[-2]:9.2f}{peak():10.0f}', flush=True)

    raw = read_sources(str(folder), *folder_sources(folder))
    tell('annotations')
    files = read_headers(raw.images.paths)
    tell('headers')
    pixels = read_pixels(raw.images.paths, files) if by_pixels else None
    tell('pixels')
    diagnosis = diagnose(Examined(raw, files, pixels=pixels), CHECKS.values())
    tell('checks')
    print(f'{"all":14}{times[-1] - times[0]:9.2f}{peak():10.0f}')
    print(f'\n{len(raw.images):,} images, {len(raw.boxes):,} boxes, {len(diagnosis.checked)} checks')
    for one in diagnosis.findings:
        print(f'{one.check.severity.value:8} {one.check.name}: {one.found.describe()}')
    if diagnosis.failed:
        raise SystemExit('\n'.join(diagnosis.failed.values()))


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='the data doctor')
    parser.add_argument('--images', type=int, default=100_000, help='(default: %(default)s)')
    parser.add_argument('--pixels', action='store_true', help='decode the images, too')
    parser.add_argument('--data', type=Path, help='a data set, instead of a made one')
    parser.add_argument(
        '--folder', type=Path, help="where the files are written (default: the system's folder)"
    )
    parser.add_argument('--examine', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.examine:
        examine(args.examine, args.pixels)
        return
    options = ['--pixels'] * args.pixels
    if args.data:
        subprocess.run([sys.executable, __file__, '--examine', str(args.data), *options], check=True)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        first_seed = 0
        for split, share in FOLDERS.items():
            write_split(Path(name), split, int(share * args.images), first_seed)
            first_seed += args.images
        subprocess.run([sys.executable, __file__, '--examine', name, *options], check=True)


if __name__ == '__main__':
    main()
