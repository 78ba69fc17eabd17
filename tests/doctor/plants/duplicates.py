"""Faults of images that come twice."""

import shutil

import cv2
import numpy as np

from tests.doctor.small_set import SmallSet, make_image

from .plant import Plant


def copy_image(split: str, number: int, as_annotated: bool = True):
    """Replaces an image by a copy of the first one of the training split, its boxes too.

    Args:
        split: The split of the image.
        number: Its number.
        as_annotated: Whether the copies have the same boxes; else those of the copy are other ones.
    """

    def plant(small: SmallSet) -> None:
        shutil.copy(small.image(), small.image(split, number))
        with small.annotations() as content:
            boxes = [one for one in content['annotations'] if one['image_id'] == 1]
        with small.annotations(split) as content:
            kept = [one for one in content['annotations'] if one['image_id'] != number]
            copies = [dict(one, id=1000 + place, image_id=number) for place, one in enumerate(boxes)]
            if not as_annotated:
                copies[0]['bbox'][0] += 8
            content['annotations'] = kept + copies

    return plant


def resemble(split: str, number: int):
    """Makes an image a smaller, brighter one of the first of the training split, annotated as large."""

    def plant(small: SmallSet) -> None:
        pixels = make_image(1)
        lighter = np.clip(pixels.astype(np.int64) * 0.9 + 15, 0, 255).astype(np.uint8)
        blurred = cv2.GaussianBlur(lighter, (0, 0), 1.5)
        content = cv2.imencode('.jpg', blurred, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
        small.image(split, number).write_bytes(content)

    return plant


def rename(names: dict[tuple[str, int], str]):
    """Gives images other names."""

    def plant(small: SmallSet) -> None:
        for (split, number), name in names.items():
            path = small.root / 'images' / name
            path.parent.mkdir(exist_ok=True)
            small.image(split, number).rename(path)
            with small.annotations(split) as content:
                content['images'][number - 1]['file_name'] = name

    return plant


AUGMENTED = {
    ('train', 1): f'street_jpg.rf.{"a1" * 16}.jpg',
    ('val', 1): f'street_jpg.rf.{"b2" * 16}.jpg',
    ('val', 2): f'meadow_jpg.rf.{"c3" * 16}.jpg',
}
NUMBERED = {('train', 1): 'a/0001.jpg', ('val', 1): 'b/0001.jpg', ('val', 2): 'b/0002.jpg'}

PLANTS = {
    'copy-in-split': Plant(copy_image('train', 2)),
    'leak-between-splits': Plant(copy_image('val', 1)),
    'copies-annotated-differently': Plant(
        copy_image('train', 2, as_annotated=False), siblings={'copy-in-split'}
    ),
    'near-copy-in-split': Plant(resemble('train', 2)),
    'near-leak-between-splits': Plant(resemble('val', 1)),
    'augmented-leak-between-splits': Plant(rename(AUGMENTED)),
    'name-in-two-splits': Plant(rename(NUMBERED)),
}
