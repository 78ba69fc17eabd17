"""The changes that docs/extend.md shows: its code is what runs here."""

import csv
import doctest
import importlib
import json
import math
import os
import re
import sys
from pathlib import Path
from pkgutil import resolve_name

import cv2
import numpy as np
import pytest
import torch

from mmyolox import extensions
from mmyolox.apis import ExportedDetector, TorchDetector, detect, init_detector, open_detector
from mmyolox.config import load_config
from mmyolox.datasets.transforms import Sample, Scene
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.formats import FORMATS, Format, register_format
from mmyolox.deploy.letterbox import Size
from mmyolox.engine.launch import build_runner
from mmyolox.errors import UserError
from mmyolox.export.formats import export_model, find_format
from mmyolox.export.options import ExportOptions
from mmyolox.export.verify import verify
from mmyolox.models import Assignment, HeadOutputs, MatchedBatch
from mmyolox.registry import DATASETS, MODELS, TRANSFORMS
from tests.export.models import randomised

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs/extend.md'
TEXT = PAGE.read_text(encoding='utf-8')
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL)
FILES = {match[1]: block for block in BLOCKS if (match := re.match(r'# (\w+\.py)\n', block))}
SOURCES = '\n'.join(path.read_text(encoding='utf-8') for path in (ROOT / 'mmyolox').rglob('*.py'))
CLASSES = ('cat', 'dog')
SIZE = 64

TINY = {
    'data_root': 'my_data/',
    'img_scale': (SIZE, SIZE),
    'max_epochs': 1,
    'num_last_epochs': 1,
    'train_batch_size_per_gpu': 2,
    'train_num_workers': 0,
    'val_num_workers': 0,
    'train_dataloader.pin_memory': False,
    'val_dataloader.pin_memory': False,
    'model.backbone.widen_factor': 0.125,
    'model.neck.widen_factor': 0.125,
    'model.bbox_head.head_module.widen_factor': 0.125,
    'model.test_cfg.score_thr': 0.0,
}


def write_data(folder, channels=3):
    """Four images of coloured rectangles, in COCO's format and as CSV files."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'annotations').mkdir()
    rng, images, annotations, lines = np.random.default_rng(0), [], [], []
    for index in range(4):
        name, width, height = f'{index}.png', 60 + index, 50
        picture = rng.integers(0, 60, (height, width, channels), np.uint8)
        images.append(dict(id=index, file_name=name, width=width, height=height))
        for label in range(2):
            x, y = 4 + 26 * label, 5 + 3 * index
            picture[y : y + 20, x : x + 16] = rng.integers(100, 256, channels)
            box = dict(id=len(annotations), image_id=index, category_id=label, bbox=[x, y, 16, 20])
            annotations.append(box)
            lines.append([name, width, height, CLASSES[label], x, y, x + 16, y + 20])
        cv2.imwrite(str(folder / 'images' / name), picture)
    categories = [dict(id=label, name=name) for label, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    for split in ('train', 'val'):
        (folder / 'annotations' / f'{split}.json').write_text(json.dumps(content))
        with (folder / f'{split}.csv').open('w', newline='') as file:
            header = ['filename', 'width', 'height', 'class', 'xmin', 'ymin', 'xmax', 'ymax']
            csv.writer(file).writerows([header, *lines])


@pytest.fixture(scope='module', autouse=True)
def folder(tmp_path_factory):
    """A folder with the files of the page and data, which is the current one and importable."""
    path = tmp_path_factory.mktemp('extend')
    for name, text in FILES.items():
        (path / name).write_text(text)
    write_data(path / 'my_data')
    write_data(path / 'four' / 'my_data', channels=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.syspath_prepend(path)
        yield path
    FORMATS.pop('onnx-reference', None)
    for name in FILES:
        sys.modules.pop(name.removesuffix('.py'), None)


def train(config, options):
    """Trains a config for an epoch of two steps; returns the runner and the loss of each step."""
    cfg = load_config(config, TINY | options)
    cfg.work_dir = f'work_dirs/{Path(config).stem}'
    runner = build_runner(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    return runner, losses


# 1. An augmentation


def test_an_augmentation_moves_pixels_and_boxes(folder):
    cfg = load_config('flipped.py', TINY)
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.train_pipeline_stage2):
        assert pipeline[-5].type == 'RandomVerticalFlip'
    flip = TRANSFORMS.build(dict(type='RandomVerticalFlip', prob=1.0))
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    bboxes = np.array([[1, 0, 3, 1], [0, 1, 6, 4]], np.float32)
    sample = Sample(scene=Scene.of(image), img_shape=(4, 6), matrix=np.eye(3), rng=np.random.default_rng(0))
    sample.update(gt_bboxes=bboxes, gt_bboxes_labels=np.array([0, 1]))
    flipped = flip(sample)
    np.testing.assert_array_equal(flipped['gt_bboxes'], [[1, 3, 3, 4], [0, 0, 6, 3]])
    np.testing.assert_array_equal(flipped['matrix'] @ [2.5, 1, 1], [2.5, 3, 1])
    np.testing.assert_array_equal(flipped['img'], image[::-1])


def test_the_augmentation_is_drawn_in_a_data_set(folder):
    cfg = load_config('flipped.py', TINY)
    steps = [dict(type='LoadImage'), dict(type='LoadAnnotations'), dict(type='Letterbox')]
    packed = {}
    for prob in (0.0, 1.0):
        pipeline = [*steps, dict(type='RandomVerticalFlip', prob=prob), dict(type='PackDetInputs')]
        dataset = DATASETS.build(cfg.train_dataloader.dataset | dict(pipeline=pipeline))
        packed[prob] = dataset[1]
    np.testing.assert_array_equal(packed[1.0]['inputs'], packed[0.0]['inputs'][:, ::-1])
    upright, turned = (packed[prob]['data_samples']['bboxes'] for prob in (0.0, 1.0))
    np.testing.assert_allclose(turned[:, [1, 3]], SIZE - upright[:, [3, 1]])


# 2. A data set format


def test_a_data_set_format_is_read_and_trained_on(folder):
    runner, _ = train('from_csv.py', {'val_interval': 1})
    dataset = runner.train_dataloader.dataset
    assert dataset.metainfo['classes'] == CLASSES
    assert (dataset.report.images, dataset.report.boxes) == (4, 8)
    entry = dataset.get_data_info(1)
    assert (entry['img_id'], entry['width'], entry['height']) == ('1.png', 61, 50)
    np.testing.assert_array_equal(entry['bboxes'], [[4, 8, 20, 28], [30, 8, 46, 28]])
    np.testing.assert_array_equal(entry['labels'], [0, 1])
    assert runner.model.bbox_head.num_classes == 2
    assert 0 <= runner.message_hub.get_scalar('val/pascal_voc/mAP').current() <= 1


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('9.png,60,50,cat,1,1,9,9\n', r'faulty\.csv: 1 of 1 images are not in my_data/images.*: 9\.png'),
        ('0.png,60,50,cow,1,1,9,9\n', r'no box is left to train on: 1 of classes not configured .*cow'),
        ('0.png,60,50,cat,9,1,9,9\n', r'no box is left to train on: 1 without area \(dropped\): 0\.png'),
    ],
)
def test_mistakes_in_the_format_are_named(folder, line, message):
    Path('my_data/faulty.csv').write_text(f'filename,width,height,class,xmin,ymin,xmax,ymax\n{line}')
    cfg = load_config('from_csv.py', TINY | {'train_ann_file': 'faulty.csv'})
    with pytest.raises(UserError, match=message):
        DATASETS.build(cfg.train_dataloader.dataset)


# 3. An export runtime


def test_an_export_runtime_writes_and_runs_files(folder):
    importlib.import_module('reference_runtime')
    model = randomised(MODELS.build(load_config('p6.py', TINY).model), CLASSES)
    options = ExportOptions(Size(SIZE, SIZE), simplify=False)
    path = export_model(find_format('onnx-reference'), model, Path('my.onnxref'), options)
    picture = cv2.imread('my_data/images/0.png')
    report = verify(model, path, options, [picture])
    assert report.box_predictions < 1e-3
    examples = ''.join(block for block in BLOCKS if block.startswith('>>>'))
    names = dict(picture=picture)
    test = doctest.DocTestParser().get_doctest(examples, names, PAGE.name, str(PAGE), 0)
    result = doctest.DocTestRunner().run(test, clear_globs=False)
    assert (result.failed, result.attempted) == (0, 4)
    detections = test.globs['detections']
    wanted = ExportedModel(export_model(FORMATS['onnx'], model, Path('my.onnx'), options))([picture])[0]
    assert len(detections.scores) > 20
    assert same_objects(detections, wanted) == 1
    assert isinstance(open_detector(path), ExportedDetector)


def test_a_suffix_has_one_format():
    with pytest.raises(UserError, match=r'format mine: files of onnx end in \.onnx already'):
        register_format(Format('mine', 'Mine', '.onnx', 'a:b', 'c:d'))
    assert 'mine' not in FORMATS


def test_a_format_that_there_is_not_is_named():
    with pytest.raises(UserError, match=r'format openvin; did you mean openvino\?'):
        find_format('openvin')


# 4. A level more


def test_a_level_more_trains_and_predicts(folder):
    runner, _ = train('p6.py', {'val_interval': 1})
    assert runner.model.size_divisor == 64
    assert [level.shape[3] for level in runner.model(torch.zeros(1, 3, 64, 128)).obj_logits] == [16, 8, 4, 2]
    assert 0 <= runner.message_hub.get_scalar('val/coco/bbox_mAP').current() <= 1
    detector = open_detector('work_dirs/p6/epoch_1.pth', runner.cfg.filename, 'cpu', TINY)
    (sample,) = detect(detector, ['my_data/images/2.png'])
    assert len(sample.pred_instances) > 20
    assert (sample.pred_instances.bboxes[:, 2] <= 62).all()


# 5. A loss


def test_a_loss_is_one_short_method():
    (method,) = re.findall(r'    def objectness_loss.*', FILES['iou_aware.py'], re.DOTALL)
    assert len(method.splitlines()) <= 12
    assert not re.search(r'\b_[a-z]', FILES['iou_aware.py'])


def test_a_loss_has_the_value_that_a_hand_computes(folder):
    head = MODELS.build(load_config('iou_aware_s.py', TINY).model).bbox_head
    # One image of 2 x 2 cells: the second learns an object by 0.75, the last lies in an ignored region.
    logits = torch.tensor([[[[0.0, 1.0], [-2.0, 3.0]]]], requires_grad=True)
    # The regression is for the box of the object, but for its height: three quarters of it.
    regression = torch.zeros(1, 4, 2, 2)
    regression[0, :, 0, 1] = torch.tensor([0.5, 0.5, 0, math.log(0.75)])
    outputs = HeadOutputs([torch.zeros(1, 2, 2, 2)], [regression], [logits])
    priors = torch.tensor([[0.0, 0, 8], [8, 0, 8], [0, 8, 8], [8, 8, 8]])
    assignment = Assignment(
        gt_index=torch.tensor([[-1, 0, -1, -1]]),
        slot_priors=torch.tensor([[-1, 1]]),
        slot_gts=torch.tensor([[0, 0]]),
    )
    samples = dict(
        bboxes=torch.tensor([[[8.0, 0, 16, 8]]]),
        labels=torch.tensor([[0]]),
        ignored_bboxes=torch.tensor([[[9.0, 9, 16, 16]]]),
    )
    matched = MatchedBatch.of(outputs, assignment, priors, samples)
    loss = head.objectness_loss(outputs, matched)

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    by_hand = (
        -math.log(1 - sigmoid(0.0))
        - 0.75 * math.log(sigmoid(1.0))
        - 0.25 * math.log(1 - sigmoid(1.0))
        - math.log(1 - sigmoid(-2.0))
    )
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)
    loss.backward()
    gradient = [sigmoid(0.0), sigmoid(1.0) - 0.75, sigmoid(-2.0), 0.0]
    assert logits.grad.flatten().tolist() == pytest.approx(gradient, abs=1e-6)


def test_a_loss_trains(folder):
    runner, _ = train('iou_aware_s.py', {})
    assert type(runner.model.bbox_head).__name__ == 'IoUAwareHead'


# 6. Four channels


def test_four_channels_are_trained_predicted_and_exported(folder):
    os.chdir(folder / 'four')
    try:
        runner, _ = train(str(folder / 'four_channels.py'), {})
        assert runner.train_dataloader.dataset[0]['inputs'].shape == (4, SIZE, SIZE)
        model = init_detector(runner.cfg.filename, 'work_dirs/four_channels/epoch_1.pth', 'cpu', TINY)
        detector = TorchDetector(model)
        files = [f'my_data/images/{index}.png' for index in range(4)]
        assert detector.read(files[0]).shape == (50, 60, 4)
        options = ExportOptions(Size(SIZE, SIZE), simplify=False)
        path = export_model(FORMATS['onnx'], model, Path('four.onnx'), options)
        assert verify(model, path, options, list(map(detector.read, files))).box_predictions < 1e-3
        found, exported = (list(detect(one, files)) for one in (detector, open_detector(path)))
        for sample, other in zip(found, exported, strict=True):
            assert len(sample.pred_instances) > 100
            assert same_objects(sample.pred_instances, other.pred_instances) >= 0.95
    finally:
        os.chdir(folder)


def same_objects(instances, others):
    """The share of objects that are among the others; rounding can turn what NMS does with equal scores."""
    tables = [
        np.column_stack([one.bboxes, 100 * one.scores, 100 * one.labels]) for one in (instances, others)
    ]
    return (np.abs(tables[0][:, None] - tables[1]).max(axis=2).min(axis=1) < 0.05).mean()


# What the page names


def test_extension_points_exist_and_are_public():
    table = TEXT.partition('## Extension points')[2].partition('\n## ')[0]
    names = re.findall(r'`(mmyolox\.[\w.]+)`', table)
    assert len(names) > 40
    for name in names:
        assert not re.search(r'\._', name)
        resolve_name(name)


def test_files_and_names_of_the_words_exist():
    for target in re.findall(r'\]\(([^)#]+)\)', TEXT):
        assert (PAGE.parent / target).exists(), target
    section = TEXT.partition('## 7.')[2].partition('\n## ')[0]
    for file in re.findall(r'`(yolox_pose/\w+\.py)`', section):
        assert (ROOT / 'projects' / file).is_file(), file


def test_the_registered_entry_point_group_is_that_of_the_page():
    assert f'[project.entry-points."{extensions.GROUP}"]' in TEXT
    for name in re.findall(r'`(register_\w+)`', TEXT):
        assert re.search(rf'^def {name}\(', SOURCES, re.MULTILINE), name
