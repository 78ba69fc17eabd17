"""Images by what is annotated in them, and those that nobody names."""

import shutil

import pytest

from mmyolox.doctor.checks import images
from tests.doctor.made_data import Made, examined
from tests.doctor.small_set import diagnosed, examine, names_found, write_set

NAMES = [f'{number}.jpg' for number in range(4)]


def boxes(*counts):
    return [
        (image, 0, 10 + n, 10, 60 + n, 50 + image) for image, count in enumerate(counts) for n in range(count)
    ]


def test_images_without_a_box_are_a_note_until_they_are_most():
    half = examined({'train': Made(NAMES, boxes(1, 2, 0, 0)), 'val': Made(NAMES[:2], boxes(1, 0))})
    found = images.image_without_box.find(half)
    assert (found.count, found.total, found.splits) == (3, 6, {'train': 2, 'val': 1})
    assert images.images_mostly_without_box.find(half).count == 0
    most = examined({'train': Made(NAMES, boxes(1)), 'val': Made(NAMES[:2], boxes(1, 0))})
    found = images.images_mostly_without_box.find(most)
    assert (found.count, found.total) == (3, 4)


@pytest.mark.parametrize(('count', 'found'), [(100, 0), (101, 1)])
def test_an_image_is_crowded_beyond_what_is_evaluated(count, found):
    data = examined({'train': Made(NAMES, boxes(count))})
    assert images.image_crowded.find(data).count == found


def test_splits_without_anything_are_named():
    splits = {'train': Made(NAMES, boxes(1)), 'val': Made([]), 'test': Made(NAMES, [(0, 0, 9, 9, 9, 9)])}
    found = images.split_empty.find(examined(splits))
    assert [one.detail for one in found.examples] == ['no image', 'no usable box']


def test_unlisted_images_are_looked_for_once_in_nested_folders(tmp_path):
    small = write_set(tmp_path, 'yolo')
    for folder in ('images/train', 'images/val', 'images/val/inner'):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / 'list.txt').write_text('\n'.join(str(path) for path in (tmp_path / 'images/train').iterdir()))
    shutil.copy(small.image(), tmp_path / 'images/train/other.jpg')
    (tmp_path / 'data.yaml').write_text('train: list.txt\nval: images/val\nnames: [cat, dog, bird]\n')
    found = images.image_unlisted.find(examine(tmp_path))
    assert [one.place for one in found.examples] == [str(tmp_path / 'images/train/other.jpg')]
    assert (found.count, found.total) == (1, 33)


def test_ids_that_are_texts_are_no_zero(tmp_path):
    small = write_set(tmp_path)
    with small.annotations() as content:
        content['annotations'][0]['id'] = 'a 0'
    assert names_found(diagnosed(tmp_path)) == set()
