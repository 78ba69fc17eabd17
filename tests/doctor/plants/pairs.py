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


PLANTS = {
    'box-repeated': Plant(again()),
    'box-nearly-repeated': Plant(again(shift=0.5)),
    'box-of-two-classes': Plant(again(category_id=1)),
    'cell-crowded': Plant(three_in_a_cell, count=3),
}
