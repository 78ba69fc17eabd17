"""Faults that all boxes share."""

from collections.abc import Callable

from mmyolox.doctor.checks.shapes import COPIES
from tests.doctor.small_set import CLASSES, SIZE, SmallSet

from .plant import Plant

BOXES = 96
"""The boxes of the training split."""
ALL = 128
"""Those of both splits."""


def every(change: Callable[[dict], None], splits: tuple[str, ...] = ('train', 'val')):
    """Changes all annotations."""

    def plant(small: SmallSet) -> None:
        for split in splits:
            with small.annotations(split) as content:
                for entry in content['annotations']:
                    change(entry)

    return plant


def to_fractions(entry: dict) -> None:
    entry['bbox'] = [value / side for value, side in zip(entry['bbox'], (*SIZE, *SIZE), strict=True)]
    entry['area'] = entry['bbox'][2] * entry['bbox'][3]


def to_corners(entry: dict) -> None:
    x, y, width, height = entry['bbox']
    entry['bbox'] = [x, y, x + width, y + height]


def to_one_size(entry: dict) -> None:
    x, y, width, height = entry['bbox']
    entry |= dict(bbox=[x + width / 2 - 15, y + height / 2 - 15, 30, 30], area=900)


def labels_to_pixels(small: SmallSet) -> None:
    """Writes the labels of the training split in pixels."""
    for path in small.label().parent.glob('train_*.txt'):
        lines = []
        for label, *values in map(str.split, path.read_text().splitlines()):
            pixels = (float(value) * side for value, side in zip(values, SIZE * 2, strict=True))
            lines.append(' '.join([label, *map(str, pixels)]))
        path.write_text('\n'.join(lines))


def to_border(entry: dict) -> None:
    x, y, width, height = entry['bbox']
    entry['bbox'] = [0 if x < 160 else SIZE[0] - width, y, width, height]


def to_crowd(entry: dict) -> None:
    entry['iscrowd'] = 1


def quarter_to_crowds(small: SmallSet) -> None:
    """Makes a crowd of every third box of the training split, of all classes."""
    with small.annotations() as content:
        for entry in content['annotations'][::4]:
            to_crowd(entry)
        for entry in content['annotations'][1::16]:
            to_crowd(entry)


def one_box_everywhere(small: SmallSet) -> None:
    """Gives one object in each of ten images the same box and class."""
    with small.annotations() as content:
        for entry in content['annotations'][: 4 * COPIES : 4]:
            entry |= dict(bbox=[20, 20, 60, 50], area=3000, category_id=len(CLASSES))


PLANTS = {
    'boxes-in-fractions': Plant(
        every(to_fractions),
        siblings={'box-tiny', 'cell-crowded', 'boxes-at-border', 'input-too-small'},
        count=ALL,
    ),
    'boxes-in-pixels': Plant(
        labels_to_pixels, format='yolo', siblings={'box-outside', 'split-empty'}, count=BOXES
    ),
    'boxes-as-corners': Plant(
        every(to_corners, ('train',)), siblings={'box-over-border', 'object-sizes-differ'}, count=BOXES
    ),
    'boxes-of-one-size': Plant(every(to_one_size), count=ALL),
    'boxes-at-border': Plant(every(to_border), count=ALL),
    'box-copied': Plant(one_box_everywhere, count=COPIES),
    'crowds-only': Plant(every(to_crowd, ('val',)), siblings={'crowds-many'}, count=ALL - BOXES),
    'crowds-many': Plant(quarter_to_crowds, count=30),
}
