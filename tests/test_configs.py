"""Every config loads, means the same to MMEngine's own loader, and builds its model."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmyolox.config import load_config
from mmyolox.config.find import find_config
from mmyolox.engine.ema import YOLOXEMA
from mmyolox.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs'
OTHERS = {
    'yolox_nano_fast_8xb16-300e-supergradients_coco': dict(
        model='nano', batch=16, lr=0.02, decay=5e-4, ema=dict(momentum=1e-4, beta=15),
        affine=((0.1, 2), (0.5, 0.5)), mixup=dict(type='YOLOXMixUp', ratio_range=(0.5, 1.5)),
        colours='YOLOXHSVRandomAug', nms=0.6, radius=2.5,
    ),
    'yolox_s_fast_8xb8-300e-mindyolo_coco': dict(
        model='s', batch=8, lr=0.08, decay=6.25e-5, ema=dict(momentum=1e-4), affine=((0.1, 1.9), (0.5, 0.5)),
        mixup=dict(type='BetaMixUp', alpha=8.0, beta=8.0), colours='RandomHSVGains', nms=0.65, radius=1.5,
    ),
}  # fmt: skip
"""The recipes of other frameworks, as their repositories give them."""
OTHERS['yolox_tiny_fast_8xb16-300e-supergradients_coco'] = dict(
    OTHERS['yolox_nano_fast_8xb16-300e-supergradients_coco'], model='tiny'
)
COCO = sorted({path.stem for path in CONFIGS.glob('yolox/*_coco.py')} - OTHERS.keys())
CLASSES = dict(classes=('cat', 'dog'))
RECIPES = {
    '8xb8-300e': dict(batch=8, optimizer='SGD', lr=0.01, last=15, ema=1e-4, interval=10),
    '8xb8-300e-cached': dict(batch=8, optimizer='SGD', lr=0.01, last=15, ema=1e-4, interval=10),
    '8xb32-300e-rtmdet-hyp': dict(batch=32, optimizer='AdamW', lr=0.004, last=20, ema=2e-4, interval=1),
}


def test_table_is_complete():
    sizes = ('nano', 'tiny', 's', 'm', 'l', 'x')
    expected = {f'yolox_{size}_fast_{recipe}_coco' for size in sizes for recipe in RECIPES}
    # Nano's samples are mosaics only half of the time.
    expected.remove('yolox_nano_fast_8xb8-300e-cached_coco')
    assert set(COCO) == expected | {'yolox_darknet53_fast_8xb8-300e_coco'}


@pytest.mark.parametrize('name', COCO)
def test_config_loads_alike_and_builds(name):
    cfg = load_config(name)
    assert cfg.to_dict() == Config.fromfile(CONFIGS / f'yolox/{name}.py').to_dict()
    init_default_scope('mmyolox')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.bbox_head.num_classes == 80
    pipeline = [step['type'] for step in cfg.train_dataloader.dataset.pipeline]
    small = any(f'_{size}_' in name for size in ('nano', 'tiny'))
    assert ('YOLOXMixUp' in pipeline) != small
    assert cfg.train_dataloader.dataset.img_scale == cfg.val_dataloader.dataset.img_scale
    assert cfg.test_dataloader.dataset.img_scale == ((416, 416) if small else (640, 640))
    assert 'Mosaic' in pipeline
    assert 'new_train_pipeline' not in cfg.default_hooks.mode_switch  # so it takes the variable
    stage2 = [step['type'] for step in cfg.train_pipeline_stage2]
    assert not {'Mosaic', 'RandomAffine', 'YOLOXMixUp'} & set(stage2)


@pytest.mark.parametrize('name', COCO)
def test_hyper_parameters_are_the_published_ones(name):
    cfg = load_config(name)
    recipe = RECIPES[name.split('_fast_')[1].removesuffix('_coco')]
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr) == (recipe['optimizer'], recipe['lr'])
    assert cfg.train_dataloader.batch_size == recipe['batch']
    assert cfg.auto_scale_lr.base_batch_size == 8 * recipe['batch']
    assert cfg.default_hooks.mode_switch.num_last_epochs == recipe['last']
    assert cfg.param_scheduler.num_last_epochs == recipe['last']
    assert cfg.param_scheduler.warmup_epochs == 5
    assert cfg.train_cfg.dynamic_intervals == [(300 - recipe['last'], 1)]
    assert cfg.default_hooks.ema.momentum == recipe['ema']
    resize = cfg.model.data_preprocessor.batch_augments[-1]
    assert resize.interval == recipe['interval']
    assert cfg.model.test_cfg.score_thr == 0.001
    assert cfg.model.test_cfg.nms.iou_threshold == 0.65
    if recipe['optimizer'] == 'SGD':
        assert (optimizer.momentum, optimizer.nesterov, optimizer.weight_decay) == (0.9, True, 5e-4)


@pytest.mark.parametrize('name', OTHERS)
def test_recipes_of_others_are_what_their_repositories_say(name):
    cfg, wanted = load_config(name), OTHERS[name]
    assert cfg.to_dict() == Config.fromfile(CONFIGS / f'yolox/{name}.py').to_dict()
    init_default_scope('mmyolox')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
        ours = MODELS.build(load_config(f'yolox_{wanted["model"]}_fast_8xb8-300e_coco').model)
    shapes = {key: value.shape for key, value in ours.state_dict().items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes
    assert not cfg.model.data_preprocessor.batch_augments
    assert cfg.model.test_cfg.nms.iou_threshold == wanted['nms']
    assert cfg.model.train_cfg.assigner.center_radius == wanted['radius']
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=wanted['lr'], momentum=0.9, weight_decay=wanted['decay'], nesterov=True
    )
    assert load_config(name, dict(base_lr=0.5)).optim_wrapper.optimizer.lr == 0.5
    assert cfg.train_dataloader.batch_size == wanted['batch']
    assert cfg.auto_scale_lr.base_batch_size == 8 * wanted['batch']
    average = cfg.default_hooks.ema
    assert {key: average[key] for key in ('momentum', 'gamma', 'beta') if key in average} == wanted['ema']
    assert YOLOXEMA(torch.nn.Linear(1, 1)).gamma == 2000
    schedule = cfg.param_scheduler
    assert (schedule.warmup_epochs, schedule.num_last_epochs, cfg.train_cfg.max_epochs) == (5, 15, 300)
    assert cfg.train_dataloader.dataset.img_scale == cfg.test_dataloader.dataset.img_scale == (640, 640)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    affine = steps['RandomAffine']
    assert (affine.scaling_ratio_range, affine.get('anchor', (0, 0))) == wanted['affine']
    mixup = steps[wanted['mixup']['type']]
    assert {key: mixup[key] for key in wanted['mixup']} == wanted['mixup']
    assert steps.get('Mosaic').get('prob', 1) == 1
    assert {wanted['colours'], 'RandomFlip'} < steps.keys()
    assert [step.type for step in cfg.train_pipeline_stage2][2:4] == ['Letterbox', wanted['colours']]


@pytest.mark.parametrize('size', ['tiny', 's', 'm', 'l', 'x'])
def test_cached_differs_in_where_partners_and_colours_come_from(size):
    plain, cached = (load_config(f'yolox_{size}_fast_8xb8-300e{kind}_coco') for kind in ('', '-cached'))
    for key in ('train_pipeline', 'train_pipeline_stage2'):
        steps = cached[key]
        remembered = [step for step in steps if step.type != 'RecentSamples']
        on_host = [step for step in plain[key] if step.type not in ('RandomFlip', 'YOLOXHSVRandomAug')]
        assert remembered == on_host
        assert (len(steps) > len(remembered)) == (key == 'train_pipeline')
    assert cached.train_dataloader.dataset.pipeline == cached.train_pipeline
    augments = cached.model.data_preprocessor.batch_augments
    assert [step.type for step in augments[:-1]] == ['YOLOXBatchHSV', 'YOLOXBatchFlip']
    assert augments[-1:] == plain.model.data_preprocessor.batch_augments
    assert cached.optim_wrapper == plain.optim_wrapper


def test_nano_has_mosaic_half_of_the_time():
    for recipe in ('8xb8-300e', '8xb32-300e-rtmdet-hyp'):
        pipeline = load_config(f'yolox_nano_fast_{recipe}_coco').train_dataloader.dataset.pipeline
        assert [step.get('prob') for step in pipeline if step['type'] == 'Mosaic'] == [0.5]


@pytest.mark.parametrize('size', ['nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53'])
def test_every_size_can_be_fine_tuned(size):
    """By one recipe: networks are those of COCO's configs, and small ones see smaller images."""
    cfg, coco = load_config(find_config(f'yolox_{size}', 'custom'), CLASSES), load_config(f'yolox_{size}')
    for part in ('backbone', 'neck'):
        assert cfg.model[part] == coco.model[part]
    assert cfg.model.bbox_head.head_module == dict(coco.model.bbox_head.head_module, num_classes=2)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.img_scale == coco.test_dataloader.dataset.img_scale
    resize = cfg.model.data_preprocessor.batch_augments[-1]
    assert resize.ratio_range == (0.75, 1.25)
    assert cfg.optim_wrapper == load_config('yolox_s_fast_1xb8-50e_custom', CLASSES).optim_wrapper


@pytest.mark.parametrize('recipe', RECIPES)
def test_leaves_of_a_recipe_differ_in_the_model_alone(recipe):
    def text(size):
        leaf = (CONFIGS / f'yolox/yolox_{size}_fast_{recipe}_coco.py').read_text(encoding='utf-8')
        return leaf.replace(f'models/yolox_{size}.py', 'models/any.py')

    assert {text(size) for size in ('m', 'l', 'x')} == {text('s')}
    # The small models are trained on smaller images.
    assert text('tiny') == text('s').replace('/coco', '/coco_416')


@pytest.mark.parametrize('size', ['s', 'nano'])
def test_options_reach_what_a_recipe_changes(size):
    cfg = load_config(f'yolox_{size}_fast_8xb32-300e-rtmdet-hyp_coco', dict(train_batch_size_per_gpu=3))
    assert cfg.train_dataloader.batch_size == 3


def test_one_option_reaches_everything_computed_from_it():
    options = dict(max_epochs=50, num_last_epochs=5, data_root='/data/x', train_batch_size_per_gpu=3)
    cfg = load_config('yolox_s_fast_8xb8-300e_coco', options)
    assert cfg.train_cfg.max_epochs == 50
    assert cfg.train_cfg.dynamic_intervals == [(45, 1)]
    assert cfg.default_hooks.mode_switch.num_last_epochs == 5
    assert cfg.param_scheduler.num_last_epochs == 5
    assert cfg.train_dataloader.batch_size == 3
    roots = {cfg[f'{part}_dataloader'].dataset.data_root for part in ('train', 'val', 'test')}
    assert roots == {'/data/x'}
    assert cfg.val_evaluator.ann_file.startswith('/data/x/')


@pytest.mark.parametrize(
    ('name', 'more'),
    [
        ('yolox_s_fast_8xb8-300e_coco', {}),
        ('yolox_s_fast_1xb8-50e_custom', dict(classes=('a',), num_classes=1)),
    ],
)
@pytest.mark.parametrize(
    ('root', 'file', 'joined'),
    [
        ('/data', '/else/val.json', '/else/val.json'),
        ('/data', 'val.json', '/data/val.json'),
        ('data', 's3://bucket/val.json', 's3://bucket/val.json'),
        ('s3://bucket', 'val.json', 's3://bucket/val.json'),
    ],
)
def test_the_metric_reads_the_file_of_the_data_set(name, more, root, file, joined):
    cfg = load_config(name, dict(data_root=root, val_ann_file=file, **more))
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == joined
