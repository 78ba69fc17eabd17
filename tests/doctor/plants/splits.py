"""Faults of splits against each other."""

import cv2

from tests.doctor.small_set import COUNTS, SmallSet, make_image

from .plant import Plant


def keep_boxes(count: int):
    """Leaves so many boxes in the validation."""

    def plant(small: SmallSet) -> None:
        with small.annotations('val') as content:
            content['annotations'] = content['annotations'][:count]

    return plant


def move_images(count: int):
    """Moves training images, with their boxes, to the validation."""

    def plant(small: SmallSet) -> None:
        with small.annotations('train') as train, small.annotations('val') as val:
            moved, train['images'] = train['images'][:count], train['images'][count:]
            ids = {image['id'] for image in moved}
            boxes = [one for one in train['annotations'] if one['image_id'] in ids]
            train['annotations'] = [one for one in train['annotations'] if one['image_id'] not in ids]
            val['images'] += [dict(image, id=100 + image['id']) for image in moved]
            val['annotations'] += [
                dict(one, id=100 + one['id'], image_id=100 + one['image_id']) for one in boxes
            ]

    return plant


def relabel(split: str, *formers: int, label: int, left: int = 0):
    """Gives boxes of some classes in a split another one.

    Args:
        split: The split.
        *formers: The ids of their classes.
        label: The id of the other class.
        left: How many of each class are left as they are.
    """

    def plant(small: SmallSet) -> None:
        with small.annotations(split) as content:
            for former in formers:
                own = [one for one in content['annotations'] if one['category_id'] == former]
                for one in own[left:]:
                    one['category_id'] = label

    return plant


def change_shares(small: SmallSet) -> None:
    """Leaves a few birds in the training, and little else in the validation."""
    relabel('train', 3, label=1, left=20)(small)
    relabel('val', 1, 2, label=3, left=1)(small)


def shrink_validation(small: SmallSet) -> None:
    """Makes the images of the validation, and their boxes, smaller."""
    for number in range(1, COUNTS['val'] + 1):
        smaller = cv2.resize(make_image(100 + number), (128, 96), interpolation=cv2.INTER_AREA)
        small.image('val', number).write_bytes(cv2.imencode('.jpg', smaller)[1].tobytes())
    with small.annotations('val') as content:
        for image in content['images']:
            image |= dict(width=128, height=96)
        for one in content['annotations']:
            one['bbox'] = [value * 0.4 for value in one['bbox']]
            one['area'] *= 0.16


def shrink_boxes(small: SmallSet) -> None:
    """Makes the objects of the validation smaller."""
    with small.annotations('val') as content:
        for one in content['annotations']:
            one['bbox'][2:] = [value * 0.35 for value in one['bbox'][2:]]
            one['area'] *= 0.35**2


def thin_training(small: SmallSet) -> None:
    """Leaves one box in each training image."""
    with small.annotations() as content:
        content['annotations'] = content['annotations'][::4]


PLANTS = {
    'validation-tiny': Plant(keep_boxes(29)),
    'validation-larger': Plant(move_images(9)),
    'class-only-in-validation': Plant(relabel('train', 3, label=1)),
    'class-only-in-training': Plant(relabel('val', 3, label=1)),
    'class-shares-differ': Plant(change_shares, count=2),
    'image-sizes-differ': Plant(shrink_validation),
    'object-sizes-differ': Plant(shrink_boxes),
    'objects-per-image-differ': Plant(thin_training, siblings={'class-with-few-boxes'}),
}
