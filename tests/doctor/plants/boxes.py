"""Faults of single boxes."""

from tests.doctor.small_set import SmallSet

from .plant import Plant


def box(*bbox: float, **fields):
    """Gives the first box of the training split other values, and the area that they have."""

    def plant(small: SmallSet) -> None:
        with small.annotations() as content:
            content['annotations'][0] |= dict(bbox=[*bbox], area=abs(bbox[2] * bbox[3])) | fields

    return plant


def voc_box_at_zero(small: SmallSet) -> None:
    """Moves the left side of the first box to the column 0, which files that count from 1 do not have."""

    def change(text: str) -> str:
        start, _, rest = text.partition('<xmin>')
        return f'{start}<xmin>0{rest[rest.index("<") :]}'

    small.edit(change)


PLANTS = {
    'box-not-finite': Plant(box(float('nan'), 10, 50, 40, area=None)),
    'box-inverted': Plant(box(80, 10, -50, 40)),
    'box-without-area': Plant(box(80, 10, 0, 40)),
    'box-outside': Plant(box(400, 10, 50, 40)),
    'box-over-border': Plant(box(-20, 10, 70, 40)),
    'box-tiny': Plant(box(20, 20, 3, 30)),
    'box-huge': Plant(box(0, 0, 320, 240)),
    'box-extreme-aspect': Plant(box(10, 20, 130, 6)),
    'area-unlike-box': Plant(box(20, 20, 30, 30, area=2000)),
    'box-from-zero': Plant(voc_box_at_zero, format='voc'),
}
