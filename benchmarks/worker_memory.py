"""Host memory of data workers: our COCO data set beside MMDetection 3.3's.

    benchmarks/make_env.sh mmyolo     # once
    python benchmarks/worker_memory.py

A made annotation file of the size of COCO's train2017 (118,000 images, 860,000 boxes with outlines; 440 MB,
kept in ``--folder`` for the next time) is loaded, and 16 forked workers read 1,000 samples each in random
order, annotations only. "own" is memory that no other process has: what a worker adds, at least. "all" is
parent and workers together, what is shared counted once. Linux only; 6 GB of memory are needed.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Worker, add_peer, check_peers, table

SCRIPT = Path(__file__).with_name('worker_memory_peer.py')
POINTS = 20


def write_annotations(path: Path, images: int, boxes: int) -> None:
    """Writes the annotation file, if it is not there."""
    if path.exists():
        return
    rng = np.random.default_rng(0)
    owners = np.sort(rng.integers(images, size=boxes)).tolist()
    labels = rng.integers(80, size=boxes).tolist()
    outlines = rng.uniform(0, 300, (1000, 2 * POINTS)).round(2).tolist()
    part = path.with_suffix('.part')
    with part.open('w') as file:
        entries = [dict(id=i, file_name=f'{i:012}.jpg', width=640, height=480) for i in range(1, images + 1)]
        file.write(f'{{"info": {{}}, "images": {json.dumps(entries)}, "annotations": [')
        for number, (owner, label) in enumerate(zip(owners, labels, strict=True)):
            outline = outlines[number % len(outlines)]
            x, y = outline[:2]
            entry = dict(segmentation=[outline], area=5000.5, iscrowd=0, image_id=owner + 1)
            entry |= dict(bbox=[x, y, 100.25, 100.75], category_id=label + 1, id=number + 1)
            file.write((', ' if number else '') + json.dumps(entry))
        categories = [dict(id=label + 1, name=f'class{label}') for label in range(80)]
        file.write(f'], "categories": {json.dumps(categories)}}}')
    part.rename(path)


def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    own = [worker['own'] for worker in found['workers']]
    everything = found['parent']['share'] + sum(worker['share'] for worker in found['workers'])
    figures = (found['loading']['peak'], found['alone']['own'], np.mean(own), max(own), everything)
    return (name, f'{found["loading"]["seconds"]:.0f}', *(f'{figure:,.0f}' for figure in figures))


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='host memory of data workers')
    add_peer(parser, 'mmyolo')
    parser.add_argument('--images', type=int, default=118_000)
    parser.add_argument('--boxes', type=int, default=860_000)
    parser.add_argument('--workers', type=int, default=16)
    parser.add_argument('--samples', type=int, default=1000, help='read by each worker')
    parser.add_argument(
        '--folder',
        type=Path,
        default=Path(tempfile.gettempdir()),
        help='where the annotation file is kept (default: %(default)s)',
    )
    args = parser.parse_args()
    check_peers(parser, args, 'mmyolo')
    path = args.folder / f'annotations_{args.images}_{args.boxes}.json'
    write_annotations(path, args.images, args.boxes)
    rows = []
    for name, python in (('ours', sys.executable), ('mmdet', args.mmyolo)):
        worker = Worker(python, SCRIPT, name)
        found = worker.ask(ann_file=str(path), workers=args.workers, samples=args.samples)
        worker.close()
        rows.append(row(name, found))
    print(f'{args.images:,} images, {args.boxes:,} boxes, {args.workers} workers; MB\n')
    header = ('', 'loading s', 'peak', 'parent own', 'worker own', 'most', 'all')
    print(table(header, rows))


if __name__ == '__main__':
    main()
