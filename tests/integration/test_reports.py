"""Data sets and configs as users reported them elsewhere, each through the command that a user gives."""

import codecs
import json

import cv2
import numpy as np
import pytest

from mmyolox.config import load_config
from mmyolox.registry import DATASETS
from tests.integration.runs import ONE_EPOCH, read_log, run_tool, succeed, write_config
from tests.integration.test_errors import error_line

CAT, DOG = [10, 10, 20, 20], [34, 30, 24, 20]
XYXY = {1: (10, 10, 30, 30), 2: (34, 30, 58, 50)}
"""The boxes of a cat (category 1) and a dog (2) in every picture, in COCO's form and as corners."""


def write_picture(path, size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    for category, (x1, y1, x2, y2) in XYXY.items():
        pixels[y1:y2, x1:x2] = (40 * category, 200, 20)
    cv2.imwrite(str(path), pixels)


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_coco(root, size=(64, 64), crowd=0, mark=b''):
    """Four pictures to train and two to validate, with a cat and a dog each, and a class without a box."""
    for split, count in (('train', 4), ('val', 2)):
        images, annotations = [], []
        for number in range(1, count + 1):
            name = f'{split}_{number}.png'
            write_picture(root / 'images' / name, size)
            images.append(dict(id=number, file_name=name, width=64, height=64))
            for category, box in ((1, CAT), (2, DOG)):
                entry = dict(image_id=number, category_id=category, bbox=box, area=400, iscrowd=crowd)
                annotations.append(dict(entry, id=len(annotations) + 1))
        categories = [dict(id=i, name=name) for i, name in enumerate(('ghost', 'cat', 'dog'))]
        content = dict(images=images, annotations=annotations, categories=categories)
        path = root / f'annotations/{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mark + json.dumps(content).encode())


@pytest.fixture
def data(tmp_path):
    return tmp_path / 'data'


@pytest.fixture
def train(tmp_path, data):
    """Trains on ``data`` for an epoch: the run's folder is ``run``."""
    config = write_config(tmp_path, data)

    def start(*options):
        return run_tool(
            'train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *ONE_EPOCH, *options
        )

    return start


def read_boxes(root, split='train'):
    """The classes, and the boxes of each image with their labels, as training reads a converted data set."""
    ann_files = dict(train_ann_file='annotations/train.json', val_ann_file=f'annotations/{split}.json')
    options = {'data_root': str(root), **ann_files, 'train_dataloader.dataset.pipeline': []}
    cfg = load_config('yolox_nano_fast_1xb8-50e_custom', options)
    dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    entries = [dataset.get_data_info(index) for index in range(len(dataset))]
    return cfg.classes, [
        [(label, *box) for label, box in zip(e['labels'].tolist(), e['bboxes'].tolist(), strict=True)]
        for e in entries
    ]


@pytest.mark.parametrize('classwise', [True, False])
def test_figures_of_classes_do_not_choose_the_best_checkpoint(tmp_path, data, train, classwise):
    """The first class has no box, and the second is found best where the mean is not the best."""
    write_coco(data)
    found = dict(
        first=[],
        second=[(1, 1, XYXY[1]), (1, 2, XYXY[2]), (2, 2, XYXY[2])],
        third=[(1, 1, XYXY[1]), (2, 1, XYXY[1])],
    )
    (tmp_path / 'tiny.py').open('a').write(
        f"model.update(type='ScriptedDetector', script={list(found.values())!r})\n"
        f"custom_imports['imports'].append('scripted')\nval_evaluator = dict(classwise={classwise})\n"
    )
    succeed(train('max_epochs=3', 'val_interval=1', 'default_hooks.checkpoint.save_best=auto'))
    assert [path.name for path in (tmp_path / 'run').glob('best_*')] == ['best_coco_bbox_mAP_epoch_2.pth']
    assert ('ghost_precision: nan' in read_log(tmp_path / 'run')) == classwise


def test_crowds_alone_are_refused_with_their_number(data, train):
    write_coco(data, crowd=1)
    line = error_line(train())
    assert 'train.json' in line
    assert 'all 8 boxes are crowds' in line


def test_images_of_another_size_are_refused_with_both_sizes(data, train):
    write_coco(data, size=(32, 32))
    line = error_line(train())
    assert '4 of 4 images have another size' in line
    assert 'train_1.png is 32 x 32, annotated 64 x 64' in line


def test_a_byte_order_mark_is_read_by_every_reader(tmp_path, data, train):
    write_coco(data, mark=codecs.BOM_UTF8)
    succeed(train('val_interval=1'))
    assert read_boxes(data)[0] == ('ghost', 'cat', 'dog')
    config, checkpoint = tmp_path / 'tiny.py', tmp_path / 'run/epoch_1.pth'
    assert 'AP50' in succeed(run_tool('test.py', config, checkpoint, '--work-dir', tmp_path / 'test'))
    drawn = ['--split', 'val', '--out-dir', tmp_path / 'seen']
    succeed(run_tool('analysis_tools/browse_dataset.py', config, *drawn))


def test_a_split_that_is_not_there_is_told_and_the_others_are_converted(tmp_path, data):
    for split in ('train', 'valid'):
        write_picture(data / f'{split}/images/a.png')
        write_text(data / f'{split}/labels/a.txt', '0 0.5 0.5 0.25 0.5')
    paths = {
        name: f'../{folder}/images'
        for name, folder in zip(('train', 'val', 'test'), ('train', 'valid', 'test'), strict=True)
    }
    lines = [f'{name}: {path}' for name, path in paths.items()]
    write_text(
        data / 'data.yaml', '\n'.join([*lines, 'nc: 1', "names: ['helmet']", 'roboflow: {version: 1}'])
    )
    output = succeed(run_tool('dataset_converters/yolo2coco.py', data, tmp_path / 'coco'))
    assert 'not there: 1 (../test/images)' in output
    for split in ('train', 'val'):
        assert read_boxes(tmp_path / 'coco', split) == (('helmet',), [[(0, 24, 16, 40, 48)]])


def test_lists_of_paths_in_a_folder_that_is_not_there(tmp_path, data):
    names = [f'frame_{number:03}' for number in range(3)]
    for name in names:
        write_picture(data / f'obj_train_data/{name}.png')
        write_text(data / f'obj_train_data/{name}.txt', '0 0.5 0.5 0.25 0.5')
    write_text(data / 'train.txt', '\n'.join(f'data/obj_train_data/{name}.png' for name in names))
    write_text(data / 'obj.names', 'person\n')
    write_text(data / 'obj.data', 'classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n')
    output = succeed(run_tool('dataset_converters/yolo2coco.py', data, tmp_path / 'coco'))
    assert 'without the folders of their path' not in output
    assert read_boxes(tmp_path / 'coco') == (('person',), [[(0, 24, 16, 40, 48)]] * 3)


def test_a_polygon_among_boxes_becomes_its_box(tmp_path, data):
    write_picture(data / 'images/train/a.png')
    write_text(data / 'labels/train/a.txt', '0 0.5 0.5 0.25 0.5\n0 .25 .25 .5 .25 .5 .75 .375 1 .25 .75\n')
    write_text(data / 'data.yaml', 'names: {0: helmet}')
    succeed(run_tool('dataset_converters/yolo2coco.py', data, tmp_path / 'coco'))
    assert read_boxes(tmp_path / 'coco') == (('helmet',), [[(0, 24, 16, 40, 48), (0, 16, 16, 32, 64)]])


def test_split_lists_with_the_suffixes_of_the_images(tmp_path, data):
    corners = '<ymin>20</ymin><xmin>30</xmin><xmax>50</xmax><ymax>60</ymax>'
    for name in '01':
        write_picture(data / f'JPEGImages/{name}.jpg')
        write_text(
            data / f'Annotations/{name}.xml',
            f'<annotation><filename>{name}.jpg</filename><size><width>64</width><height>64</height></size>'
            f'<object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>',
        )
    write_text(data / 'ImageSets/Main/train.txt', '0.jpg\n1.jpg\n')
    write_text(data / 'ImageSets/Main/val.txt', '0.jpg')
    succeed(run_tool('dataset_converters/voc2coco.py', data, tmp_path / 'coco'))
    expected = [(0, 29, 19, 49, 59)]
    assert read_boxes(tmp_path / 'coco') == (('cat',), [expected] * 2)
    assert read_boxes(tmp_path / 'coco', 'val') == (('cat',), [expected])


def test_a_config_of_one_line_trains_tests_and_draws(tmp_path, data):
    write_coco(data)
    config, run = tmp_path / 'one_line.py', tmp_path / 'run'
    config.write_text("_base_ = 'mmyolox::yolox/yolox_nano_fast_1xb8-50e_custom.py'\n")
    options = ['--cfg-options', f'data_root={data}', 'img_scale=(64,64)', 'train_batch_size_per_gpu=2']
    options += [*ONE_EPOCH, 'train_num_workers=0', 'val_num_workers=0']
    succeed(run_tool('train.py', config, '--work-dir', run, *options))
    succeed(
        run_tool(
            'test.py', config, run / 'epoch_1.pth', '--work-dir', run, '--show-dir', run / 'drawn', *options
        )
    )
    assert len(list((run / 'drawn').rglob('*.png'))) == 2
    succeed(run_tool('analysis_tools/browse_dataset.py', config, '--out-dir', run / 'seen', *options))
    succeed(
        run_tool(
            'image_demo.py', data / 'images', config, run / 'epoch_1.pth', '--out-dir', run / 'demo', *options
        )
    )
