"""What MMPose needs of us: a stand-in for xtcocotools, arrays for metrics, a word when it is absent."""

import contextlib
import copy
import importlib
import io
import json
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData

from mmyolox.config.check import check_config
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.results import PoseInstances
from mmyolox.projects.yolox_pose.skeleton import Skeleton, mmpose_metainfo
from mmyolox.projects.yolox_pose.tests.eval_cases import (
    CATEGORIES,
    SKELETON,
    detections,
    evaluate,
    keypoint_file,
    reference,
    results_of,
)
from mmyolox.projects.yolox_pose.xtcocotools import COCO, INSTALL, COCOeval, support_mmpose

ANIMAL = ('animal',)
ANIMAL_SKELETON = dict(
    keypoints=CATEGORIES[0]['keypoints'], flip_pairs=[], sigmas=[SKELETON['sigmas'][i] for i in (0, 1, 2, 3)]
)


@pytest.fixture
def animals(tmp_path):
    """A keypoint file of one class whose category id is 1, as MMPose's metric assumes, and detections."""
    content = keypoint_file(6)
    category = dict(CATEGORIES[0], id=1)
    content |= dict(
        info={},
        categories=[category],
        annotations=[one | dict(category_id=1) for one in content['annotations'] if one['category_id'] == 4],
    )
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    return str(path), content, detections(content, ANIMAL, ANIMAL_SKELETON)


def stand_in_stats(content, entries, **options):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        options = dict(sigmas=ANIMAL_SKELETON['sigmas']) | options
        evaluation = COCOeval(truth, truth.loadRes(entries), 'keypoints', **options)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def entries_of(samples):
    return results_of(samples, dict(id=1), 0, [0, 1, 2, 3])


def test_stand_in_equals_pycocotools(animals):
    _, content, samples = animals
    wanted = reference(content, samples, ANIMAL, ANIMAL_SKELETON)
    before = copy.deepcopy(content)
    np.testing.assert_allclose(stand_in_stats(content, entries_of(samples)), wanted, rtol=0, atol=1e-12)
    assert content == before
    assert 0.1 < wanted[0] < 0.9


def test_stand_in_counts_keypoints_and_takes_any_ids(animals):
    _, content, samples = animals
    wanted = stand_in_stats(content, entries_of(samples))
    labelled_first = sorted(content['annotations'], key=lambda one: (one['iscrowd'], -one['num_keypoints']))
    for number, one in enumerate(labelled_first):
        one['id'] = number
        del one['num_keypoints']
        if not one['iscrowd']:
            del one['iscrowd']
    np.testing.assert_array_equal(stand_in_stats(content, entries_of(samples)), wanted)


def test_stand_in_without_areas(animals):
    _, content, samples = animals
    for one in content['annotations']:
        one['area'] = 0.53 * one['bbox'][2] * one['bbox'][3]
    wanted = reference(content, samples, ANIMAL, ANIMAL_SKELETON)
    for one in content['annotations']:
        del one['area']
    found = stand_in_stats(content, entries_of(samples), use_area=False)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_stand_in_leaves_out_detections_without_a_score(animals):
    _, content, samples = animals
    entries = entries_of(samples)
    wanted = stand_in_stats(content, entries[::2])
    for one in entries[1::2]:
        one['keypoints'][2::3] = [0.0] * 4
    np.testing.assert_array_equal(stand_in_stats(content, entries), wanted)


def test_stand_in_with_nothing_detected(animals):
    _, content, _ = animals
    np.testing.assert_array_equal(stand_in_stats(content, []), np.zeros(10))


def test_stand_in_says_what_it_cannot_do():
    with pytest.raises(UserError, match=r"'keypoints_wholebody' needs xtcocotools"):
        COCOeval(COCO(), COCO(), 'keypoints_wholebody')


@pytest.mark.skipif(PathFinder.find_spec('xtcocotools') is not None, reason='xtcocotools is installed')
def test_import_finds_the_stand_in():
    support_mmpose()
    support_mmpose()
    assert sum('Xtcocotools' in type(finder).__name__ for finder in sys.meta_path) == 1
    assert importlib.import_module('xtcocotools.coco').COCO is COCO
    assert importlib.import_module('xtcocotools.cocoeval').COCOeval is COCOeval
    assert importlib.import_module('xtcocotools.mask').toBbox
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('xtcocotools.other')


def test_an_installed_xtcocotools_stays(tmp_path):
    (tmp_path / 'xtcocotools').mkdir()
    (tmp_path / 'xtcocotools/__init__.py').write_text('')
    (tmp_path / 'xtcocotools/coco.py').write_text('COCO = "the installed one"')
    code = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from mmyolox.projects.yolox_pose.xtcocotools import support_mmpose\n'
        'support_mmpose()\n'
        'from xtcocotools.coco import COCO; print(COCO)'
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout == 'the installed one\n'


def test_metrics_see_arrays_and_others_tensors():
    made = PoseInstances(scores=torch.ones(3), labels=torch.zeros(3).long(), keypoints=torch.ones(3, 2, 2))
    assert isinstance(made[1:].scores, torch.Tensor)
    assert isinstance(InstanceData.cat([made[:1], made[2:]]), PoseInstances)
    fields = made[:2].to_dict()
    assert {key: type(value) for key, value in fields.items()} == dict.fromkeys(fields, np.ndarray)
    assert fields['keypoints'].shape == (2, 2, 2)
    assert isinstance(made.scores, torch.Tensor)


@pytest.mark.skipif(find_spec('mmpose') is not None, reason='MMPose is installed')
def test_without_mmpose_the_command_is_named():
    support_mmpose()
    cfg = Config(dict(default_scope='mmyolox', val_evaluator=dict(type='mmpose.CocoMetric', ann_file='a')))
    with pytest.raises(UserError) as caught:
        check_config(cfg)
    message = str(caught.value)
    assert message == f'config key val_evaluator.type: the package mmpose is not installed ({INSTALL})'


@pytest.mark.skipif(find_spec('mmpose') is None, reason='MMPose is not installed')
@pytest.mark.parametrize('nms_mode', ['none', 'oks_nms'])
def test_mmpose_evaluates_our_predictions(animals, nms_mode):
    support_mmpose()
    path, _, samples = animals
    config = dict(type='mmpose.CocoMetric', ann_file=path, score_mode='bbox', nms_mode=nms_mode)
    check_config(Config(dict(default_scope='mmyolox', val_evaluator=config)))
    evaluator = Evaluator(config)
    evaluator.dataset_meta = dict(
        mmpose_metainfo(Skeleton.of(ANIMAL_SKELETON), 'animals'), classes=ANIMAL, skeleton=ANIMAL_SKELETON
    )
    for one in samples:
        instances = PoseInstances(**one['pred_instances']).to_dict()
        evaluator.process([one | dict(pred_instances=instances)], {})
    found = evaluator.evaluate(len(samples))
    ours = evaluate(path, samples, ANIMAL, ANIMAL_SKELETON)
    if nms_mode == 'none':
        assert round(found['coco/AP'], 3) == ours['coco/keypoints_mAP']
        assert round(found['coco/AP (L)'], 3) == ours['coco/keypoints_mAP_l']
    else:
        assert found['coco/AP'] > 0.1
