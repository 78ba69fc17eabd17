"""The data sets that detectors are evaluated on, and their figures."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from mmyolox.apis.evaluate import coco_data, evaluate, image_dataset
from mmyolox.apis.results import as_instances
from mmyolox.config import load_config
from mmyolox.deploy import Detections, ModelInfo
from mmyolox.errors import UserError
from mmyolox.models.detector import pack_prediction

INFO = ModelInfo(('cat',), (64, 64))


@pytest.fixture
def data(tmp_path):
    """Configs for one annotated image of 20 x 30 pixels."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((20, 30, 3), (10, 20, 200), np.uint8))
    content = dict(
        images=[dict(id='first', file_name='a.png', width=30, height=20)],
        annotations=[dict(id=1, image_id='first', category_id=5, bbox=[1, 2, 3, 4])],
        categories=[dict(id=5, name='cat')],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return coco_data(INFO, tmp_path / 'a.json', tmp_path)


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_images_have_the_channels_of_the_model(data, tmp_path, channels):
    if channels == 4:
        cv2.imwrite(str(tmp_path / 'a.png'), np.full((20, 30, 4), 9, np.uint8))
    (sample,) = image_dataset(data[0], channels)
    assert sample['inputs'].shape == (channels, 20, 30)
    assert sample['data_samples']['meta']['img_id'] == 'first'


def test_reading_comes_first(data):
    with pytest.raises(
        UserError, match='the test pipeline begins with Letterbox; it must begin with LoadImage'
    ):
        image_dataset(ConfigDict(data[0], pipeline=[dict(type='Letterbox')]), 3)


def test_a_detector_is_evaluated_by_boxes(data):
    dataset, metric = data
    assert (dataset.type, metric.type) == ('YOLOXCocoDataset', 'YOLOXCocoMetric')
    assert dataset.metainfo == dict(classes=('cat',))
    assert dataset.ann_file == metric.ann_file


VOC_XML = """<annotation><filename>a.jpg</filename><size><width>30</width><height>20</height></size>
<object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>12</xmax><ymax>15</ymax></bndbox></object></annotation>"""


@pytest.mark.parametrize(('score', 'precision'), [(0.9, 1.0), (None, 0.0)])
def test_metrics_that_compare_with_the_samples_own_annotations(tmp_path, score, precision):
    """VOC's reads no annotation file."""
    folder = tmp_path / 'VOC2007'
    for name, text in {'Annotations/a.xml': VOC_XML, 'ImageSets/Main/test.txt': 'a\n'}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / 'JPEGImages').mkdir()
    cv2.imwrite(str(folder / 'JPEGImages/a.jpg'), np.zeros((20, 30, 3), np.uint8))
    cfg = load_config('yolox_s_fast_1xb8-50e_voc', dict(data_root=f'{tmp_path}/'))
    init_default_scope('mmyolox')
    dataset = image_dataset(cfg.test_dataloader.dataset, 3)
    scores = np.float32([] if score is None else [score])
    boxes, labels = np.float32([[1, 2, 11, 14]] * len(scores)).reshape(-1, 4), np.full(len(scores), 11)

    class Finder:
        """Finds the same in every image."""

        dataset_meta = dataset.metainfo

        def prepare(self, pixels, meta):
            assert pixels.shape == (20, 30, 3)
            return meta

        def predict(self, samples):
            return [
                pack_prediction(as_instances(Detections(boxes, scores, labels), None), s) for s in samples
            ]

    figures = evaluate(Finder(), dataset, cfg.test_evaluator)
    assert figures['pascal_voc/mAP'] == pytest.approx(precision)


def test_a_model_whose_classes_are_in_another_order_is_refused():
    detector = SimpleNamespace(dataset_meta=dict(classes=('cat', 'dog')))
    dataset = SimpleNamespace(metainfo=dict(classes=['dog', 'cat']))
    with pytest.raises(UserError, match=r'classes in another order than the data set \(cat, dog; dog, cat\)'):
        evaluate(detector, dataset, ConfigDict(), 1)
