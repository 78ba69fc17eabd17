"""What would stop or spoil a training after it has begun is named before, or follows."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

NANO = 'yolox_nano_fast_8xb8-300e_coco'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'val_interval': 0}, 'interval=0: it must be at least 1'),
        ({'train_cfg.val_interval': 0}, 'train_cfg.val_interval=0: it must be at least 1'),
        ({'max_epochs': 0}, 'config key max_epochs=0: it must be at least 1'),
        ({'max_epochs': 2.5}, 'config key max_epochs=2.5: .* takes a whole number there'),
        ({'train_cfg.max_epochs': 2.5}, 'config key train_cfg.max_epochs=2.5: .* takes a whole number'),
        (
            {'train_cfg.dynamic_intervals': [(3, 0)]},
            r'dynamic_intervals.0=.*: the interval must be at least 1',
        ),
        ({'train_batch_size_per_gpu': 0}, 'config key train_batch_size_per_gpu=0: it must be at least 1'),
        (
            {'train_batch_size_per_gpu': 2.5},
            'config key train_batch_size_per_gpu=2.5: DataLoader takes a whole number',
        ),
        ({'val_dataloader.dataset.indices': 0}, 'dataset.indices=0: no sample would be left'),
        ({'train_dataloader.batch_size': None}, 'batch_size=None: it must be a number, at least 1'),
        ({'val_num_workers': -1}, 'config key val_num_workers=-1: it must be at least 0'),
        ({'warmup_epochs': -1}, 'config key warmup_epochs=-1: it must be at least 0'),
        ({'base_lr': 'fast'}, "base_lr='fast' must be a number"),
        ({'base_lr': -0.1}, 'config key base_lr=-0.1: it must be above 0'),
        ({'optim_wrapper.optimizer.lr': 'fast'}, "optim_wrapper.optimizer.lr='fast': SGD takes a number"),
        (
            {'val_evaluator.iou_thrs': 0.5},
            'val_evaluator.iou_thrs=0.5: YOLOXCocoMetric takes a list, each entry a number or None there',
        ),
        (
            {'val_evaluator.proposal_nums': 100},
            'proposal_nums=100: .* takes a list, each entry a whole number',
        ),
        (
            {'default_hooks.checkpoint.interval': '5'},
            "checkpoint.interval='5': .*CheckpointHook takes a whole number",
        ),
        ({'train_pipeline_stage2': [1]}, 'train_pipeline_stage2=.* must be a list of dicts'),
        (
            {'model.data_preprocessor.batch_augments': 1},
            'batch_augments=1: YOLOXDataPreprocessor takes a list',
        ),
        ({'custom_hooks': 1}, 'custom_hooks=1: it must be a list of dicts'),
        ({'train_dataloader.dataset.pipeline.0': 3}, r'pipeline.0=3 does not fit'),
        (
            {'default_hooks.ema.ema_type': 'YOLOXEMO'},
            'ema.ema_type: there is no YOLOXEMO; did you mean YOLOXEMA',
        ),
        ({'default_hooks.ema.ema_type': 3}, 'ema.ema_type=3: it must be the name of a component'),
        (
            {'default_hooks.ema.momentun': 3},
            'ema.momentun: UpdateEMAHook takes no such .*did you mean momentum',
        ),
        ({'default_hooks.ema.momentum': 'x'}, "ema.momentum='x': YOLOXEMA takes a number"),
        ({'optim_wrapper.constructor': 'X'}, 'optim_wrapper.constructor: there is no X'),
        ({'default_scope': 3}, 'default_scope=3 must be text'),
        ({'default_hooks.checkpoint.interval': 0}, 'checkpoint.interval=0: it must be at least 1, or -1'),
        ({'default_hooks.checkpoint.max_keep_ckpts': 0}, 'max_keep_ckpts=0: it must be at least 1, or -1'),
        ({'default_hooks.logger.interval': 0}, 'logger.interval=0: it must be at least 1'),
        ({'default_hooks.mode_switch.num_last_epochs': -1}, 'num_last_epochs=-1: it must be at least 0'),
        ({'default_hooks.ema.momentum': 1.5}, 'ema.momentum=1.5: it must be above 0 and below 1'),
        ({'default_hooks.ema.momentum': 0}, 'ema.momentum=0: it must be above 0 and below 1'),
        ({'default_hooks.ema.gamma': -5}, 'ema.gamma=-5: it must be above 0'),
        ({'optim_wrapper.optimizer.weight_decay': -1}, 'weight_decay=-1: it must be at least 0'),
        ({'optim_wrapper.optimizer.lr': float('inf')}, 'optimizer.lr=inf: a number must be finite'),
        ({'model.backbone.widen_factor': 0}, 'backbone.widen_factor=0: it must be above 0'),
        ({'model.neck.deepen_factor': -0.3}, 'neck.deepen_factor=-0.3: it must be above 0'),
        ({'model.test_cfg.score_thr': 2}, 'score_thr=2: it must be at least 0 and at most 1'),
        ({'model.test_cfg.nms.iou_threshold': -1}, 'iou_threshold=-1: it must be at least 0'),
        ({'model.test_cfg.max_per_img': 0}, 'max_per_img=0: it must be at least 1, or -1'),
        ({'train_pipeline_stage2.3.prob': 2}, 'train_pipeline_stage2.3.prob=2: it must be at least 0 and at'),
        ({'val_evaluator.proposal_nums': [0]}, r'proposal_nums=\[0\]: it must be at least 1'),
        ({'val_evaluator.proposal_nums': []}, r'proposal_nums=\[\]: it must be at least 1'),
        ({'val_evaluator.iou_thrs': [0.5, 2]}, r'iou_thrs=\[0.5, 2\]: it must be at least 0 and at most 1'),
        ({'img_scale': (0, 32)}, r'img_scale=\(0, 32\): it must be at least 1'),
        ({'randomness.seed': -1}, 'randomness.seed=-1: it must be at least 0'),
        ({'auto_scale_lr.base_batch_size': 0}, 'base_batch_size=0: it must be at least 1'),
        ({'model.test_cfg.score_thr': 'low'}, "model.test_cfg.score_thr='low' must be a number"),
        ({'train_dataloader.prefetch_factor': 0}, 'prefetch_factor=0: it must be at least 1'),
        ({'train_dataloader.num_batch_per_epoch': 0}, 'num_batch_per_epoch=0: it must be at least 1'),
        ({'train_dataloader.timeout': -1}, 'train_dataloader.timeout=-1: it must be at least 0'),
        ({'param_scheduler.begin': -2}, 'param_scheduler.begin=-2: it must be at least 0'),
        ({'param_scheduler.begin': 3}, 'begin=3: YOLOXLR is a schedule of the whole training'),
        ({'param_scheduler.begin': 300}, 'begin=300: it must be below end and train_cfg.max_epochs'),
        ({'param_scheduler.warmup_epochs': 400}, 'warmup_epochs=400: the training ends before, after 300'),
        ({'optim_wrapper.optimizer.momentum': 2}, 'momentum=2: it must be at least 0 and at most 1'),
        ({'model.train_cfg.assigner.candidate_topk': 0}, 'candidate_topk=0: it must be at least 1'),
        ({'train_cfg.val_begin': 301}, 'val_begin=301: a training of 300 epochs would never be validated'),
        ({'model.test_cfg': None}, 'model.test_cfg=None: the validation needs its thresholds'),
        ({'optim_wrapper.clip_grad': dict(max_norm=0)}, 'max_norm=0: it must be above 0'),
        ({'optim_wrapper.clip_grad': dict(norm_type=2)}, "clip_grad_norm_: missing .*'max_norm'"),
        ({'optim_wrapper.clip_grad': dict(type='value', max_norm=3)}, 'clip_grad_value_: '),
    ],
)
def test_what_would_fail_later_is_named(options, message):
    with pytest.raises(UserError, match=message):
        load_config(NANO, options)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('model = 3', 'config key model=3: it must be a dict'),
        ("model = dict(test_cfg=dict(score_thr='low'))", "test_cfg.score_thr='low': it takes a number there"),
        ('model = dict(test_cfg=dict(nms=3))', 'test_cfg.nms=3: it takes dict there'),
        ("model = dict(test_cfg=dict(nms=dict(iou_threshold='x')))", "iou_threshold='x': it takes a number"),
        ('model = dict(test_cfg=dict(max_per_img=2.5))', 'max_per_img=2.5: it takes a whole number there'),
        (
            "optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mul=0.1)}))",
            'custom_keys.backbone.lr_mul: .*reads it; did you mean lr_mult',
        ),
        ('env_cfg = dict(cudnn_benchmark=3)', 'env_cfg.cudnn_benchmark=3: it takes true or false there'),
        ('env_cfg = dict(cudn_benchmark=True)', 'env_cfg.cudn_benchmark: .*did you mean cudnn_benchmark'),
        ('env_cfg = dict(_delete_=True, mp_cfg=3)', 'env_cfg.mp_cfg=3: it takes dict there'),
        (
            "env_cfg = dict(mp_cfg=dict(mp_start_method='x'))",
            "mp_start_method='x': it takes 'fork' or 'spawn'",
        ),
        ('env_cfg = dict(dist_cfg=dict(backend=3))', 'dist_cfg.backend=3: it takes text there'),
        ("tta_model = dict(tta_cfg=dict(max_per_img='x'))", "max_per_img='x': it takes a whole number there"),
        ('tta_model = dict(tta_cfg=dict(nms=dict(iou=0.5)))', 'nms.iou: it takes no such parameter'),
        (
            "model = dict(test_cfg=dict(nms=dict(type='soft_nms')))",
            "nms.type='soft_nms': it takes 'nms' there",
        ),
        ("log_processor = dict(window_size='x')", "window_size='x': LogProcessor takes a number"),
        ('log_level = 3.5', 'log_level=3.5: the Runner takes .DEBUG. or'),
        ("log_level = 'LOUD'", "log_level='LOUD': the Runner takes 'DEBUG' or 'INFO'"),
        ("auto_scale_lr = dict(enable='x')", "auto_scale_lr.enable='x': it takes true or false there"),
        (
            'auto_scale_lr = dict(_delete_=True, enable=True)',
            'auto_scale_lr.enable=True needs auto_scale_lr.base_batch_size',
        ),
        ('auto_scale_lr = dict(batch_size=64)', 'did you mean base_batch_size'),
        ("randomness = dict(seed='x')", "randomness.seed='x': it takes a whole number or None there"),
        ('randomness = dict(sed=3)', 'randomness.sed: it takes no such parameter; did you mean seed'),
        (
            'train_dataloader = dict(dataset=dict(data_prefix=dict(img=3)))',
            'data_prefix.img=3: it takes text',
        ),
        ('train_dataloader = dict(dataset=dict(data_prefix=dict(imgs="a")))', 'did you mean img'),
        (
            'val_dataloader = dict(dataset=dict(metainfo=dict(classes=3)))',
            'metainfo.classes=3: it takes a list',
        ),
        ('val_dataloader = dict(dataset=dict(metainfo=3))', 'metainfo=3: .* takes Mapping'),
        (
            'val_dataloader = dict(dataset=dict(filter_cfg=dict(min_size="x")))',
            "min_size='x': it takes a whole",
        ),
        (
            "optim_wrapper = dict(paramwise_cfg=dict(bias_decay_mult='x'))",
            "decay_mult='x': it takes a number",
        ),
        (
            "optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-3))",
            'norm_decay_mult multiplies optim_wrapper.optimizer.weight_decay, which is not there',
        ),
        ('custom_hooks = 3', 'custom_hooks=3: it must be a list of dicts'),
        ("optim_wrapper = dict(clip_grad=dict(max_norm=3, norm_type='x'))", "norm_type='x': it takes"),
        (
            'model = dict(data_preprocessor=dict(batch_augments=[dict(interval=10)]))',
            'batch_augments.0: it needs a type',
        ),
        ('model = dict(train_cfg=dict(assigner=3))', 'train_cfg.assigner=3: it takes dict'),
        ('param_scheduler = dict(_delete_=True, by_epoch=True)', 'param_scheduler: it needs a type'),
        (
            "param_scheduler = [dict(type='LinearLR', by_epoch=False, convert_to_iter_based=True)]",
            'param_scheduler.0.convert_to_iter_based=True: it needs by_epoch=True',
        ),
        (
            "param_scheduler = [dict(type='LinearLR', begin=5, end=5)]",
            'param_scheduler.0.begin=5: it must be below end',
        ),
        ("resume = 'yes'", "resume='yes': the Runner takes true or false there"),
        ("randomness = dict(deterministic='no')", "deterministic='no': it takes true or false there"),
        ("sync_bn = 'foo'", "sync_bn='foo': the Runner takes 'torch' or 'mmcv' or None there"),
        ('find_unused_parameters = 3', 'find_unused_parameters=3: the Runner takes true or false there'),
        ("launcher = 'foo'", "launcher='foo': the Runner takes 'none' or 'pytorch' or"),
        ('model_wrapper_cfg = 3', 'model_wrapper_cfg=3: the Runner takes dict or None there'),
        (
            'model_wrapper_cfg = dict(find_unused_parameters=3)',
            'model_wrapper_cfg.find_unused_parameters=3: .* takes true or false',
        ),
        (
            'find_unused_parameters = True\nmodel_wrapper_cfg = dict(static_graph=True)',
            'find_unused_parameters has no effect beside model_wrapper_cfg; set model_wrapper_cfg.find_un',
        ),
        ("compile = 'yes'", "compile='yes': the Runner takes true or false or dict or None there"),
        ('compile = dict(backen=3)', 'compile.backen: .* did you mean backend'),
        ('activation_checkpointing = 3', 'activation_checkpointing=3: the Runner takes text or a list'),
        (
            "efficient_conv_bn_eval = ['neck', 3]",
            'efficient_conv_bn_eval=.*: the Runner takes text or a list',
        ),
        ("runner_type = 'foo'", 'config key runner_type: there is no foo'),
        ('runner_type = 3', 'runner_type=3: the Runner takes text there'),
        ('tta_model = 3', 'tta_model=3: the Runner takes dict or None there'),
        ('tta_pipeline = 3', 'tta_pipeline=3: the Runner takes a list'),
        ('data_variables = 3', 'data_variables=3: it must be a dict of import paths of functions'),
        ('data_variables = dict(a=3)', "data_variables={'a': 3}: it must be a dict of import paths"),
        (
            "data_preprocessor = dict(type='YOLOXDataPreprocessor', mean=[1, 2, 3], std=[1, 1, 1])",
            'data_preprocessor has no effect beside model.data_preprocessor',
        ),
        (
            'param_scheduler = dict(convert_to_iter_based=False)',
            'param_scheduler.convert_to_iter_based=False: .*set by_epoch=True and convert_to_iter_based=True',
        ),
        (
            'param_scheduler = dict(by_epoch=False, convert_to_iter_based=False)',
            'param_scheduler.by_epoch=False: .*set by_epoch=True and convert_to_iter_based=True',
        ),
        ('param_scheduler = dict(end=100)', 'param_scheduler.end=100: YOLOXLR is a schedule of the whole'),
        ('default_hooks = dict(param_scheduler=None)', 'param_scheduler=None: param_scheduler needs it'),
        ('default_hooks = dict(sampler_seed=None)', 'sampler_seed=None: train_dataloader needs it, or each'),
        ('default_hooks = dict(ema=dict(begin_epoch=400))', 'begin_epoch=400: the training has 300 epochs'),
        (
            "optim_wrapper = dict(paramwise_cfg='a')",
            "optim_wrapper.paramwise_cfg='a': it must be a dict",
        ),
        (
            'optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=None)))',
            'paramwise_cfg.custom_keys.backbone=None: it must be a dict',
        ),
        ('resume = 3', 'resume=3: the Runner takes true or false there'),
        ('load_from = 3', 'load_from=3: the Runner takes text or None there'),
    ],
)
def test_values_of_another_type_in_a_file_are_named(tmp_path, line, message):
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{line}\n")
    with pytest.raises(UserError, match=message):
        load_config(path)


@pytest.mark.parametrize(
    'line',
    [
        "default_hooks = dict(sampler_seed=None)\ncustom_hooks = [dict(type='DistSamplerSeedHook')]",
        'default_hooks = dict(param_scheduler=None)\nparam_scheduler = None',
        'default_hooks = dict(mode_switch=None)\nparam_scheduler = dict(num_last_epochs=3)',
        'param_scheduler = dict(end=300)',
        "launcher = 'pytorch'\nsync_bn = 'torch'\nfind_unused_parameters = True",
        "compile = dict(backend='inductor')\nactivation_checkpointing = ['backbone']",
        "runner_type = 'Runner'",
        "optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'head': dict(lr=0.1, momentum=0.5)}))",
        'model_wrapper_cfg = dict(find_unused_parameters=True)\nfind_unused_parameters = True',
        'data_preprocessor = _base_.model.data_preprocessor',
    ],
)
def test_what_a_runner_takes_at_the_top_passes(tmp_path, line):
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{line}\n")
    load_config(path)


def test_a_loader_without_workers_has_none_that_persist():
    keys = {'num_workers': 0, 'persistent_workers': True, 'prefetch_factor': 4, 'timeout': 9}
    cfg = load_config(NANO, {f'train_dataloader.{key}': value for key, value in keys.items()})
    assert cfg.train_dataloader.persistent_workers is False
    assert not {'prefetch_factor', 'timeout'} & set(cfg.train_dataloader)
    assert cfg.val_dataloader.persistent_workers is True


def test_a_hook_that_is_none_is_left_out():
    cfg = load_config(NANO, {'default_hooks.ema': None, 'default_hooks.logger': None})
    assert 'ema' not in cfg.default_hooks
    assert cfg.default_hooks.logger is None  # takes away MMEngine's


@pytest.mark.parametrize(
    ('hook', 'name'),
    [
        ("dict(type='EMAHook', ema_type='ExponentialMovingAverage')", 'EMAHook'),
        ("dict(type='YOLOXModeSwitchHook', num_last_epochs=5)", 'YOLOXModeSwitchHook'),
        ("dict(type='ParamSchedulerHook')", 'ParamSchedulerHook'),
        ("dict(type='CheckpointHook', interval=1)", 'CheckpointHook'),
    ],
)
def test_two_of_a_hook_that_must_be_alone_are_refused(tmp_path, hook, name):
    """MMYOLO's configs have them in ``custom_hooks``; beside ours they would swap the weights twice."""
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\ncustom_hooks = [{hook}]\n")
    with pytest.raises(
        UserError, match=rf'config keys default_hooks\.\w+ and custom_hooks\.0: both are a {name},'
    ):
        load_config(path)


@pytest.mark.parametrize(
    ('hook', 'message'),
    [
        (dict(save_best='coco/quality'), r'checkpoint.rule=None: .*whether a higher coco/quality is better'),
        (dict(save_best=['coco/bbox_mAP', 'x']), r'checkpoint.rule=None: .*whether a higher x is better'),
        (dict(save_best='coco/bbox_mAP', rule='higher'), "checkpoint.rule='higher': .*greater or less"),
        (dict(save_best='coco/quality', rule='greater'), None),
        (dict(save_best=['coco/bbox_mAP', 'x'], rule=['greater', 'less']), None),
        (dict(save_best='quality', greater_keys=['quality']), None),
        (dict(save_best='auto'), None),
        (dict(save_best=None), None),
    ],
)
def test_which_of_two_figures_is_better_must_be_known(hook, message):
    options = {f'default_hooks.checkpoint.{key}': value for key, value in hook.items()}
    if message is None:
        load_config(NANO, options)
        return
    with pytest.raises(UserError, match=message):
        load_config(NANO, options)


@pytest.mark.parametrize(
    ('config', 'max_epochs', 'warmup', 'lowest', 'plain'),
    [
        (NANO, 300, 5, 15, 15),
        (NANO, 50, 5, 15, 15),
        (NANO, 5, 0, 2, 2),
        ('yolox_s_fast_8xb32-300e-rtmdet-hyp_coco', 300, 5, 20, 20),
        ('yolox_s_fast_8xb32-300e-rtmdet-hyp_coco', 50, 5, 20, 20),
        ('yolox_s_fast_1xb8-50e_voc', 50, 1, 10, 10),
        ('yolox_s_fast_1xb8-50e_custom', 300, 1, 0, 10),
        ('yolox_s_fast_1xb8-50e_custom', 50, 1, 0, 10),
        ('yolox_s_fast_1xb8-50e_custom', 5, 1, 0, 2),
        ('yolox_s_fast_1xb8-50e_custom', 1, 0, 0, 0),
    ],
)
def test_phases_fit_the_length_of_the_training(config, max_epochs, warmup, lowest, plain):
    classes = dict(classes=['a']) if config.endswith('custom') else {}
    cfg = load_config(config, dict(max_epochs=max_epochs, val_interval=1) | classes)
    assert (cfg.param_scheduler.warmup_epochs, cfg.param_scheduler.num_last_epochs) == (warmup, lowest)
    assert cfg.default_hooks.mode_switch.num_last_epochs == plain


def test_phases_that_are_given_stay():
    cfg = load_config(NANO, dict(max_epochs=5, num_last_epochs=4, warmup_epochs=3))
    assert (cfg.param_scheduler.warmup_epochs, cfg.param_scheduler.num_last_epochs) == (3, 4)


def test_a_loop_of_iterations_is_refused_by_name(tmp_path):
    path = tmp_path / 'c.py'
    loop = "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=9)"
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{loop}\n")
    with pytest.raises(
        UserError, match=r'IterBasedTrainLoop has no epochs, which default_hooks\.mode_switch'
    ):
        load_config(path)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('_base_.max_epochs = 5', 'to change _base_.max_epochs has no effect.*: max_epochs = ...'),
        ('_base_.train_pipeline.append(dict())', 'to change _base_.train_pipeline has no effect'),
        ('train_dataloader = _base_.train_dataloder', 'has no attribute.*did you mean train_dataloader'),
        ("rate = 3 + 'a'", r'\(c\.py, line 2\): TypeError: unsupported operand'),
    ],
)
def test_what_a_file_does_with_its_base_in_vain_is_named(tmp_path, line, message):
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{line}\n")
    with pytest.raises(UserError, match=message):
        load_config(path)
