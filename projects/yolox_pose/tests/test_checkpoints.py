"""Pose models are recognised by their weights, MMYOLO's too, and have their configs."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope

from benchmarks.parity import layout_file
from mmyolox.apis import detect, init_detector
from mmyolox.apis.drawing import build_visualizer
from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture, config_for, recognise
from mmyolox.checkpoints.sources.megvii import to_megvii
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import Skeleton
from mmyolox.projects.yolox_pose.tests.cases import COCO_SKELETON
from mmyolox.registry import MODELS

MMYOLO = layout_file.read(Path(__file__).with_name('mmyolo_pose_keys.json'))
TRIANGLE = dict(
    keypoints=['top', 'left', 'right'], flip_pairs=[['left', 'right']], links=[], sigmas=[0.1, 0.2, 0.2]
)


def pose(size, num_keypoints=17, num_classes=1, factors=None):
    return Architecture(
        size,
        *(factors or PUBLISHED[size]),
        num_classes=num_classes,
        family='YOLOX-Pose',
        fields=dict(num_keypoints=num_keypoints),
    )


def weights_of(model):
    return {name: torch.zeros(shape, device='meta') for name, shape in model.shapes().items()}


@pytest.mark.parametrize('size', MMYOLO)
def test_every_tensor_of_mmyolo_is_used(size):
    conversion = convert({name: torch.zeros(shape, device='meta') for name, shape in MMYOLO[size].items()})
    assert conversion.architecture == pose(size)
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert conversion.source.name == 'mmyolo'


@pytest.mark.parametrize(('num_keypoints', 'num_classes'), [(1, 1), (17, 2), (133, 1)])
def test_other_keypoints_are_recognised(num_keypoints, num_classes):
    model = pose('nano', num_keypoints, num_classes)
    assert recognise(weights_of(model)) == model
    assert model.describe().endswith(
        f', {num_classes} classes, 3 image channels, num_keypoints {num_keypoints}'
    )


@pytest.mark.parametrize('size', ['nano', 'tiny', 's', 'm', 'l'])
def test_a_published_model_has_its_config(size):
    name = f'yolox-pose_{size}_8xb32-300e-rtmdet-hyp_coco'
    assert config_for(pose(size)) == (name, {})


@pytest.mark.parametrize(
    ('model', 'config', 'recorded'),
    [
        (pose('x'), 'yolox-pose_l_8xb32-300e-rtmdet-hyp_coco', {}),
        (pose('tiny', 5, 2), 'yolox-pose_tiny_8xb32-300e-rtmdet-hyp_coco', {}),
        (pose('nano', 3, 2), 'yolox-pose_nano_8xb32-300e-rtmdet-hyp_coco', dict(skeleton=TRIANGLE)),
        (
            pose('custom', 3, 1, (0.33, 0.125, False)),
            'yolox-pose_tiny_8xb32-300e-rtmdet-hyp_coco',
            dict(skeleton=TRIANGLE, classes=('roof',)),
        ),
        (pose('s'), 'yolox-pose_s_8xb32-300e-rtmdet-hyp_coco', dict(skeleton=COCO_SKELETON)),
    ],
)
def test_the_config_builds_the_model(model, config, recorded):
    name, options = config_for(model, recorded)
    init_default_scope('mmyolox')
    cfg = load_config(name, options, recorded)
    with torch.device('meta'):
        network = MODELS.build(cfg.model)
    assert name == config
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == model.shapes()
    if recorded:
        assert network.bbox_head.skeleton == Skeleton.of(recorded['skeleton'])


def test_recorded_classes_are_those_of_all_data_sets():
    classes = ('cat', 'dog')
    options = config_for(pose('s', num_classes=2), dict(classes=classes))[1]
    for split in ('train', 'val', 'test'):
        assert options[f'{split}_dataloader.dataset.metainfo.classes'] == classes


def test_darknet53_has_no_pose_config():
    with pytest.raises(UserError, match='no config of YOLOX-Pose on DarkNet53'):
        config_for(pose('darknet53'))


def test_a_pose_model_cannot_become_one_of_megvii():
    with pytest.raises(UserError, match="Megvii's YOLOX has nothing like bbox_head"):
        to_megvii(weights_of(pose('nano')))


@pytest.mark.parametrize(
    ('recorded', 'names'),
    [({}, ['keypoint 0', 'keypoint 1', 'keypoint 2']), (dict(skeleton=TRIANGLE), TRIANGLE['keypoints'])],
)
def test_a_pose_detector_without_a_config(tmp_path, recorded, names):
    torch.manual_seed(0)
    network = pose('nano', 3).build()
    for name, value in network.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    torch.save(dict(state_dict=network.state_dict(), meta=dict(dataset_meta=recorded)), tmp_path / 'w.pth')
    model = init_detector(None, tmp_path / 'w.pth', 'cpu', {'img_scale': (64, 64)})
    image = torch.randint(0, 256, (50, 70, 3), dtype=torch.uint8).numpy()
    found = next(detect(model, [image])).pred_instances
    assert len(found) > 0
    assert found.keypoints.shape == (len(found), 3, 2)
    assert model.dataset_meta['skeleton']['keypoints'] == names
    entry = build_visualizer(model.cfg, model.dataset_meta).entries(found)[0]
    assert len(entry['keypoints']) == 9
