"""What is read is what is written, whatever the format, and what cannot be read is told with its place."""

import codecs
from pathlib import Path

import numpy as np
import pytest

from mmyolox.config import load_config
from mmyolox.config.find import find_config
from mmyolox.datasets import YOLOXCocoDataset, YOLOXVOCDataset, YOLOXYoloDataset
from mmyolox.datasets.yolo_files import class_names, read_description
from mmyolox.doctor.reading import config_sources, file_source, folder_sources, read_sources
from mmyolox.errors import UserError
from tests.doctor.small_set import CLASSES, examine, write_set

DATASETS = dict(coco=YOLOXCocoDataset, yolo=YOLOXYoloDataset, voc=YOLOXVOCDataset)


def read(folder):
    return read_sources(str(folder), *folder_sources(Path(folder)))


def faults(raw):
    return {kind: [tuple(fault) for fault in found] for kind, found in raw.faults.kept.items() if found}


@pytest.mark.parametrize('format', DATASETS)
def test_boxes_are_those_that_are_trained_on(tmp_path, format):
    write_set(tmp_path, format)
    data = examine(tmp_path)
    sources, *_ = folder_sources(tmp_path)
    for number, (split, _, _, args) in enumerate(sources):
        meta = dict(classes=CLASSES)
        dataset = DATASETS[format](
            data_root=str(tmp_path), metainfo=meta, pipeline=[], test_mode=True, **args
        )
        entries = [dataset.get_data_info(index) for index in range(len(dataset))]
        own = data.box_splits == number
        assert data.raw.splits[number].name == split
        np.testing.assert_allclose(
            data.bboxes[own], np.concatenate([one['bboxes'] for one in entries]), atol=1e-3
        )
        names = [data.raw.classes[label] for label in data.raw.boxes.labels[own]]
        assert names == [CLASSES[label] for one in entries for label in one['labels']]
        images = np.flatnonzero(data.raw.image_splits == number).tolist()
        assert [data.raw.images.paths[image] for image in images] == [one['img_path'] for one in entries]
        assert data.sizes[images].tolist() == [[one['width'], one['height']] for one in entries]
    assert faults(data.raw) == {}


@pytest.mark.parametrize(
    ('format', 'place'),
    [('coco', 'annotation 6'), ('yolo', 'train_02.txt:2'), ('voc', 'train_02.xml, object 2')],
)
def test_the_place_of_a_box_can_be_looked_up(tmp_path, format, place):
    write_set(tmp_path, format)
    assert read(tmp_path).place(5) == place


def test_boxes_behind_what_is_left_out_keep_their_places(tmp_path):
    small = write_set(tmp_path / 'yolo', 'yolo')
    small.edit(lambda text: f'\nno object\n{text}')
    assert read(small.root).place(0) == 'train_01.txt:3'
    small = write_set(tmp_path / 'voc', 'voc')
    small.edit(lambda text: text.replace('<bndbox>', '<box>', 1).replace('</bndbox>', '</box>', 1))
    assert read(small.root).place(0) == 'train_01.xml, object 2'


def test_keypoints_of_coco_and_yolo_are_the_same(tmp_path):
    data = [examine(write_set(tmp_path / format, format, keypoints=True).root) for format in ('coco', 'yolo')]
    np.testing.assert_allclose(data[0].keypoints, data[1].keypoints, atol=0.01)
    assert [one.raw.skeleton.flip_pairs for one in data] == [((1, 2), (3, 4))] * 2
    assert data[0].raw.skeleton.edges == ((0, 1), (0, 2), (3, 4))
    assert data[0].raw.boxes.keypoint_counts.tolist() == [5] * 128
    assert data[1].raw.boxes.keypoint_counts.tolist() == [-1] * 128


def test_keypoints_of_two_numbers_are_visible_and_of_a_box_alone_none(tmp_path):
    small = write_set(tmp_path, 'yolo')
    path = tmp_path / 'data.yaml'
    path.write_text(path.read_text() + '\nkpt_shape: [2, 2]')
    for split, count in (('train', 24), ('val', 8)):
        for number in range(1, count + 1):
            small.label(split, number).write_text('0 0.5 0.5 0.2 0.2 0.4 0.6 0.5 0.5\n1 0.5 0.5 0.1 0.1\n')
    keypoints = examine(tmp_path).keypoints
    np.testing.assert_allclose(keypoints[0], [[128, 144, 2], [160, 120, 2]])
    assert np.isnan(keypoints[1]).all()


def test_entries_at_fault_are_told_and_the_others_read(tmp_path):
    small = write_set(tmp_path)
    path = tmp_path / 'annotations' / 'train.json'
    with small.annotations() as content:
        content['annotations'][1] = 'text'
        content['annotations'][2]['bbox'] = [1, 2, '3', 4]
        content['annotations'][3] |= dict(iscrowd='maybe', area=-5, id='an id')
        content['annotations'][4] |= dict(image_id=99)
        content['annotations'][5] |= dict(category_id=7.0)
        content['images'][1].pop('height')
        content['images'].append(dict(id=3.0, file_name='train_03.jpg', width=320, height=240))
        content['images'].append(dict(id=100, width=320, height=240))
        content['categories'].append(dict(id=9))
    raw = read(tmp_path)
    wanted = '[x, y, width, height], numbers below 2**63'
    assert faults(raw) == {
        'entry-unreadable': [
            (f'{path}, images no. 25 (id 100)', 'file_name: None, not a text'),
            (f'{path}, annotations no. 1', "'text' is no object"),
            (f'{path}, annotations no. 2 (id 3)', f"bbox: [1, 2, '3', 4], not {wanted}"),
            (f'{path}, categories no. 3 (id 9)', 'name: None, not a text'),
        ],
        'value-unreadable': [
            (f'{path}, images no. 1 (id 2)', 'height: None, not a whole number of pixels'),
            (f"{path}, annotations no. 3 (id 'an id')", "iscrowd: 'maybe', not 0 or 1"),
            (f"{path}, annotations no. 3 (id 'an id')", 'area: -5, not a number of square pixels'),
        ],
        'id-repeated': [(str(path), 'images with the id 3')],
        'image-unknown': [(f'{path}, annotation 5', 'image_id 99 is not in the file')],
        'category-unknown': [(f'{path}, annotation 6', 'category_id 7 is not in the file')],
    }
    assert raw.images.sizes[1].tolist() == [320, 0]
    assert raw.place(1) == 'annotation an id'
    assert not raw.boxes.is_crowd[1]
    assert np.isnan(raw.boxes.areas[1])
    assert len(raw.splits[0].boxes) == 92


def test_numbers_that_json_has_not_are_read(tmp_path):
    small = write_set(tmp_path)
    with small.annotations() as content:
        content['annotations'][0]['bbox'] = [float('nan'), 2, float('inf'), -4]
    np.testing.assert_array_equal(read(tmp_path).boxes.bboxes[0], [np.nan, 2, np.nan, -2])


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_annotations_in_other_encodings_are_read(tmp_path, encoding):
    write_set(tmp_path)
    path = tmp_path / 'annotations' / 'train.json'
    path.write_text(path.read_text(), encoding=encoding)
    raw = read(tmp_path)
    assert len(raw.splits[0].boxes) == 96
    assert path.read_bytes().startswith((codecs.BOM_UTF8, codecs.BOM_UTF16))


def test_lines_at_fault_are_told_with_their_numbers(tmp_path):
    small = write_set(tmp_path, 'yolo')
    lines = ['0 0.5 0.5 nan 0.1', '0 2 2 0.1 0.1', 'x 1 1 1 1', '3 .5 .5 .1 .1', '-1 .5 .5 .1 .1']
    small.label().write_text('\n'.join(lines))
    raw = read(tmp_path)
    place = str(small.label())
    assert faults(raw) == {
        'line-unreadable': [
            (f'{place}:3', "'x 1 1 1 1' holds something that is no number"),
            (f'{place}:5', 'class index -1 is not in 0 to 2'),
        ],
        'class-unknown': [(f'{place}:4', 'class index 3 is not in 0 to 2')],
    }
    # Boxes are as written: training leaves these out.
    assert raw.boxes.ids[:2] == [1, 2]
    assert np.isnan(raw.boxes.bboxes[0, 0])
    np.testing.assert_allclose(raw.boxes.bboxes[1], [1.95, 1.95, 2.05, 2.05])


def test_a_data_set_of_yolo_without_names_has_those_of_its_indices(tmp_path):
    small = write_set(tmp_path, 'yolo')
    (tmp_path / 'data.yaml').unlink()
    small.edit(lambda text: f'{text}5 0.5 0.5 0.1 0.1\n')
    assert read(tmp_path).classes == tuple(f'class {index}' for index in range(6))


@pytest.mark.parametrize(
    ('names', 'classes', 'wrong'),
    [
        ('names: {0: cat, 2: bird}', 'cat,class 1,bird', [('name-index-missing', '1, of 3')]),
        (
            'names: {1: cat, 2: dog, 3: bird, 5: cow}\nnc: 4',
            'class 0,cat,dog,bird,cow',
            [('name-index-missing', '0, of 6'), ('name-index-missing', '4, of 6')],
        ),
        (
            'names: {a: cat, 0: dog, -1: bird, 01: cow}',
            'dog',
            [('names-unreadable', "names of no index: 'a', '-1', '01'")],
        ),
        ('nc: 5\nnames: [cat, dog, bird]', 'cat,dog,bird', [('nc-differs', "nc: '5', and 3 names")]),
        ('nc: [3]\nnames: [cat, dog, bird]', 'cat,dog,bird', [('nc-differs', "nc: ['3'], and 3 names")]),
        ('names: [cat, [dog], bird]', 'cat,class 1,bird', [('names-unreadable', "index 1: ['dog']")]),
        ('names: classes.txt', 'class 0,class 1,class 2', [('names-unreadable', "names: 'classes.txt'")]),
        ('names: []', 'class 0,class 1,class 2', [('names-unreadable', 'names: []')]),
        ('names: {a: cat}', 'class 0,class 1,class 2', None),
        ('names: {2000: cat}', 'class 0,class 1,class 2', None),
        ('nc: 3\nnames: {0: cat, 1: dog, 2: bird}', 'cat,dog,bird', []),
    ],
)
def test_names_at_fault_are_told_once_and_the_boxes_read(tmp_path, names, classes, wrong):
    write_set(tmp_path, 'yolo')
    path = tmp_path / 'data.yaml'
    path.write_text(f'train: images/train\nval: images/val\n{names}\n')
    raw = read(tmp_path)
    told = [(kind, fault.reason) for kind, kept in raw.faults.kept.items() for fault in kept]
    if wrong is None:
        assert {kind for kind, _ in told} == {'names-unreadable'}
    else:
        assert [one for one in told if one[0] not in ('class-unknown', 'label-missing')] == wrong
    assert ','.join(raw.classes) == classes
    data = read_description(path)
    if told:
        with pytest.raises(UserError):
            class_names(tmp_path, path, data)
    else:
        assert class_names(tmp_path, path, data) == classes.split(',')
    assert len(raw.boxes) + raw.faults.counts['class-unknown'] == 128


def test_files_of_names_that_contradict_each_other_are_a_fault(tmp_path):
    write_set(tmp_path, 'yolo')
    (tmp_path / 'data.yaml').unlink()
    (tmp_path / 'classes.txt').write_text('cat\ndog\nbird\n')
    (tmp_path / 'obj.names').write_text('cat\nbird\ndog\n')
    raw = read(tmp_path)
    (fault,) = raw.faults.kept['names-unreadable']
    assert "calls class 1 'bird'" in fault.reason
    assert raw.classes == ('class 0', 'class 1', 'class 2')
    assert raw.faults.counts['names-missing'] == 0


@pytest.mark.parametrize('shape', ['17', '[5]', '[0, 3]', '[5, 4]', '[5, 3, 1]', '{a: 1}', '[100000, 3]'])
def test_without_the_shape_of_keypoints_the_boxes_are_read(tmp_path, shape):
    write_set(tmp_path, 'yolo', keypoints=True)
    whole = read(tmp_path)
    path = tmp_path / 'data.yaml'
    path.write_text(path.read_text().replace('kpt_shape: [5, 3]', f'kpt_shape: {shape}'))
    raw = read(tmp_path)
    assert raw.faults.counts == {'keypoint-shape-unreadable': 1}
    assert raw.skeleton is raw.boxes.keypoints is None
    np.testing.assert_array_equal(raw.boxes.bboxes, whole.boxes.bboxes)


def test_lost_labels_of_two_data_sets_are_told_once(tmp_path):
    for name in 'ab':
        small = write_set(tmp_path / name, 'yolo')
        small.label().with_stem('lost').write_text('')
    sources = [source for name in 'ab' for source in folder_sources(tmp_path / name)[0]]
    assert read_sources('any', sources).faults.counts == {'label-lost': 2}


def test_pascal_voc_is_read_as_the_data_set_is_told(tmp_path):
    small = write_set(tmp_path, 'voc')
    sources, notes, _ = folder_sources(tmp_path)
    from_zero = [one._replace(args=dict(one.args, one_based=False)) for one in sources]
    boxes = [read_sources('any', own, notes).boxes.bboxes for own in (sources, from_zero)]
    assert (boxes[1] - boxes[0] == 1).all()
    names = [small.label('val', number).stem for number in (1, 2)]
    (tmp_path / 'held_out.txt').write_text('\n'.join(names))
    excluded = [one._replace(args=dict(one.args, excluded=['held_out.txt'])) for one in sources]
    assert len(read_sources('any', excluded).images) == 30


def test_parts_of_a_fold_are_read_once(tmp_path):
    write_set(tmp_path)
    (tmp_path / 'annotations' / 'val.json').unlink()
    raw = read(tmp_path)
    assert [split.name for split in raw.splits] == ['train']
    assert raw.notes == ('no validation split, so that 1 image of 5 is held out (seed 0)',)


@pytest.mark.parametrize('has_folder', [True, False])
def test_an_annotation_file_is_enough(tmp_path, has_folder):
    small = write_set(tmp_path)
    path = tmp_path / 'annotations' / 'val.json'
    raw = read_sources('any', [file_source(path, tmp_path / 'images' if has_folder else None)])
    assert [split.name for split in raw.splits] == ['val']
    assert Path(raw.images.paths[0]).resolve() == small.image('val').resolve()
    assert len(raw.boxes) == 32


@pytest.mark.parametrize('format', DATASETS)
def test_a_config_names_the_splits(tmp_path, format):
    write_set(tmp_path, format)
    cfg = load_config(find_config('yolox_nano', 'custom'), dict(data_root=f'{tmp_path}/'))
    raw = read_sources('any', config_sources(cfg))
    assert [split.name for split in raw.splits] == ['train', 'val']
    by_folder = read(tmp_path)
    assert [*map(str, raw.images.paths)] == [*map(str, by_folder.images.paths)]
    np.testing.assert_array_equal(raw.boxes.bboxes, by_folder.boxes.bboxes)


def test_data_sets_within_others_are_read(tmp_path):
    for name in 'ab':
        write_set(tmp_path / name)
    inner = [
        dict(
            type='YOLOXCocoDataset',
            data_root=str(tmp_path / name),
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
        )
        for name in 'ab'
    ]
    cfg = load_config(find_config('yolox_nano', 'custom'), dict(data_root=f'{tmp_path}/a/'))
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=inner)
    raw = read_sources('any', config_sources(cfg))
    assert [split.name for split in raw.splits] == ['train', 'train', 'val']
    assert len(raw.images) == 24 + 24 + 8
    assert np.bincount(raw.boxes.images).tolist() == [4] * 56


def test_data_elsewhere_and_of_others_are_refused(tmp_path):
    write_set(tmp_path)
    cfg = load_config(find_config('yolox_nano', 'custom'), dict(data_root=f'{tmp_path}/'))
    cfg.train_dataloader.dataset.data_root = 's3://bucket/data'
    with pytest.raises(UserError, match='not files of this machine'):
        config_sources(cfg)
    cfg.train_dataloader.dataset = cfg.val_dataloader.dataset = cfg.test_dataloader.dataset = dict(
        type='mmdet.LVISV1Dataset', ann_file='a.json'
    )
    with pytest.raises(UserError, match='no data set that the doctor reads'):
        config_sources(cfg)


@pytest.mark.parametrize(('name', 'reason'), [('a.txt', 'name the folder'), ('a.json', 'not found')])
def test_what_is_no_data_is_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=reason):
        read_sources('any', [file_source(tmp_path / name, tmp_path)])


def test_a_split_that_cannot_be_read_leaves_the_others(tmp_path):
    small = write_set(tmp_path)
    path = tmp_path / 'annotations' / 'train.json'
    with small.annotations() as content:
        content['annotations'][0]['bbox'] = 'lost'
    path.write_text(path.read_text()[:-5])
    raw = read(tmp_path)
    ((split, reason),) = faults(raw)['split-unreadable']
    assert split == 'train'
    assert reason.startswith(f'{path}, line 1, column')
    assert [one.name for one in raw.splits] == ['val']
    assert len(raw.boxes) == 32
    # What was read of the broken file is none of the data.
    assert raw.faults.counts == {'split-unreadable': 1}


@pytest.mark.parametrize(('format', 'gone'), [('voc', 'gone.txt'), ('yolo', 'gone.yaml')])
def test_a_list_or_description_that_is_not_there_leaves_the_other_splits(tmp_path, format, gone):
    write_set(tmp_path, format)
    (train, val), *_ = folder_sources(tmp_path)
    raw = read_sources('any', [train, val._replace(args=dict(val.args, ann_file=gone))])
    assert [one.name for one in raw.splits] == ['train']
    assert gone in faults(raw)['split-unreadable'][0][1]


@pytest.mark.parametrize('end', [3000, None])
def test_an_annotation_file_that_is_broken_off_is_no_split_less(tmp_path, end):
    write_set(tmp_path)
    folder = tmp_path / 'annotations'
    for split in ('train', 'val'):
        (folder / f'{split}.json').rename(folder / f'instances_{split}2017.json')
    path = folder / 'instances_val2017.json'
    path.write_text(path.read_text()[:end])
    (folder / 'captions_val2017.json').write_text('{"images": [], "annotations": []}')
    raw = read(tmp_path)
    assert [one.name for one in raw.splits] == ['train', 'val'][: 1 if end else 2]
    told = [fault.reason.partition(', line 1, ')[0] for fault in raw.faults.kept['split-unreadable']]
    assert told == ([str(path)] if end else [])


def test_data_without_a_split_that_can_be_read_are_refused_in_one_line(tmp_path):
    write_set(tmp_path)
    for split in ('train', 'val'):
        path = tmp_path / 'annotations' / f'{split}.json'
        path.write_text(path.read_text()[:-5])
    with pytest.raises(UserError, match=r'train\.json, line 1, .* not valid JSON'):
        read(tmp_path)
