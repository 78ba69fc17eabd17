"""Faults of boxes beside others."""

import copy

from tests.doctor.small_set import SmallSet

from .plant import Plant


def again(shift: float = 0, category_id: int | None = None):
    """Annotates the first object again, some pixels to the right, perhaps as of another class."""

    def plant(small: SmallSet) -> None:
        with small.annotations() as content:
            entry = copy.deepcopy(content['annotations'][0])
            entry['id'] = 1000
            entry['bbox'][0] += shift
            entry['category_id'] = category_id or entry['category_id']
            content['annotations'].append(entry)

    return plant


def three_in_a_cell(small: SmallSet) -> None:
    """Gives the first three objects one centre, and sides that are unlike."""
    with small.annotations() as content:
        for entry, side in zip(content['annotations'], (20, 40, 60), strict=False):
            if side:
                entry |= dict(bbox=[84 - side / 2, 60 - side / 2, side, side], area=side * side)


def pile(small: SmallSet) -> None:
    """Gives an image 600 boxes of many heights, all of which begin at one place."""
    with small.annotations() as content:
        for number in range(600):
            box = dict(bbox=[5, 5, 30, 30 + number / 3], area=900, iscrowd=0, category_id=number % 3 + 1)
            content['annotations'].append(dict(box, id=1000 + number, image_id=1))


PLANTS = {
    'box-repeated': Plant(again()),
    'box-nearly-repeated': Plant(again(shift=0.5)),
    'box-of-two-classes': Plant(again(category_id=1)),
    'boxes-not-compared': Plant(
        pile,
        siblings={
            *('box-nearly-repeated', 'box-of-two-classes', 'cell-crowded', 'image-crowded'),
            'objects-per-image-differ',
        },
    ),
    'cell-crowded': Plant(three_in_a_cell, count=3),
}
