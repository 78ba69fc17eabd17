"""Pascal VOC's format, recognised in the folders that tools write."""

import pytest

from mmyolox.datasets import YOLOXVOCDataset
from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.datasets.splits import UNSPLIT
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


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-be', 'utf-8-sig'])
def test_files_in_any_unicode_are_recognised(tmp_path, encoding):
    write(tmp_path, its_own())
    for path in tmp_path.glob('Annotations/*.xml'):
        path.write_bytes(f'<?xml version="1.0"?>{path.read_text()}'.encode(encoding))
    layout = recognise(tmp_path)
    assert (layout.name, FORMATS['voc'].read_classes(layout)) == ('Pascal VOC', ('cat', 'dog'))


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
        # What is in another split is not trained on.
        (dict(a='', b=''), {'val.txt': 'a.jpg', 'test.txt': ''}, None, dict(train=['b'], val=['a'])),
        (dict(a='', b='', c=''), {'Test.txt': 'b'}, None, dict(train=['a', 'c'], test=['b'])),
        (its_own(), {'val.txt': 'c'}, None, dict(train=['a', 'b'], val=['c'])),
        ({'a': '', 'b': '', 'valid/c': ''}, {}, None, dict(train=['a', 'b'], val=['valid/c'])),
        (
            its_own(),
            {'ImageSets/Main/trainval.txt': 'a\nb\nc', 'ImageSets/Main/val.txt': 'c'},
            None,
            dict(train=['a', 'b'], val=['c']),
        ),
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
    assert any('is held out' in note for note in layout.notes) == ('val' not in expected)
    assert not any(note.startswith(UNSPLIT) for note in layout.notes)
    for split, names in expected.items():
        options = {key: value for key, value in layout.splits[split].items() if key != 'fold'}
        dataset = YOLOXVOCDataset(data_root=str(tmp_path), metainfo=dict(classes=classes), **options)
        ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
        # Of a folder of one split, names are those in it.
        assert ids == [name.removeprefix(f'{options["ann_subdir"]}/') for name in names]


def test_what_is_not_trained_on_is_told(tmp_path):
    write(tmp_path, its_own(), {'val.txt': 'b', 'mine.txt': 'a'})
    rest = 'no list or folder of training images, all images but those of val taken for training'
    assert recognise(tmp_path).notes == (
        f'{rest}: 2 (a, c)',
        'images of val.txt, not trained on: 1 (b)',
    )
    layout = recognise(tmp_path, ann_files=dict(val='mine.txt'))
    assert layout.splits['train']['excluded'] == ['mine.txt']
    assert 'excluded' not in recognise(tmp_path, ann_files=dict(train='mine.txt')).splits['train']


def test_nothing_is_left_to_train_on(tmp_path):
    write(tmp_path, its_own(), {'val.txt': 'a\nb\nc'})
    with pytest.raises(UserError, match=r'without a list or folder of training images \(.*: val\)'):
        recognise(tmp_path)
    dataset = YOLOXVOCDataset(data_root=str(tmp_path), excluded=['val.txt'], lazy_init=True)
    with pytest.raises(UserError, match=r'all images are in val\.txt: none is left'):
        dataset.full_init()


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
        (
            {f'VOC{year}/JPEGImages/a': f'VOC{year}/Annotations/a' for year in (2007, 2012)},
            {},
            r'do you mean \S+VOC2007 or \S+VOC2012\?$',
        ),
        ({f'{split}/a': '' for split in ('test', 'valid')}, {}, r'training images \(.*: test, valid\)'),
        ({}, {'a.xml': '<annotations/>'}, 'no data set was recognised'),
        ({}, {'a.xml': '<annotation/>'}, 'the XML files have no objects'),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, images, lists, message):
    write(tmp_path, images, lists)
    with pytest.raises(UserError, match=message):
        FORMATS['voc'].read_classes(recognise(tmp_path))


def test_a_format_that_a_config_does_not_read(tmp_path):
    write(tmp_path, its_own(), LISTS)
    with pytest.raises(UserError, match=r'recognised; it is Pascal VOC, and this config reads coco, yolo$'):
        recognise(tmp_path, ('coco', 'yolo'))
