"""Every pose config loads, means the same to MMEngine's own loader, and builds."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmyolox.config import load_config
from mmyolox.config.find import find_config
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS, Skeleton, read_skeleton, side_pairs
from mmyolox.registry import DATASETS, METRICS, MODELS, VISUALIZERS

CONFIGS = Path(__file__).parents[1] / 'configs'
ALL = sorted(path.stem for path in CONFIGS.glob('*.py'))
RECIPE = '8xb32-300e-rtmdet-hyp'
COCO = [f'yolox-pose_{size}_{RECIPE}_coco' for size in ('nano', 'tiny', 's', 'm', 'l')]
WITH_COCO_OKS = f'yolox-pose_s_{RECIPE}-coco-oks_coco'
WITH_MMPOSE = f'yolox-pose_s_{RECIPE}-mmpose_coco'
SHAPES = [name for name in ALL if name.endswith('_shapes')]
OVERFIT = [name for name in ALL if name.endswith('_overfit')]
CUSTOM = [f'yolox-pose_{size}_1xb8-50e_custom' for size in ('nano', 'tiny', 's', 'm', 'l')]
SMALL = ('nano', 'tiny')


def build(cfg):
    init_default_scope('mmyolox')
    with torch.device('meta'):
        return MODELS.build(cfg.model)


def steps(pipeline):
    return [step['type'] for step in pipeline]


def datasets(cfg):
    return [cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]


@pytest.fixture
def data(tmp_path):
    """A data set of two classes that share some of three keypoints."""
    categories = [
        dict(
            id=1, name='cat', keypoints=['nose', 'left', 'right'], skeleton=[[1, 2]], sigmas=[0.1, 0.2, 0.2]
        ),
        dict(id=5, name='fish', keypoints=['tail', 'nose'], skeleton=[[1, 2]], sigmas=[0.3, 0.1]),
    ]
    box = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 9, 9], area=81, iscrowd=0)
    image = dict(id=1, file_name='1.png', width=20, height=10)
    annotation = box | dict(keypoints=[5, 5, 2] * 3, num_keypoints=3)
    content = dict(images=[image], annotations=[annotation], categories=categories)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/1.png').touch()
    (tmp_path / 'annotations').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'annotations/{split}.json').write_text(json.dumps(content))
    return tmp_path


def test_table_is_complete():
    assert len(SHAPES) == len(OVERFIT) == 1
    assert set(ALL) == {*COCO, WITH_COCO_OKS, WITH_MMPOSE, *CUSTOM, *SHAPES, *OVERFIT}


@pytest.mark.parametrize('size', ['nano', 'tiny', 's', 'm', 'l'])
def test_a_model_alone_is_its_config_for_coco_or_for_own_data(size):
    files = (find_config(f'yolox-pose_{size}', data).stem for data in ('coco', 'custom'))
    assert tuple(files) == (f'yolox-pose_{size}_{RECIPE}_coco', f'yolox-pose_{size}_1xb8-50e_custom')


def test_overfitting_trains_and_evaluates_the_same_images_by_wider_sigmas():
    cfg = load_config(OVERFIT[0])
    train, val, _ = datasets(cfg)
    assert (train.ann_file, train.data_prefix) == (val.ann_file, val.data_prefix)
    assert steps(train.pipeline) == ['LoadImage', 'LoadPoseAnnotations', 'Letterbox', 'PackPoseInputs']
    wide, usual = (Skeleton.of(spec) for spec in (cfg.model.bbox_head.skeleton, train.metainfo.skeleton))
    assert (wide.names, wide.flip_indices) == (usual.names, usual.flip_indices)
    assert (max(wide.sigmas), max(usual.sigmas)) == (0.214, 0.107)
    assert (min(wide.sigmas), min(usual.sigmas)) == (0.06, 0.025)
    assert build(cfg).bbox_head.skeleton == wide


def test_the_demo_learns_by_sigmas_twice_as_wide_as_it_is_evaluated_by(data):
    wide = Skeleton.of(load_config(SHAPES[0], dict(data_root=f'{data}/')).model.bbox_head.skeleton)
    usual = Skeleton.of(dict(keypoints=['head', 'left', 'right', 'tail', 'centre']))
    assert (wide.names, wide.flip_indices) == (usual.names, usual.flip_indices)
    assert wide.sigmas == pytest.approx([2 * sigma for sigma in usual.sigmas], rel=0.01)


@pytest.mark.parametrize('name', [*COCO, WITH_COCO_OKS])
def test_config_loads_alike_and_builds(name):
    cfg = load_config(name)
    assert cfg.to_dict() == Config.fromfile(CONFIGS / f'{name}.py').to_dict()
    head = build(cfg).bbox_head
    assert (head.num_classes, head.head_module.num_keypoints) == (1, 17)
    assert METRICS.get(cfg.val_evaluator.type).__name__ == 'YOLOXPoseCocoMetric'
    assert VISUALIZERS.get(cfg.visualizer.type).__name__ == 'YOLOXPoseVisualizer'


@pytest.mark.parametrize('name', COCO)
def test_the_recipe_is_the_published_one(name):
    cfg = load_config(name)
    is_small = name.split('_')[1] in SMALL
    train, val, test = datasets(cfg)
    assert train.ann_file.endswith('person_keypoints_train2017.json')
    assert val.ann_file.endswith('person_keypoints_val2017.json')
    assert cfg.val_evaluator.ann_file.endswith('person_keypoints_val2017.json')
    assert train.filter_cfg.filter_empty_gt
    assert train.img_scale == val.img_scale == test.img_scale == ((416, 416) if is_small else (640, 640))
    assert ('YOLOXMixUp' in steps(train.pipeline)) != is_small
    (affine,) = (step for step in train.pipeline if step['type'] == 'RandomAffine')
    assert affine.scaling_ratio_range == (0.75, 1.0)
    (mosaic,) = (step for step in train.pipeline if step['type'] == 'Mosaic')
    assert mosaic.get('prob', 1) == (0.5 if '_nano_' in name else 1)
    for pipeline in (train.pipeline, mosaic.pre_transform, cfg.train_pipeline_stage2):
        (loading,) = (step for step in pipeline if 'Annotations' in step['type'] and 'Load' in step['type'])
        assert loading == dict(type='LoadPoseAnnotations', ignore_crowd=True)
    assert 'new_train_pipeline' not in cfg.default_hooks.mode_switch  # so it takes the variable
    stage2 = cfg.train_pipeline_stage2
    assert not {'Mosaic', 'RandomAffine', 'YOLOXMixUp'} & set(steps(stage2))
    assert steps(stage2)[-1] == steps(train.pipeline)[-1] == steps(val.pipeline)[-1] == 'PackPoseInputs'
    (resize,) = cfg.model.data_preprocessor.batch_augments
    assert (resize.type, resize.interval) == ('PoseBatchSyncRandomResize', 1)
    head, assigner = cfg.model.bbox_head, cfg.model.train_cfg.assigner
    assert head.loss_pose == dict(type='OksLoss', form='diagonal', loss_weight=30.0)
    assert assigner == dict(type='PoseSimOTAAssigner', center_radius=2.5, oks_weight=3.0)
    assert (cfg.model.test_cfg.score_thr, cfg.model.test_cfg.nms.iou_threshold) == (0.01, 0.65)
    assert cfg.default_hooks.checkpoint.save_best == 'coco/keypoints_mAP'
    assert cfg.train_dataloader.batch_size == 32
    assert (cfg.optim_wrapper.optimizer.type, cfg.optim_wrapper.optimizer.lr) == ('AdamW', 0.004)
    assert cfg.default_hooks.mode_switch.num_last_epochs == 20


def test_the_skeleton_of_coco_is_said_once_and_right():
    cfg = load_config(COCO[0])
    skeleton = Skeleton.of(cfg.skeleton)
    assert skeleton.names == tuple(COCO_SIGMAS)
    assert skeleton.sigmas == tuple(COCO_SIGMAS.values())
    assert cfg.skeleton.flip_pairs == [list(pair) for pair in side_pairs(skeleton.names)]
    assert len(set(map(frozenset, skeleton.links))) == 19
    assert all(dataset.metainfo.skeleton == cfg.skeleton for dataset in datasets(cfg))
    assert cfg.model.bbox_head.skeleton == cfg.skeleton


def test_only_the_similarity_differs():
    plain, other = load_config(f'yolox-pose_s_{RECIPE}_coco'), load_config(WITH_COCO_OKS)
    assert other.model.bbox_head.loss_pose.form == 'coco'
    other.model.bbox_head.loss_pose.form = 'diagonal'
    for key in ('model', 'train_dataloader', 'val_evaluator', 'optim_wrapper', 'default_hooks'):
        assert plain[key] == other[key]


def test_evaluation_by_mmpose():
    cfg = Config.fromfile(CONFIGS / f'{WITH_MMPOSE}.py')
    ann_file = 'data/coco//annotations/person_keypoints_val2017.json'
    metric = dict(type='mmpose.CocoMetric', ann_file=ann_file, score_mode='bbox')
    assert cfg.val_evaluator == cfg.test_evaluator == metric
    assert cfg.default_hooks.checkpoint.save_best == 'coco/AP'
    assert steps(cfg.train_pipeline_stage2)[-1] == 'PackPoseInputs'


@pytest.mark.parametrize('name', COCO)
def test_test_time_augmentation(name):
    cfg = load_config(name)
    flips = [step.prob for step in cfg.tta_pipeline[1].transforms[1]]
    assert flips == [0.0, 1.0]
    init_default_scope('mmyolox')
    MODELS.get(cfg.tta_model.type)
    DATASETS.build(dict(cfg.test_dataloader.dataset, pipeline=cfg.tta_pipeline, lazy_init=True))


@pytest.mark.parametrize('name', CUSTOM)
def test_the_data_root_is_all_there_is_to_set(name, data):
    cfg = load_config(name, dict(data_root=f'{data}/'))
    skeleton = read_skeleton(str(data / 'annotations/train.json'))
    assert skeleton['keypoints'] == ['nose', 'left', 'right', 'tail']
    model = build(cfg)
    assert model.bbox_head.num_classes == 2
    assert model.bbox_head.skeleton == Skeleton.of(skeleton)
    for dataset in datasets(cfg):
        assert dataset.metainfo == dict(classes=('cat', 'fish'), skeleton=skeleton)
        assert dataset.img_scale == cfg.img_scale
        built = DATASETS.build(dataset)
        assert len(built) == 1
        assert built.metainfo['class_keypoints'] == [[0, 1, 2], [3, 0]]
    METRICS.build(cfg.val_evaluator)
    assert cfg.val_evaluator.ann_file == f'{data}/annotations/val.json'
    assert cfg.train_dataloader.batch_size == cfg.train_batch_size_per_gpu
    (keeping,) = (s for s in cfg.train_dataloader.dataset.pipeline if s['type'] == 'FilterAnnotations')
    assert keeping.keep_empty


def test_a_config_may_give_the_skeleton(data, tmp_path):
    given = dict(keypoints=['nose', 'left', 'right', 'tail', 'mouth'], sigmas=[1, 2, 2, 3, 4])
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(f"_base_ = 'mmyolox::{CUSTOM[0]}.py'\nskeleton = {given!r}\n")
    cfg = load_config(leaf, dict(data_root=f'{data}/'))
    assert cfg.model.bbox_head.skeleton == given
    assert [dataset.metainfo.skeleton for dataset in datasets(cfg)] == [given] * 3
    assert build(cfg).bbox_head.head_module.num_keypoints == 5


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model.bbox_head.loss_pose.forms': 'coco'}, 'OksLoss takes no such parameter; did you mean form'),
        ({'model.bbox_head.type': 'YOLOXPosHead'}, 'there is no YOLOXPosHead; did you mean YOLOXPoseHead'),
        ({'model.bbox_head.loss_pose': dict(_delete_=True, form='coco')}, 'loss_pose: it needs a type'),
        ({'skeleton.sigmas': [1]}, 'has no effect: the variable skeleton is copied before it is changed'),
    ],
)
def test_mistakes_in_options_are_told(options, message):
    with pytest.raises(UserError, match=message):
        load_config(COCO[0], options)


def test_options_reach_what_is_computed_from_them():
    cfg = load_config(COCO[0], dict(data_root='/d/', max_epochs=50, scaling_ratio_range=(0.5, 1.5)))
    assert cfg.val_evaluator.ann_file.startswith('/d/')
    assert load_config(COCO[0], dict(val_ann_file='/e/val.json')).val_evaluator.ann_file == '/e/val.json'
    assert cfg.train_cfg.max_epochs == 50
    assert dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5)) in cfg.train_dataloader.dataset.pipeline
