"""Makes a small data set of textured shapes, with boxes and keypoints, in COCO format.

For demos and tests: disks, boxes, triangles and stars, rotated, squeezed, cut by the image's border and
partly hidden by each other, with patterns over backgrounds of gradients, noise and clutter. Colours and
patterns say nothing about the class: only the outline does. Some images are empty. The layout is that of the
custom-data config, which takes it with nothing set but ``data_root=OUT_DIR``: ``annotations/train.json``,
``annotations/val.json``, and the images under ``images``. For example:

    mmyolox shapes data/shapes --train 200 --val 50 --size 320

The same arguments give the same files, byte for byte, with the same versions of numpy and OpenCV. An image
depends on the seed and on its number only, so that a larger set continues a smaller one.

- A box is tight, to the pixel, around the part of the full shape that is inside the image, whether other
  shapes hide some of it or not. ``area`` is the number of pixels of that part.
- All classes share five keypoints, so that one model serves all: ``head`` (marked by a dot), ``left``,
  ``right``, ``tail`` and ``centre``, in the shape's own frame. Visibility is 2 (seen), 1 (hidden by another
  shape) or 0 (outside the image). ``flip_pairs`` of a category names the keypoints that a mirror swaps.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coco_json import CocoFile, ConversionReport

from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from shape_scenes import Settings

SPLITS = ('train', 'val')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out_dir', type=Path, help='gets annotations/{train,val}.json and images')
    parser.add_argument('--train', type=int, default=200, help='training images')
    parser.add_argument('--val', type=int, default=50, help='validation images')
    parser.add_argument(
        '--size', type=int, nargs='+', default=[320], help='side, or width and height (pixels)'
    )
    parser.add_argument(
        '--shapes', type=int, nargs=2, default=[1, 6], metavar=('LEAST', 'MOST'), help='number in an image'
    )
    parser.add_argument(
        '--radius',
        type=float,
        nargs=2,
        default=[0.09, 0.22],
        metavar=('LEAST', 'MOST'),
        help='as a share of the shorter side',
    )
    parser.add_argument('--max-rotation', type=float, default=45.0, help='degrees either way')
    parser.add_argument('--empty', type=float, default=0.05, help='share of the images without a shape')
    parser.add_argument('--seed', type=int, default=0, help='same arguments, same files')
    return parser.parse_args(argv)


def make_settings(args: argparse.Namespace) -> 'Settings':
    """Turns the arguments into settings; raises UserError for a size or range that makes no sense."""
    from shape_scenes import Settings

    if len(args.size) > 2 or min(args.size) < 32:
        raise UserError(f'--size {args.size}: one or two numbers are needed, 32 or more each')
    if not 0 <= args.shapes[0] <= args.shapes[1]:
        raise UserError(f'--shapes {args.shapes}: two numbers are needed, the smaller first')
    if not 0 < args.radius[0] <= args.radius[1]:
        raise UserError(f'--radius {args.radius}: two numbers above 0 are needed, the smaller first')
    return Settings(
        width=args.size[0],
        height=args.size[-1],
        shapes=(args.shapes[0], args.shapes[1]),
        radius=(args.radius[0], args.radius[1]),
        max_rotation=args.max_rotation,
        empty=args.empty,
    )


def write_split(out_dir: Path, split: str, count: int, seed: int, settings: 'Settings') -> CocoFile:
    """Makes the images of a split and its annotation file, and returns what the file holds."""
    import cv2
    import numpy as np
    from shape_scenes import CATEGORY_FIELDS, CLASS_NAMES, make_scene

    coco = CocoFile(CLASS_NAMES, CATEGORY_FIELDS)
    for index in range(count):
        image, objects = make_scene(np.random.default_rng([seed, SPLITS.index(split), index]), settings)
        name = f'{split}/{index:06d}.jpg'
        image_id = coco.add_image(name, settings.width, settings.height)
        for fields in objects:
            coco.add_annotation(image_id, **fields)
        with atomic_write(out_dir / 'images' / name) as part:
            part.write_bytes(cv2.imencode('.jpg', image)[1])
    coco.write(out_dir / 'annotations' / f'{split}.json')
    return coco


def main() -> None:
    args = parse_args()

    settings = make_settings(args)
    counts = dict(train=args.train, val=args.val)
    files = {split: write_split(args.out_dir, split, counts[split], args.seed, settings) for split in SPLITS}
    print(ConversionReport().summary(files))


if __name__ == '__main__':
    run_tool(main)
