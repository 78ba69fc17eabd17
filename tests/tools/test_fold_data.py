"""tools/misc/fold_data.py: all images in one file, and the config of each fold."""

import json
import os.path as osp

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.registry import DATASETS
from tests.tools.small_files import write_image, write_text
from tests.tools.tool_loading import load_tool

tool = load_tool('misc/fold_data.py')
CUSTOM = 'yolox_nano_fast_1xb8-50e_custom'
COUNTS = dict(train=5, valid=3, test=2)


def coco(root):
    """Files of the same ids, with crowds, and boxes that an attribute of CVAT's turns."""
    for split, count in COUNTS.items():
        images, annotations = [], []
        for number in range(count):
            write_image(root / split / f'{number}.jpg')
            images.append(dict(id=number, file_name=f'{number}.jpg', width=40, height=20))
            box = dict(id=number, image_id=number, category_id=1 + number % 2, bbox=[1, 2, 10.5, 8], area=50)
            annotations.append(
                box | dict(iscrowd=int(number == 1), attributes=dict(rotation=90 * (number == 2)))
            )
        categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
        content = dict(images=images, annotations=annotations, categories=categories)
        write_text(root / split / '_annotations.coco.json', json.dumps(content))


def yolo(root):
    for split, count in COUNTS.items():
        for number in range(count):
            write_image(root / split / f'images/{number}.jpg')
            lines = [f'{number % 2} 0.5 0.5 0.25 0.5'] * (number != 2)
            write_text(root / split / f'labels/{number}.txt', '\n'.join(lines))
    write_text(
        root / 'data.yaml', 'train: train/images\nval: valid/images\ntest: test/images\nnames: [cat, dog]'
    )


def voc(root):
    """XML beside images, without splits; one object is difficult."""
    for number in range(8):
        write_image(root / f'{number}.jpg')
        box = '<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>12</xmax><ymax>11</ymax></bndbox>'
        flag = f'<difficult>{int(number == 3)}</difficult>'
        text = f'<object><name>{["cat", "dog"][number % 2]}</name>{flag}{box}</object>'
        write_text(root / f'{number}.xml', f'<annotation>{text}</annotation>')


def entries(cfg, split, index=0, held_out=None):
    """By path what a data set of a config has of its images."""
    given = dict(cfg[f'{split}_dataloader'].dataset, pipeline=[], test_mode=True)
    given.pop('fold', None) if held_out is None else given['fold'].update(index=index)
    dataset = DATASETS.build(given)
    infos = [dataset.get_data_info(number) for number in range(len(dataset))]
    return {
        one['img_path']: (
            (one['width'], one['height']),
            *(one[key].tolist() for key in ('bboxes', 'labels', 'is_crowd')),
        )
        for one in infos
    }


@pytest.mark.parametrize('write', [coco, yolo, voc])
def test_folds_are_disjoint_and_make_up_train_and_val(tmp_path, write):
    root = tmp_path / 'my data'
    write(root)
    cfg = load_config(CUSTOM, dict(data_root=str(root)))
    own = entries(cfg, 'train') | entries(cfg, 'val')
    division = tool.Division.of(cfg, 3, 0)
    division.apply(cfg, tmp_path / 'all.json')
    (tmp_path / 'all.json').write_text(json.dumps(division.content))
    cfg.dump(tmp_path / 'config.py')
    cfg = load_config(tmp_path / 'config.py')
    held_out = [entries(cfg, 'val', index, True) for index in range(3)]
    assert sorted(map(len, held_out)) == [2, 3, 3]
    assert held_out[0] | held_out[1] | held_out[2] == own
    assert len(own) == 8
    for index, part in enumerate(held_out):
        assert entries(cfg, 'train', index, False) == {path: own[path] for path in own.keys() - part.keys()}
        assert sorted(f'{root}/{name}' for name in division.held_out(index)) == sorted(part)
    metric = cfg.val_evaluator
    assert (metric.ann_file, metric.classwise) == (None, True)
    assert cfg.test_dataloader.dataset.get('ann_file') != str(tmp_path / 'all.json')


@pytest.fixture
def cfg(tmp_path):
    coco(tmp_path)
    return load_config(CUSTOM, dict(data_root=str(tmp_path)))


def test_objects_are_those_to_find(cfg):
    assert tool.Division.of(cfg, 2, 0).objects() == dict(cat=5, dog=1)


def test_another_seed_deals_anew(cfg):
    first, again, other = (tool.Division.of(cfg, 2, seed).held_out(0) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize('folder', ['train/', './train//', 'absolute'])
def test_an_image_of_both_splits_is_one(cfg, tmp_path, folder):
    cfg.val_dataloader.dataset.data_prefix.img = f'{tmp_path}/train' if folder == 'absolute' else folder
    cfg.train_dataloader.dataset.data_root = osp.relpath(tmp_path)
    names = [image['file_name'] for image in tool.Division.of(cfg, 2, 0).content['images']]
    assert names == [f'train/{number}.jpg' for number in range(5)]


def test_images_of_another_folder_are_found(cfg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'more/0.jpg')
    cfg.train_dataloader.dataset.update(
        data_root='train', ann_file='_annotations.coco.json', data_prefix=dict(img='')
    )
    cfg.val_dataloader.dataset.data_root = '.'
    division = tool.Division.of(cfg, 2, 0)
    own = [f'{number}.jpg' for number in range(5)]
    others = [str(tmp_path / f'valid/{number}.jpg') for number in range(3)]
    assert [image['file_name'] for image in division.content['images']] == own + others


@pytest.mark.parametrize('write', [yolo, voc])
@pytest.mark.parametrize('root', ['.', '{}/../{.name}'])
def test_images_are_dealt_alike_however_the_root_is_written(tmp_path, monkeypatch, write, root):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    cfg = load_config(CUSTOM, dict(data_root=root.format(tmp_path, tmp_path)))
    division = tool.Division.of(cfg, 3, 0)
    names = [image['file_name'] for image in division.content['images']]
    assert len(names) == 8
    assert {name.partition('/')[0] for name in names} <= {'train', 'valid', *(f'{n}.jpg' for n in range(8))}
    division.apply(cfg, tmp_path / 'all.json')
    write_text(tmp_path / 'all.json', json.dumps(division.content))
    assert len(entries(cfg, 'val', 0, True)) == len(division.held_out(0))


def test_indices_choose_once(cfg, tmp_path):
    cfg.train_dataloader.dataset.indices = [0, 4]
    division = tool.Division.of(cfg, 2, 0)
    assert len(division.content['images']) == 5
    division.apply(cfg, tmp_path / 'all.json')
    assert 'indices' not in cfg.train_dataloader.dataset


@pytest.mark.parametrize(
    ('folds', 'message'),
    [(1, r'^--folds 1: at least 2 are needed$'), (9, '^--folds 9: 8 images cannot be split')],
)
def test_folds_that_there_cannot_be(cfg, folds, message):
    with pytest.raises(UserError, match=message):
        tool.Division.of(cfg, folds, 0)


def test_a_wrapped_data_set_is_refused(cfg):
    cfg.train_dataloader.dataset = dict(type='MixedDataset', datasets=[cfg.train_dataloader.dataset])
    with pytest.raises(UserError, match=r'^config key train_dataloader.dataset.type=MixedDataset: it is not'):
        tool.Division.of(cfg, 2, 0)


def test_a_metric_with_annotations_of_its_own_is_refused(cfg, tmp_path):
    division = tool.Division.of(cfg, 2, 0)
    cfg.val_evaluator = [cfg.val_evaluator, dict(type='mmdet.CocoMetric', ann_file='a.json')]
    with pytest.raises(
        UserError, match=r'^config key val_evaluator.1: mmdet.CocoMetric reads annotations of'
    ):
        division.apply(cfg, tmp_path / 'all.json')
