"""COCO's format, recognised in the folders that tools write."""

import json

import pytest

from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.errors import UserError
from tests.datasets.test_voc import DOG as VOC_DOG, xml_text
from tests.tools.small_files import write_text

PROJECT = dict(id=0, name='pets', supercategory='none')
CAT, DOG = (dict(id=i, name=name, supercategory='pets') for i, name in ((1, 'cat'), (2, 'dog')))


def write(file, images, categories=(PROJECT, CAT, DOG), labels=(1, 2), folder=None):
    """Writes a COCO file and its empty images, beside it or in a folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for name in images:
        image = (file.parent if folder is None else folder) / name
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    content = dict(
        images=[dict(id=i, file_name=name, width=9, height=9) for i, name in enumerate(images)],
        annotations=[dict(id=i, image_id=0, category_id=c, bbox=[0, 0, 4, 4]) for i, c in enumerate(labels)],
        categories=categories,
    )
    file.write_text(json.dumps(content))


def paths(layout):
    return {split: (args['ann_file'], args['data_prefix']['img']) for split, args in layout.splits.items()}


def test_our_layout(tmp_path):
    for split in ('train', 'val'):
        write(tmp_path / f'annotations/{split}.json', [f'{split}.jpg'], folder=tmp_path / 'images')
    layout = recognise(tmp_path)
    assert paths(layout) == dict(
        train=('annotations/train.json', 'images/'), val=('annotations/val.json', 'images/')
    )
    assert (layout.format, layout.name, layout.notes) == ('coco', 'COCO', ())


def test_what_a_converter_has_read_lies_beside_the_images(tmp_path):
    write(tmp_path / 'annotations/train.json', ['1.jpg'], folder=tmp_path / 'images')
    (tmp_path / 'images/1.txt').write_text('0 .5 .5 .5 .5')
    assert paths(recognise(tmp_path))['train'] == ('annotations/train.json', 'images/')
    assert recognise(tmp_path, ['yolo']).format == 'yolo'


@pytest.mark.parametrize('before', ['/home/j/', 'C:\\data\\'])
def test_the_folder_of_images_is_found_though_names_have_those_of_another_computer(tmp_path, before):
    write(tmp_path / 'annotations/train.json', ['1.jpg'], folder=tmp_path / 'photos')
    text = (tmp_path / 'annotations/train.json').read_text()
    (tmp_path / 'annotations/train.json').write_text(text.replace('"1.jpg"', json.dumps(f'{before}1.jpg')))
    assert paths(recognise(tmp_path))['train'] == ('annotations/train.json', 'photos/')


def test_annotations_of_pascal_voc_beside_what_was_converted_of_them(tmp_path):
    write(tmp_path / 'annotations/train.json', ['1.jpg'], folder=tmp_path / 'JPEGImages')
    write_text(tmp_path / 'Annotations/1.xml', xml_text([VOC_DOG]))
    layout = recognise(tmp_path)
    assert (layout.format, paths(layout)['train']) == ('coco', ('annotations/train.json', 'JPEGImages/'))
    assert recognise(tmp_path, formats=['voc']).splits['train']['img_subdir'] == 'JPEGImages'


def test_a_name_that_is_too_long_is_found_nowhere(tmp_path):
    write(tmp_path / 'result.json', ['1.jpg'])
    content = (tmp_path / 'result.json').read_text()
    (tmp_path / 'result.json').write_text(content.replace('1.jpg', 5000 * 'a'))
    assert paths(recognise(tmp_path))['train'] == ('result.json', '')


def test_an_export_of_roboflow(tmp_path):
    for split in ('train', 'valid', 'test'):
        write(tmp_path / split / '_annotations.coco.json', [f'{split}.jpg'])
    layout = recognise(tmp_path)
    assert paths(layout) == {
        split: (f'{folder}/_annotations.coco.json', f'{folder}/')
        for split, folder in dict(train='train', val='valid', test='test').items()
    }
    assert layout.describe() == f'COCO (Roboflow export) in {tmp_path}'
    assert FORMATS['coco'].read_classes(layout) == ('cat', 'dog')


def test_cocos_own_layout(tmp_path):
    for split in ('train2017', 'val2017'):
        for kind in ('instances', 'person_keypoints', 'captions'):
            write(tmp_path / f'annotations/{kind}_{split}.json', ['1.jpg'], folder=tmp_path / split)
    assert paths(recognise(tmp_path)) == dict(
        train=('annotations/instances_train2017.json', 'train2017/'),
        val=('annotations/instances_val2017.json', 'val2017/'),
    )


@pytest.mark.parametrize('file', ['annotations/instances_default.json', 'result.json', 'labels.json'])
@pytest.mark.parametrize('folder', ['images', 'images/default', 'data', '.'])
def test_one_file_is_split(tmp_path, file, folder):
    write(tmp_path / file, ['a.jpg', 'b.jpg'], folder=tmp_path / folder)
    layout = recognise(tmp_path, fold=dict(seed=3))
    prefix = dict(img='' if folder == '.' else f'{folder}/')
    assert layout.splits == {
        split: dict(
            ann_file=file,
            data_prefix=prefix,
            fold=dict(count=5, index=0, seed=3, held_out=split == 'val'),
        )
        for split in ('train', 'val')
    }
    assert layout.notes == ('no validation split, so that 1 image of 5 is held out (seed 3)',)


def test_several_that_could_be_trained_on_are_listed(tmp_path):
    for name in ('cats', 'dogs'):
        write(tmp_path / f'{name}.json', ['a.jpg'])
    with pytest.raises(UserError, match=r'by train_ann_file=cats.json; COCO by train_ann_file=dogs.json$'):
        recognise(tmp_path)
    assert paths(recognise(tmp_path, ann_files=dict(train='dogs.json')))['train'] == ('dogs.json', '')


def test_the_year_tells_which_belong_together(tmp_path):
    for year in (2014, 2017):
        for split in ('train', 'val'):
            write(tmp_path / f'annotations/instances_{split}{year}.json', ['1.jpg'])
    layout = recognise(tmp_path, ann_files=dict(train='annotations/instances_train2014.json'))
    assert layout.splits['val']['ann_file'] == 'annotations/instances_val2014.json'


def test_splits_of_other_classes_are_named(tmp_path):
    write(tmp_path / 'train/a.json', ['a.jpg'], categories=[CAT], labels=[1])
    write(tmp_path / 'val/a.json', ['a.jpg'], categories=[DOG], labels=[2])
    with pytest.raises(UserError, match=r'val/a.json lacks the class cat and has the class dog, unlike .*'):
        FORMATS['coco'].read_classes(recognise(tmp_path))


@pytest.mark.parametrize(
    ('others', 'advice'),
    [
        ([[CAT, DOG]], None),
        ([[DOG]], 'mend them, or train those that all have: classes=dog$'),
        ([[CAT, DOG], [dict(DOG, name='Dog'), CAT]], 'mend them, or train those that all have: classes=cat$'),
        ([[CAT], [DOG]], 'categories; mend them$'),
    ],
)
def test_only_classes_of_all_splits_are_advised(tmp_path, others, advice):
    for folder, categories in zip(('train', 'val', 'test'), [[CAT, DOG], *others], strict=False):
        labels = [category['id'] for category in categories]
        write(tmp_path / folder / 'a.json', ['a.jpg'], categories=categories, labels=labels)
    layout = recognise(tmp_path)
    if advice is None:
        assert FORMATS['coco'].read_classes(layout) == ('cat', 'dog')
        return
    with pytest.raises(UserError, match=advice):
        FORMATS['coco'].read_classes(layout)


@pytest.mark.parametrize(
    ('file', 'folder', 'expected'),
    [
        ('train/_annotations.coco.json', None, 'train/'),
        ('labels.json', None, ''),
        ('labels.json', 'images', 'images/'),
        ('annotations/train.json', None, 'images/'),
    ],
)
def test_images_that_are_nowhere_are_looked_for_where_they_belong(tmp_path, file, folder, expected):
    write(tmp_path / file, ['a.jpg'])
    (tmp_path / file).with_name('a.jpg').unlink()
    if folder:
        (tmp_path / folder).mkdir()
    assert paths(recognise(tmp_path))['train'] == (file, expected)


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({}, r'no data set was recognised; it holds nothing; known are COCO: annotations/train.json'),
        (
            {'a.json': '{}', 'b/c.txt': ''},
            r'it holds a.json, b/; known are .* CVAT.* are converted by mmyolox import',
        ),
        ({'my/own/data/x.json': '"images" "annotations" "categories"'}, r'there is one in .*/my: name that'),
    ],
)
def test_what_is_no_data_set(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        recognise(tmp_path)


def test_what_is_no_folder(tmp_path):
    archive = tmp_path / 'data.zip'
    with pytest.raises(UserError, match=r'data\.zip: there is no such folder'):
        recognise(archive)
    archive.touch()
    with pytest.raises(UserError, match=r'data\.zip is a file: unpack it, and name the folder'):
        recognise(archive)
