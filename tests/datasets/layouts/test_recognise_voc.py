"""Pascal VOC's format, recognised in the folders that tools write."""

import pytest

from mmyolox.datasets import YOLOXVOCDataset
from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.errors import UserError
from tests.datasets.test_voc import CAT, DOG, xml_text
from tests.tools.small_files import write_image, write_text

BESIDE = {f'{split}/{name}': '' for split in ('train', 'valid') for name in 'ab'}


def write(root, images, lists=None):
    """Writes images and XML files by name, each with a dog and the first with a cat, and lists by path."""
    for number, (image, xml) in enumerate(images.items()):
        write_image(root / f'{image}.jpg', (100, 50))
        write_text(root / f'{xml or image}.xml', xml_text([DOG, CAT] if number == 0 else [DOG]))
    for path, text in (lists or {}).items():
        write_text(root / path, text)


def its_own(images='JPEGImages', annotations='Annotations'):
    return {f'{images}/{name}': f'{annotations}/{name}' for name in 'abc'}


LISTS = {'ImageSets/Main/train.txt': 'a\nb', 'ImageSets/Main/val.txt': 'c'}


@pytest.mark.parametrize(
    ('images', 'lists', 'name', 'expected'),
    [
        (its_own(), LISTS, 'Pascal VOC', dict(train=['a', 'b'], val=['c'])),
        (its_own('images', 'annotations'), LISTS, 'Pascal VOC', dict(train=['a', 'b'], val=['c'])),
        (
            its_own(),
            {'ImageSets/trainval.txt': 'a', 'ImageSets/test.txt': 'c'},
            'Pascal VOC',
            dict(train=['a'], test=['c']),
        ),
        (BESIDE, {}, 'Pascal VOC (XML beside images)', dict(train=['a', 'b'], val=['a', 'b'])),
        (
            {'train/a': '', 'test/b': ''},
            {'README.roboflow.txt': ''},
            'Pascal VOC (Roboflow export)',
            dict(train=['a'], test=['b']),
        ),
        (
            {
                f'{split}/images/{name}': f'{split}/labels/{name}'
                for split in ('train', 'valid')
                for name in 'ab'
            },
            {},
            'Pascal VOC',
            dict(train=['a', 'b'], val=['a', 'b']),
        ),
        (dict(a='', b=''), {}, 'Pascal VOC (XML beside images)', dict(train=['a', 'b'])),
        (its_own(), {}, 'Pascal VOC', dict(train=['a', 'b', 'c'])),
        (dict(a='', b=''), {'train.txt': 'a', 'val.txt': 'b'}, None, dict(train=['a'], val=['b'])),
    ],
)
def test_layouts(tmp_path, images, lists, name, expected):
    write(tmp_path, images, lists)
    layout = recognise(tmp_path)
    assert layout.format == 'voc'
    assert layout.name == (name or layout.name)
    classes = FORMATS['voc'].read_classes(layout)
    assert classes == ('cat', 'dog')
    assert ('fold' in layout.splits['train']) == ('val' not in expected)
    for split, names in expected.items():
        options = {key: value for key, value in layout.splits[split].items() if key != 'fold'}
        dataset = YOLOXVOCDataset(data_root=str(tmp_path), metainfo=dict(classes=classes), **options)
        assert [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))] == names


def test_lists_can_be_named(tmp_path):
    write(tmp_path, its_own(), {'ImageSets/Main/mine.txt': 'b'} | LISTS)
    layout = recognise(tmp_path, ann_files=dict(train='ImageSets/Main/mine.txt'))
    assert {split: args['ann_file'] for split, args in layout.splits.items()} == dict(
        train='ImageSets/Main/mine.txt', val='ImageSets/Main/val.txt'
    )


@pytest.mark.parametrize(
    ('images', 'lists', 'message'),
    [
        (its_own('pictures'), {}, 'no folder JPEGImages, nor XML files beside images'),
        (
            its_own(),
            {'ImageSets/Main/dog_test.txt': 'a'},
            r'without a list or folder of training images \(lists and folders: dog_test\); name a list',
        ),
        (dict(a=''), {'x.json': '"images" "annotations" "categories"'}, 'choose one: .*data_format=voc'),
        (
            dict(a=''),
            {'a.txt': '0 .5 .5 .5 .5', 'classes.txt': 'dog'},
            r'choose one: YOLO by data_format=yolo; Pascal VOC .* by data_format=voc$',
        ),
        ({}, {'a.xml': '<annotations/>'}, 'no data set was recognised'),
        ({}, {'a.xml': '<annotation/>'}, 'the XML files have no objects'),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, images, lists, message):
    write(tmp_path, images, lists)
    with pytest.raises(UserError, match=message):
        FORMATS['voc'].read_classes(recognise(tmp_path))
