"""A checkpoint of a training at 256 under configs of 416: every tool finds what it finds at 256."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmyolox.apis import detect, init_detector
from mmyolox.checkpoints.record import InputRecord
from mmyolox.config import load_config
from mmyolox.deploy import ExportedModel
from tests.tools.demo_inputs import random_weights
from tests.tools.tool_loading import load_tool

CONFIG = 'yolox_nano_fast_1xb8-50e_custom'
CLASSES = ('cat', 'dog')
SIZE = (256, 256)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Random weights that find objects everywhere, with the record of a training at 256."""
    cfg = load_config(CONFIG, dict(classes=CLASSES))
    assert tuple(cfg.test_dataloader.dataset.img_scale) == (416, 416)
    meta = dict(dataset_meta=dict(classes=CLASSES), mmyolox=InputRecord('mine', SIZE).to_meta())
    path = tmp_path_factory.mktemp('weights') / 'w.pth'
    torch.save(dict(state_dict=random_weights(cfg), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """The custom configs' layout with one image, which is the validation set."""
    root = tmp_path_factory.mktemp('data')
    (root / 'images').mkdir()
    (root / 'annotations').mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    cv2.imwrite(str(root / 'images/1.png'), pixels)
    content = dict(
        images=[dict(id=1, file_name='1.png', width=400, height=300)],
        annotations=[dict(id=1, image_id=1, category_id=0, bbox=[20, 20, 200, 100])],
        categories=[dict(id=label, name=name) for label, name in enumerate(CLASSES)],
    )
    for split in ('train', 'val'):
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    return root


def found_by(checkpoint, data, config=None, options=None):
    """Boxes xywh, scores and labels, sorted by score."""
    model = init_detector(config, checkpoint, 'cpu', options)
    (sample,) = detect(model, [data / 'images/1.png'])
    found = sample.pred_instances
    xywh = torch.cat([found.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]], 1)
    return torch.column_stack([xywh, found.scores, found.labels]).numpy()


@pytest.fixture(scope='module')
def at_256(checkpoint, data):
    """What is right: the size is said by an option; it differs from what the config's size gives."""
    at_256, at_416 = (
        found_by(checkpoint, data, CONFIG, dict(classes=CLASSES, img_scale=(side, side)))
        for side in (256, 416)
    )
    assert len(at_256) > 10
    assert at_256.shape != at_416.shape or np.abs(at_256 - at_416).max() > 1
    return at_256


def assert_same(entries, expected, key):
    """A tool's entries in JSON, which it rounds, are those rows."""
    rows = np.array([[*entry['bbox'], entry['score'], entry[key]] for entry in entries])
    assert len(rows) == len(expected)
    distances = np.abs((rows[:, None] - expected[None]) * [1, 1, 1, 1, 100, 100]).max(2)
    assert distances.min(0).max() < 0.2
    assert distances.min(1).max() < 0.2


@pytest.mark.parametrize('config', [None, CONFIG])
def test_init_detector(checkpoint, data, at_256, config):
    options = config and dict(classes=CLASSES)
    np.testing.assert_array_equal(found_by(checkpoint, data, config, options), at_256)


def test_evaluation(run, checkpoint, data, at_256, tmp_path):
    out = tmp_path / 'found.json'
    where = ('--work-dir', tmp_path, '--out', out)
    options = ('--cfg-options', f'data_root={data}/', 'val_num_workers=0')
    run(load_tool('test.py'), CONFIG, checkpoint, *where, *options)
    entries = json.loads((tmp_path / 'found.bbox.json').read_text())
    assert_same(entries, at_256, 'category_id')


def test_pictures(run, checkpoint, data, at_256, tmp_path):
    arguments = ('--out-dir', tmp_path, '--device', 'cpu', '--score-thr', 0)
    run(load_tool('image_demo.py'), data / 'images', checkpoint, *arguments)
    assert_same(json.loads((tmp_path / 'predictions.json').read_text()), at_256, 'label')


def test_export(run, checkpoint, data, at_256, tmp_path):
    out = tmp_path / 'a.onnx'
    run(load_tool('deployment/export.py'), checkpoint, '--out', out, '--no-simplify')
    model = ExportedModel(out)
    assert model.info.input_size == SIZE
    (found,) = model([cv2.imread(str(data / 'images/1.png'))])
    corners = zip(found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    entries = [
        dict(bbox=[x1, y1, x2 - x1, y2 - y1], score=score, label=label)
        for (x1, y1, x2, y2), score, label in corners
    ]
    assert_same(entries, at_256, 'label')
