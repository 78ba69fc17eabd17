"""The COCO data set: what it reads, against pycocotools, and what it makes of images and boxes."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.dataset import ClassBalancedDataset
from pycocotools.coco import COCO

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.errors import UserError
from mmyolox.registry import DATASETS

NAMES = ('dog', 'cat', 'bird')
IDS = (7, 3, 90)


def small_file():
    """Two images: one with a dog and a crowd of cats, one of background."""
    return dict(
        images=[
            dict(id=10, file_name='a.jpg', width=100, height=50),
            dict(id='b', file_name='sub/b.jpg', width=64, height=64),
        ],
        annotations=[
            dict(id=0, image_id=10, category_id=7, bbox=[10, 5, 20, 30], iscrowd=0),
            dict(id=1, image_id=10, category_id=3, bbox=[0, 0, 100, 50], iscrowd=1),
        ],
        categories=[dict(id=i, name=name) for i, name in zip(IDS, NAMES, strict=True)],
    )


def random_file(seed):
    """20 images of 0 to 8 boxes, some crowds, in an order in which nothing is sorted."""
    rng = np.random.default_rng(seed)
    images = [
        dict(id=int(i), file_name=f'{i}.jpg', width=int(rng.integers(40, 300)), height=90)
        for i in rng.permutation(20)
    ]
    annotations = []
    for image in images:
        for _ in range(rng.integers(9)):
            x, y = rng.uniform(0, [image['width'] - 9, 80]).round(2).tolist()
            w, h = rng.uniform(1, [image['width'] - x, 90 - y]).round(2).tolist()
            annotations.append(
                dict(image_id=image['id'], category_id=int(rng.choice(IDS)), bbox=[x, y, w, h], area=w * h)
            )
            annotations[-1].update(iscrowd=int(rng.random() < 0.2), segmentation=[[x, y, x, y, x, y]])
    for number, order in enumerate(rng.permutation(len(annotations)).tolist()):
        annotations[order]['id'] = number + 1
    categories = [dict(id=i, name=name) for i, name in zip(IDS, NAMES, strict=True)]
    return dict(images=images, annotations=annotations, categories=categories, info={}, licenses=[])


@pytest.fixture
def make(tmp_path):
    """Writes a file's content and its images, and builds the data set."""

    def build(content, **kwargs):
        for image in content['images']:
            path = tmp_path / 'images' / image['file_name']
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (tmp_path / 'ann.json').write_text(json.dumps(content))
        return load(tmp_path, **kwargs)

    return build


def load(root, **kwargs):
    options = dict(ann_file='ann.json', data_root=str(root), data_prefix=dict(img='images/'))
    return YOLOXCocoDataset(**options | kwargs)


def test_entry_has_compact_arrays(make, tmp_path):
    dataset = make(small_file())
    first, background = dataset.get_data_info(0), dataset.get_data_info(1)
    assert (first['img_id'], first['height'], first['width']) == (10, 50, 100)
    assert first['img_path'] == str(tmp_path / 'images/a.jpg')
    assert first['bboxes'].tolist() == [[10, 5, 30, 35], [0, 0, 100, 50]]
    assert first['labels'].tolist() == [0, 1]
    assert first['is_crowd'].tolist() == [False, True]
    for entry, count in ((first, 2), (background, 0)):
        assert (entry['bboxes'].shape, entry['bboxes'].dtype) == ((count, 4), np.float32)
        assert (entry['labels'].shape, entry['labels'].dtype) == ((count,), np.int64)
        assert (entry['is_crowd'].shape, entry['is_crowd'].dtype) == ((count,), np.bool_)
    assert dataset.get_cat_ids(0) == [0, 1]
    assert dataset.get_cat_ids(1) == []
    assert (dataset.report.images, dataset.report.boxes, dataset.report.losses()) == (2, 2, '')


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('classes', [None, NAMES, ('cat', 'bird', 'dog'), ('bird', 'dog')])
def test_equal_to_pycocotools(make, tmp_path, seed, classes):
    content = random_file(seed)
    dataset = make(content, metainfo=dict(classes=classes))
    reference = COCO(str(tmp_path / 'ann.json'))
    names = classes or NAMES
    wanted = [next(c['id'] for c in reference.cats.values() if c['name'] == name) for name in names]
    assert dataset.metainfo['classes'] == names
    assert dataset.metainfo['cat_ids'] == wanted
    assert len(dataset) == 20
    for index in range(20):
        entry = dataset.get_data_info(index)
        anns = reference.loadAnns(reference.getAnnIds([entry['img_id']], catIds=wanted))
        boxes = np.array([ann['bbox'] for ann in anns]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        size = [entry['width'], entry['height']] * 2
        np.testing.assert_array_equal(entry['bboxes'], boxes.clip(0, size).astype(np.float32))
        assert entry['labels'].tolist() == [wanted.index(ann['category_id']) for ann in anns]
        assert entry['is_crowd'].tolist() == [bool(ann['iscrowd']) for ann in anns]
    left_out = sum(ann['category_id'] not in wanted for ann in content['annotations'])
    assert dataset.report.other_classes.total() == left_out


def test_built_from_a_config(make, tmp_path):
    make(small_file())
    config = ConfigDict(
        type='YOLOXCocoDataset',
        ann_file='ann.json',
        data_root=str(tmp_path),
        data_prefix=dict(img='images'),
        metainfo=dict(classes=['cat', 'dog'], palette=[(1, 2, 3), (4, 5, 6)]),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
    )
    dataset = DATASETS.build(config)
    assert len(dataset) == 1
    assert dataset.metainfo == dict(classes=('cat', 'dog'), cat_ids=[3, 7], palette=[(1, 2, 3), (4, 5, 6)])


def test_ignore_flag_counts_as_crowd(make):
    content = small_file()
    content['annotations'].append(dict(content['annotations'][0], id=2))
    content['annotations'][0]['ignore'] = 1
    assert make(content).get_data_info(0)['is_crowd'].tolist() == [True, True, False]


@pytest.mark.parametrize('key', ['iscrowd', 'ignore'])
def test_crowds_alone_are_nothing_to_train_on(make, key):
    content = small_file()
    for annotation in content['annotations']:
        annotation[key] = 1
    with pytest.raises(UserError, match=r'ann.json: all 2 boxes are crowds, ignored or difficult'):
        make(content)
    assert len(make(content, test_mode=True)) == 2


def log_lines(monkeypatch, *modules):
    lines = []
    for module in modules:
        monkeypatch.setattr(f'mmyolox.datasets.{module}.print_log', lambda line, *_, **__: lines.append(line))
    return lines


def project_file():
    """Roboflow's: the project's name stands above its classes; a bird and a fish are never annotated."""
    content = small_file()
    content['categories'] = [dict(id=0, name='pets', supercategory='none')] + [
        category | dict(supercategory='pets') for category in content['categories']
    ]
    content['categories'].append(dict(id=91, name='fish', supercategory='fish'))
    return content


def test_a_category_that_only_stands_above_others_is_no_class(make, monkeypatch):
    lines = log_lines(monkeypatch, 'coco', 'base')
    dataset = make(project_file())
    assert dataset.metainfo['classes'] == ('dog', 'cat', 'bird', 'fish')
    assert dataset.metainfo['cat_ids'] == [7, 3, 90, 91]
    assert dataset.get_data_info(0)['labels'].tolist() == [0, 1]
    assert sum('supercategory of others' in line and line.endswith(': pets (id 0)') for line in lines) == 1
    assert sum('3 classes have no box' in line and line.endswith(': cat, bird, fish') for line in lines) == 1


def test_images_that_all_have_no_box_are_told(make, monkeypatch):
    lines = log_lines(monkeypatch, 'base')
    content = small_file() | dict(annotations=[])
    dataset = make(content)
    assert lines == [
        f'{dataset.ann_file}: none of {len(dataset)} images to train on has a box, so nothing is learnt but '
        'background'
    ]
    lines.clear()
    make(content, test_mode=True)
    assert lines == []


def test_what_is_told_of_categories(make, monkeypatch):
    lines = log_lines(monkeypatch, 'coco')
    content = project_file()
    content['categories'][0]['name'] = content['categories'][1]['name']  # dog, the project and the class
    for category in content['categories'][1:]:
        category['supercategory'] = 'dog'
    content['categories'][-1]['name'] = 'Bird '
    dataset = make(content)
    assert dataset.metainfo['classes'] == ('dog', 'cat', 'bird', 'Bird ')
    assert sum('supercategory of others' in line and line.endswith(': dog (id 0)') for line in lines) == 1
    assert (
        sum('only case, blanks or underscores' in line and "'bird', 'Bird '" in line for line in lines) == 1
    )


def test_keypoints_that_are_passed_over_are_reported(make):
    content = small_file()
    assert not make(content).report.has_unread_keypoints
    content['categories'][1] |= dict(keypoints=['nose', 'tail'], skeleton=[[1, 2]])
    assert make(content).report.has_unread_keypoints


def test_images_of_several_entries_are_told(make, monkeypatch):
    lines = log_lines(monkeypatch, 'coco')
    content = small_file()
    content['images'].append(dict(content['images'][0], id=11, file_name='./a.jpg'))
    assert len(make(content)) == 3
    assert sum('images of several entries' in line and line.endswith(': a.jpg') for line in lines) == 1


def test_turned_boxes_are_told(make):
    content = small_file()
    content['annotations'][0]['attributes'] = dict(rotation=30)
    report = make(content).report
    assert (report.turned.count, report.turned.examples) == (1, [str(content['annotations'][0]['id'])])
    assert '1 turned by an attribute `rotation`' in report.losses()


def test_classes_that_are_given_win(make, monkeypatch):
    lines = log_lines(monkeypatch, 'coco', 'base')
    dataset = make(project_file(), metainfo=dict(classes=('pets', 'cat', 'dog')))
    assert dataset.metainfo['cat_ids'] == [0, 3, 7]
    assert not any('supercategory' in line for line in lines)
    assert any(line.endswith(': pets, cat') for line in lines)


@pytest.mark.parametrize('name', ['.', '..', 'x.jpg', './x.jpg'])
def test_a_folder_is_no_image(make, tmp_path, name):
    make(small_file())
    (tmp_path / 'images/x.jpg').mkdir()
    content = small_file()
    content['images'][0]['file_name'] = name
    message = f'1 of {len(content["images"])} images are not in '
    with pytest.raises(UserError, match=message):
        make(content)


@pytest.mark.parametrize('spoil', ['a box', 'nobody below', 'no annotation'])
def test_other_categories_stay(make, spoil):
    content = project_file()
    if spoil == 'a box':
        content['annotations'][0]['category_id'] = 0
    elif spoil == 'nobody below':
        for category in content['categories']:
            category['supercategory'] = category['name']
    else:
        content['annotations'] = []
    assert make(content, test_mode=True).metainfo['classes'] == ('pets', 'dog', 'cat', 'bird', 'fish')


def test_bad_boxes_are_dropped_or_clipped_and_reported(make, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmyolox.datasets.annotations.print_log', lambda line, logger, level: lines.append((line, level))
    )
    content = small_file()
    for box in (
        [5, 5, 0, 9],
        [5, 5, 9, -1],
        [float('nan'), 5, 9, 9],
        [5, 5, 1e300, 9],
        [200, 5, 9, 9],
        [-5, 45, 10, 10],
    ):
        content['annotations'].append(
            dict(id=len(content['annotations']), image_id=10, category_id=90, bbox=box)
        )
    dataset = make(content)
    assert dataset.get_data_info(0)['bboxes'].tolist() == [
        [10, 5, 30, 35], [0, 0, 100, 50], [0, 45, 5, 50]
    ]  # fmt: skip
    assert dataset.get_data_info(0)['labels'].tolist() == [0, 1, 2]
    report = dataset.report
    assert (report.degenerate.examples, report.unbounded.examples) == (['2', '3'], ['4', '5'])
    assert (report.dropped, report.outside.count, report.clipped.count) == (5, 1, 1)
    assert lines == [(f'{dataset.ann_file}: 3 boxes kept; {report.losses()}', logging.WARNING)]


def test_test_mode_filters_nothing(make):
    content = small_file()
    content['annotations'] = [dict(id=1, image_id=10, category_id=7, bbox=[5, 5, 0, 0])]
    assert len(make(content, test_mode=True, filter_cfg=dict(filter_empty_gt=True))) == 2


def test_file_without_annotations_is_for_testing_only(make):
    content = small_file()
    del content['annotations']
    assert len(make(content, test_mode=True)) == 2
    with pytest.raises(UserError, match='annotations'):
        make(content)


def test_faults_of_the_file_are_told(tmp_path):
    with pytest.raises(UserError, match=r'annotation file .*none\.json not found; .*data_root=FOLDER'):
        load(tmp_path, ann_file='none.json')


def test_indices_and_class_balancing(make):
    content = random_file(0)
    assert len(make(content, indices=3)) == 3
    assert len(ClassBalancedDataset(make(content), oversample_thr=0.9)) >= 20


def test_more_arrays_can_be_added_per_image(make):
    class WithAreas(YOLOXCocoDataset):
        def instance_columns(self, file, indices, bboxes):
            return super().instance_columns(file, indices, bboxes) | dict(area=file.areas[indices])

    content = random_file(1)
    content['annotations'][0]['bbox'][2] = 0
    dataset = make(content)
    extended = WithAreas(dataset.ann_file, data_prefix=dataset.data_prefix)
    areas = np.concatenate([extended.get_data_info(i)['area'] for i in range(20)])
    assert len(areas) == len(content['annotations']) - 1
    assert sorted(areas) == sorted(ann['area'] for ann in content['annotations'][1:])


def test_absent_images_are_counted_and_named(make, tmp_path):
    dataset = make(random_file(0))
    first, *others = [Path(path) for path in dataset.data_list.images('img_path')]
    for path in others[:4]:
        path.unlink()
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert str(error.value).startswith(f'{dataset.ann_file}: 4 of 20 images are not in {tmp_path}/images')
    assert str(error.value).count('.jpg') == 3
    # Of what a remote storage holds the first is looked up alone.
    assert len(load(tmp_path, backend_args=dict(backend='local'))) == 20
    first.unlink()
    with pytest.raises(
        UserError, match=rf'{first.name}, the first of 20 images, cannot be read \(No such file'
    ):
        load(tmp_path, backend_args=dict(backend='local'))


def test_names_that_begin_with_the_image_folder(make, tmp_path):
    content = random_file(0)
    make(content)
    for image in content['images']:
        image['file_name'] = f'images/{image["file_name"]}'
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    with pytest.raises(UserError, match=f'20 of 20 images.*; they are in {tmp_path}: correct img_prefix'):
        load(tmp_path)
    assert len(load(tmp_path, data_prefix=dict(img=''))) == 20


def test_names_written_on_windows(make, tmp_path):
    content = small_file()
    make(content)
    content['images'][1]['file_name'] = 'sub\\b.jpg'
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    assert load(tmp_path).get_data_info(1)['img_path'] == f'{tmp_path}/images/sub/b.jpg'
    (tmp_path / 'images/sub\\b.jpg').touch()
    assert load(tmp_path).get_data_info(1)['img_path'] == f'{tmp_path}/images/sub\\b.jpg'


@pytest.mark.parametrize(
    ('prefix', 'message'),
    [
        (dict(img='none/'), 'none/, the folder of the images, not found'),
        (dict(image='images/'), "data_prefix needs the key 'img'"),
    ],
)
def test_no_image_folder(make, tmp_path, prefix, message):
    make(small_file())
    with pytest.raises(UserError, match=message):
        load(tmp_path, data_prefix=prefix)


def test_without_data_prefix_images_are_in_the_data_root(tmp_path):
    (tmp_path / 'ann.json').write_text(json.dumps(small_file()))
    (tmp_path / 'sub').mkdir()
    for name in ('a.jpg', 'sub/b.jpg'):
        (tmp_path / name).touch()
    assert len(YOLOXCocoDataset('ann.json', data_root=str(tmp_path))) == 2


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (
            ('dog', 'kat'),
            r"ann\.json has no class 'kat'; did you mean cat\? \(its classes: dog, cat, bird\)",
        ),
        (('zebra',), r"has no class 'zebra' \(its classes"),
    ],
)
def test_configured_class_that_the_file_lacks(make, classes, message):
    with pytest.raises(UserError, match=message):
        make(small_file(), metainfo=dict(classes=classes))


def test_fractions_of_the_image_are_no_pixels(make):
    content = small_file()
    content['annotations'][0]['bbox'] = [0.1, 0.1, 0.2, 0.6]
    content['annotations'][1]['bbox'] = [0, 0, 1, 1]
    with pytest.raises(UserError, match='all 2 boxes lie in the first pixel of their image'):
        make(content)
    assert len(make(content, test_mode=True)) == 2
    content['annotations'][1]['bbox'] = [0, 0, 1, 1.1]
    assert len(make(content)) == 2


def test_nothing_left_to_train_on(make):
    content = small_file()
    with pytest.raises(UserError, match='leaves none of 2 images to train on: 2 smaller than 500 px'):
        make(content, filter_cfg=dict(min_size=500))
    with pytest.raises(UserError, match='no box is left to train on: 2 of classes not configured'):
        make(content, metainfo=dict(classes=('bird',)))
