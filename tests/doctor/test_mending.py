"""A cleaned copy: what has one right answer is done and told, the rest stays, and the data do too."""

import json

import numpy as np
import pytest

from mmyolox.doctor.cleaned import check_new_folder, image_names, write_cleaned
from mmyolox.doctor.diagnosis import diagnose
from mmyolox.doctor.mending import mend
from mmyolox.errors import UserError
from tests.doctor.made_data import Made, examined
from tests.doctor.plants import PLANTS
from tests.doctor.small_set import diagnosed, names_found, write_set

FIXED = (
    *('entry-unreadable', 'value-unreadable', 'id-repeated', 'image-unknown', 'category-unknown'),
    *('keypoints-unreadable', 'line-unreadable', 'class-unknown', 'object-unreadable', 'image-listed-twice'),
    *('file-unreadable', 'annotation-missing', 'image-missing', 'image-empty', 'image-undecodable'),
    *('image-truncated', 'image-too-large', 'copy-in-split', 'leak-between-splits', 'image-repeated'),
    *('box-not-finite', 'box-inverted', 'box-without-area', 'box-outside', 'box-over-border'),
    *('box-repeated', 'boxes-in-fractions', 'area-unlike-box', 'class-repeated', 'class-name-padded'),
    *('boxes-in-pixels', 'boxes-as-corners'),
    *('keypoint-at-origin', 'keypoint-outside-image', 'keypoint-count-differs', 'annotation-id-zero'),
    *('polygon', 'byte-order-mark', 'path-guessed'),
    *('names-unreadable', 'name-index-missing', 'nc-differs', 'keypoint-shape-unreadable'),
)
"""The checks whose findings are mended."""


def content(root, split='train'):
    return json.loads((root / 'annotations' / f'{split}.json').read_text())


def files(root):
    """What is in a folder: the content by file."""
    return {path: path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


@pytest.mark.parametrize('name', FIXED)
def test_what_is_mended_is_not_found_again(tmp_path, name):
    planted = PLANTS[name]
    small = write_set(tmp_path / 'set', planted.format, planted.keypoints)
    planted.plant(small)
    before = files(small.root)
    diagnosis = diagnosed(small.root, planted.plan)
    mended = mend(diagnosis)
    write_cleaned(mended, tmp_path / 'clean', copies=False)
    assert {change.check for change in mended.changes} >= {name}
    again = diagnosed(tmp_path / 'clean', planted.plan)
    assert name not in names_found(again)
    # What was left out may leave few objects.
    assert names_found(again) <= names_found(diagnosis) | {'class-with-few-boxes', 'validation-tiny'}
    assert files(small.root) == before


@pytest.mark.parametrize(('copies', 'kept'), [([2], 2), ([2, 3], 3)])
def test_copies_stay_where_else_no_image_could_be_held_out(tmp_path, copies, kept):
    small = write_set(tmp_path / 'set')
    (small.root / 'annotations/val.json').unlink()
    with small.annotations() as content:
        content['images'] = content['images'][:3]
        own = content['annotations'][:4]
        content['annotations'] = [
            dict(one, id=4 * image + place, image_id=image)
            for image in (1, 2, 3)
            for place, one in enumerate(own)
        ]
    for number in copies:
        small.image(number=number).write_bytes(small.image().read_bytes())
    write_cleaned(mend(diagnosed(small.root)), tmp_path / 'clean', copies=False)
    again = diagnosed(tmp_path / 'clean')
    assert len(again.data.raw.images) == kept
    assert 'holdout-impossible' not in names_found(again)


@pytest.mark.parametrize('kind', [('coco', False), ('coco', True), ('yolo', True), ('voc', False)])
def test_a_clean_data_set_stays_what_it_is(tmp_path, kind):
    small = write_set(tmp_path / 'set', *kind)
    mended = mend(diagnosed(small.root))
    write_cleaned(mended, tmp_path / 'clean', copies=True)
    assert mended.changes == []
    assert (tmp_path / 'clean/changes.json').read_text() == '[]'
    again, data = diagnosed(tmp_path / 'clean').data, mended.data
    np.testing.assert_allclose(again.bboxes, data.bboxes, atol=1e-3)
    names = [[one.raw.classes[label] for label in one.raw.boxes.labels] for one in (data, again)]
    assert names[0] == names[1]
    if kind[1]:
        np.testing.assert_allclose(again.keypoints, data.keypoints, atol=0.05)
        assert again.raw.skeleton.names == data.raw.skeleton.names
        assert again.raw.skeleton.flip_pairs == data.raw.skeleton.flip_pairs
    images = [path.read_bytes() for path in sorted((tmp_path / 'clean/images/train').iterdir())]
    assert images == [small.image('train', number).read_bytes() for number in range(1, 25)]


@pytest.mark.parametrize(('copies', 'is_link'), [(False, True), (True, False)])
def test_images_are_linked_or_copied(tmp_path, copies, is_link):
    small = write_set(tmp_path / 'set')
    write_cleaned(mend(diagnosed(small.root)), tmp_path / 'clean', copies)
    image = tmp_path / 'clean/images/train/train_01.jpg'
    assert image.is_symlink() is is_link
    assert image.read_bytes() == small.image().read_bytes()


def test_boxes_are_mended_in_place(tmp_path):
    small = write_set(tmp_path / 'set')
    boxes = [[-10, 20, 60, 40], [90, 80, -30, -40], [10, 10, 40, 30], [200, 100, 0, 9], [400, 1, 5, 5]]
    with small.annotations() as train:
        for entry, bbox in zip(train['annotations'], boxes, strict=False):
            entry |= dict(bbox=bbox, area=1200, image_id=1)
        train['annotations'][2]['area'] = 5000
        train['annotations'][5] |= dict(train['annotations'][2], id=6)
    write_cleaned(mended := mend(diagnosed(small.root)), tmp_path / 'clean', copies=False)
    own = [entry for entry in content(tmp_path / 'clean')['annotations'] if entry['image_id'] == 1]
    assert [(entry['bbox'], entry['area']) for entry in own] == [
        ([0, 20, 50, 40], 1200),
        ([60, 40, 30, 40], 1200),
        ([10, 10, 40, 30], 1200),
    ]
    assert [(change.check, change.action) for change in mended.changes] == [
        ('box-inverted', 'corners swapped'),
        ('box-without-area', 'left out'),
        ('box-outside', 'left out'),
        ('box-over-border', 'cut to the image'),
        ('box-repeated', 'left out'),
        ('area-unlike-box', 'area of the box written'),
    ]
    listed = json.loads((tmp_path / 'clean/changes.json').read_text())
    assert listed[0] == dict(
        check='box-inverted',
        action='corners swapped',
        place='train: train_01.jpg (annotation 2)',
        detail='(90, 80, 60, 40) in 320 x 240',
    )
    lines = (tmp_path / 'clean/changes.txt').read_text().splitlines()
    assert lines[0] == f'6 changes of {small.root}'
    assert lines[2].startswith('box-inverted: corners swapped: train: train_01.jpg (annotation 2): (90, ')


def test_entries_of_one_image_are_joined(tmp_path):
    small = write_set(tmp_path / 'set')
    PLANTS['image-repeated'].plant(small)
    write_cleaned(mend(diagnosed(small.root)), tmp_path / 'clean', copies=False)
    train = content(tmp_path / 'clean')
    assert len(train['images']) == 24
    assert [entry['image_id'] for entry in train['annotations'][:5]] == [1, 1, 1, 1, 2]


def test_the_last_images_of_a_split_are_not_left_out(tmp_path):
    small = write_set(tmp_path / 'set')
    for number in range(1, 9):
        small.image('val', number).write_bytes(small.image('train', number).read_bytes())
    mended = mend(diagnosed(small.root))
    assert mended.is_image_kept.all()
    assert not mended.changes


def test_copies_with_other_boxes_both_stay(tmp_path):
    small = write_set(tmp_path / 'set')
    small.image('train', 2).write_bytes(small.image('train', 1).read_bytes())
    diagnosis = diagnosed(small.root)
    assert {'copy-in-split', 'copies-annotated-differently'} <= names_found(diagnosis)
    assert mend(diagnosis).is_image_kept.all()


def test_a_category_that_only_groups_others_is_left_out(tmp_path):
    small = write_set(tmp_path / 'set')
    for split in ('train', 'val'):
        with small.annotations(split) as one:
            one['categories'] = [dict(id=0, name='animals', supercategory='none')] + [
                dict(category, supercategory='animals') for category in one['categories']
            ]
    write_cleaned(mended := mend(diagnosed(small.root)), tmp_path / 'clean', copies=False)
    assert [category['name'] for category in content(tmp_path / 'clean')['categories']] == [
        'cat',
        'dog',
        'bird',
    ]
    assert [(change.check, change.place) for change in mended.changes] == [('class-without-box', 'animals')]
    counts = [diagnosed(root).data.raw.boxes.labels for root in (small.root, tmp_path / 'clean')]
    assert (counts[0] == counts[1] + 1).all()


def test_images_of_one_name_get_different_ones():
    names = ['a/b.jpg', 'C:\\data\\b.jpg', '../x/b.jpg', '/abs/b.jpg', 'é<b>.jpg']
    diagnosis = diagnose(examined({'train': Made(names)}), ())
    assert [*image_names(mend(diagnosis)).values()] == [
        'train/a/b.jpg',
        'train/b.jpg',
        'train/b_2.jpg',
        'train/b_3.jpg',
        'train/é<b>.jpg',
    ]


@pytest.mark.parametrize('place', ['set/clean', 'used'])
def test_folders_that_are_in_use_are_refused(tmp_path, place):
    small = write_set(tmp_path / 'set')
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used/file').touch()
    with pytest.raises(UserError, match='--fix'):
        check_new_folder(tmp_path / place, small.root)
