"""Faults of images and splits."""

import shutil

from tests.doctor.small_set import SmallSet

from .plant import Plant


def without_boxes(*image_ids: int, split: str = 'train'):
    """Takes the boxes of some images away."""

    def plant(small: SmallSet) -> None:
        with small.annotations(split) as content:
            content['annotations'] = [
                entry for entry in content['annotations'] if entry['image_id'] not in image_ids
            ]

    return plant


def crowd_an_image(small: SmallSet) -> None:
    """Fills an image with a grid of over a hundred objects of many sizes."""
    with small.annotations() as content:
        own = [entry for entry in content['annotations'] if entry['image_id'] != 1]
        for number in range(102):
            x, y, side = number % 12 * 26 + 2, number // 12 * 26 + 2, 10 + number % 13
            entry = dict(id=1000 + number, image_id=1, category_id=number % 3 + 1, iscrowd=0)
            own.append(entry | dict(bbox=[x, y, side, side], area=side * side))
        content['annotations'] = own


def enter_twice(small: SmallSet) -> None:
    """Divides the boxes of an image among two entries."""
    with small.annotations() as content:
        content['images'].append(content['images'][0] | dict(id=1000))
        content['annotations'][0]['image_id'] = 1000


def add_image(small: SmallSet) -> None:
    """Puts an image beside the others."""
    shutil.copy(small.image(), small.root / 'images' / 'other.jpg')


def remove_validation(small: SmallSet) -> None:
    """Removes the validation split, images included."""
    (small.root / 'annotations' / 'val.json').unlink()
    for path in (small.root / 'images').glob('val_*'):
        path.unlink()


def id_zero(small: SmallSet) -> None:
    """Calls an annotation 0."""
    with small.annotations() as content:
        content['annotations'][0]['id'] = 0


PLANTS = {
    'split-empty': Plant(without_boxes(*range(1, 9), split='val'), siblings={'image-without-box'}),
    'image-without-box': Plant(without_boxes(1)),
    'images-mostly-without-box': Plant(
        without_boxes(*range(1, 14)), siblings={'image-without-box', 'class-with-few-boxes'}, count=13
    ),
    'image-crowded': Plant(crowd_an_image),
    'image-repeated': Plant(enter_twice, count=2),
    'image-unlisted': Plant(add_image),
    'validation-missing': Plant(remove_validation),
    'annotation-id-zero': Plant(id_zero),
}
