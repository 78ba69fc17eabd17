"""The objects of a data set in COCO's form, and what is evaluated by them."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.evaluator import Evaluator

from mmyolox.datasets import DetectionDataset
from mmyolox.datasets.ground_truth import ground_truth, hand_over
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from tests.datasets.small_sets import open_coco, write_coco

FOLD = dict(count=3, held_out=True)


class AnyFormat(DetectionDataset):
    """The entries of another data set, as one of any format has them."""

    def __init__(self, other, **kwargs):
        self.other = other
        super().__init__(test_mode=True, metainfo=dict(classes=('a', 'b', 'c')), **kwargs)

    def load_data_list(self):
        self.report = self.other.report
        return [self.other.get_data_info(index) for index in range(len(self.other))]


@pytest.fixture
def data(tmp_path):
    write_coco(tmp_path, 9, empty=[4], seed=3)
    content = json.loads((tmp_path / 'ann.json').read_text())
    for number, annotation in enumerate(content['annotations']):
        annotation['iscrowd'] = int(number % 7 == 3)
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    return open_coco(tmp_path, [], test_mode=True)


def figures(metric, dataset, numbers=None):
    """What a metric says of detections near the boxes of a data set, or of some of its images."""
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = dataset.metainfo
    hand_over(evaluator, dataset)
    rng = np.random.default_rng(0)
    samples = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        noise = np.random.default_rng(info['img_id']).normal(0, 1.5, info['bboxes'].shape)
        scores = torch.as_tensor(rng.uniform(0, 1, len(noise)))
        found = dict(bboxes=torch.as_tensor(info['bboxes'] + noise), scores=scores, labels=info['labels'])
        samples.append(dict(img_id=info['img_id'], pred_instances=found))
    evaluator.process(data_samples=samples)
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize('given', [True, False])
def test_a_data_set_of_any_format_has_the_figures_of_its_json(data, given):
    expected = figures(YOLOXCocoMetric(data.ann_file), data)
    assert 0.2 < expected['coco/bbox_mAP'] < 0.9
    assert figures(YOLOXCocoMetric(), data if given else AnyFormat(data)) == expected


def test_a_part_is_evaluated_by_its_own_objects(data, tmp_path):
    part = open_coco(tmp_path, [], test_mode=True, fold=FOLD)
    ids = {part.get_data_info(index)['img_id'] for index in range(len(part))}
    content = json.loads((tmp_path / 'ann.json').read_text())
    content['images'] = [image for image in content['images'] if image['id'] in ids]
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] in ids]
    (tmp_path / 'part.json').write_text(json.dumps(content))
    assert figures(YOLOXCocoMetric(), part) == figures(YOLOXCocoMetric(str(tmp_path / 'part.json')), part)


def test_joined_data_sets_are_evaluated_together(data, tmp_path):
    halves = [open_coco(tmp_path, [], test_mode=True, indices=indices) for indices in (range(4), range(4, 9))]
    joined = ConcatDataset(halves, ignore_keys=['cat_ids'])
    assert figures(YOLOXCocoMetric(), joined) == figures(YOLOXCocoMetric(), data)
    with pytest.raises(
        UserError, match='cannot be evaluated together, since several have an image of the id 0'
    ):
        ground_truth(ConcatDataset([data, data]))


def test_categories_are_joined_by_name(data):
    other = AnyFormat(data)
    other.complete_metainfo(classes=('c', 'b', 'd'))
    other.get_subset_([])
    content = ground_truth(ConcatDataset([other, data], ignore_keys=['classes', 'cat_ids']))
    assert [category['name'] for category in content['categories']] == ['c', 'b', 'd', 'a']
    names = [content['categories'][one['category_id']]['name'] for one in content['annotations']]
    assert names == [
        data.metainfo['classes'][one['category_id']] for one in data.ground_truth()['annotations']
    ]


def test_without_a_data_set_of_ours_it_is_named(data):
    with pytest.raises(UserError, match='BaseDataset does not say what is to be found in its images'):
        ground_truth(BaseDataset(serialize_data=False, lazy_init=True))
    metric = YOLOXCocoMetric()
    metric.dataset_meta = data.metainfo
    with pytest.raises(UserError, match='ann_file is not set, and nobody handed over the data set'):
        metric.process(None, [])


def test_a_class_that_the_data_lack_is_named_before_the_training(data):
    metric = YOLOXCocoMetric()
    metric.dataset_meta = dict(classes=('a', 'unicorn'))
    with pytest.raises(UserError, match="has no class 'unicorn'"):
        metric.take_dataset(data)
