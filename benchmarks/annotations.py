"""Seconds and memory that a data set takes to load its annotations: the first start and later ones.

    python benchmarks/annotations.py                    # COCO's size: 118,000 images, 860,000 boxes
    python benchmarks/annotations.py --size objects365  # 1.7 million images, 25 million boxes; 10 GB of disk

It writes a seeded annotation file and its images (hard links to one JPEG a folder) to a folder, which is
removed at the end, and has a cache folder of its own there. Each start checks that all images are there;
before the last one, ``changed``, a file is added to one of their folders. Each start is a fresh process:
"seconds" are those of the data set alone, without the imports before it; "peak" is the most that the process
ever had in memory, "imports" what it had before the data set. Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

SIZES = dict(coco=(118_000, 860_000, 20), objects365=(1_700_000, 25_000_000, 0))
"""Images, boxes, and points of each outline."""
CLASSES = 80
BLOCK = 100_000
IN_FOLDER = 34_000


def image_name(number: int) -> str:
    """The file of an image, as Objects365 has them."""
    return f'patch{number // IN_FOLDER}/objects365_v1_{number:08}.jpg'


def write_images(folder: Path, count: int) -> None:
    """Writes the images."""
    picture = cv2.imencode('.jpg', np.zeros((480, 640, 3), np.uint8))[1].tobytes()
    for first in range(0, count, IN_FOLDER):
        source = folder / image_name(first)
        source.parent.mkdir(parents=True)
        source.write_bytes(picture)
        for number in range(first + 1, min(first + IN_FOLDER, count)):
            os.link(source, folder / image_name(number))


def write_annotations(
    path: Path, images: int, boxes: int, points: int, name_of: Callable[[int], str] = image_name
) -> None:
    """Writes the annotation file, some entries at a time; ``name_of`` tells the file of an image."""
    rng = np.random.default_rng(0)

    def of_images(numbers: range) -> Iterator[str]:
        for number in numbers:
            yield f'{{"id": {number + 1}, "file_name": "{name_of(number)}", "width": 640, "height": 480}}'

    def of_boxes(numbers: range) -> Iterator[str]:
        count = len(numbers)
        columns = (
            np.sort(rng.integers(1, images + 1, count)),
            rng.integers(1, CLASSES + 1, count),
            rng.uniform(0, [400, 300], (count, 2)).round(2),
            rng.uniform(9, [240, 180], (count, 2)).round(2),
            rng.uniform(0, 300, (count, 2 * points)).round(2),
        )
        rows = zip(numbers, *(column.tolist() for column in columns), strict=True)
        for number, image, label, (x, y), (w, h), outline in rows:
            yield (
                f'{{"segmentation": [{outline}], "area": {w * h}, "iscrowd": {int(number % 99 == 0)}, '
                f'"image_id": {image}, "bbox": [{x}, {y}, {w}, {h}], "category_id": {label}, '
                f'"id": {number + 1}}}'
            )

    categories = [dict(id=label + 1, name=f'class{label}') for label in range(CLASSES)]
    with path.open('w') as file:
        for start, count, texts in (
            ('{"info": {}, "images": [', images, of_images),
            ('], "annotations": [', boxes, of_boxes),
        ):
            for first in range(0, count, BLOCK):
                file.write(', ' if first else start)
                file.write(', '.join(texts(range(first, min(first + BLOCK, count)))))
        file.write(f'], "categories": {json.dumps(categories)}}}')


def peak() -> float:
    """The most memory that this process has had, in MB."""
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1024


def start(folder: Path) -> None:
    """Loads the data set in this process and prints what it took."""
    from mmyolox.datasets import YOLOXCocoDataset

    before, began = peak(), time.perf_counter()
    dataset = YOLOXCocoDataset(
        'annotations.json',
        data_root=str(folder),
        data_prefix=dict(img='images'),
        filter_cfg=dict(filter_empty_gt=False, min_size=32),
    )
    seconds, most = time.perf_counter() - began, peak()
    digest = sum(float(dataset.get_data_info(i)['bboxes'].sum()) for i in range(0, len(dataset), 997))
    print(json.dumps(dict(seconds=seconds, imports=before, peak=most, images=len(dataset), sum=digest)))


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='loading of annotations')
    parser.add_argument('--size', choices=SIZES, default='coco')
    parser.add_argument('--images', type=int, help='instead of those of --size')
    parser.add_argument('--boxes', type=int, help='instead of those of --size')
    parser.add_argument(
        '--folder', type=Path, help="where the files are written (default: the system's folder)"
    )
    parser.add_argument('--start', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.start:
        start(args.start)
        return
    images, boxes, points = SIZES[args.size]
    images, boxes = args.images or images, args.boxes or boxes
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        write_images(folder / 'images', images)
        path = folder / 'annotations.json'
        write_annotations(path, images, boxes, points)
        size = path.stat().st_size / 1e6
        # The cache takes a file that was written just now for one that may yet change.
        time.sleep(3)
        print(f'{images:,} images, {boxes:,} boxes, {size:,.0f} MB\n')
        print(f'{"start":8}{"seconds":>9}{"imports MB":>12}{"peak MB":>10}')
        command = [sys.executable, __file__, '--start', str(folder)]
        environment = os.environ | dict(MMYOLOX_HOME=str(folder / 'cache'))
        found = []
        for which in ('first', 'second', 'third', 'changed'):
            if which == 'changed':
                (folder / 'images/patch0/new.jpg').touch()
            output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            found.append(json.loads(output.stdout.splitlines()[-1]))
            row = found[-1]
            print(f'{which:8}{row["seconds"]:9.2f}{row["imports"]:12.0f}{row["peak"]:10.0f}', flush=True)
        if len({row['sum'] for row in found}) > 1:
            raise SystemExit('the starts differ')


if __name__ == '__main__':
    main()
