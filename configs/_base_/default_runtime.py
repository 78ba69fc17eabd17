default_scope = 'mmyolox'

# A fixed seed: data order, augmentations and multi-scale sizes are functions of it, so that a resumed run
# continues exactly. Another run with other draws needs another seed.
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=600),  # seconds that a process waits for the others
)

val_loss = False  # whether validations log the losses on their images
trackers = None  # 'tensorboard', 'wandb', 'mlflow' or several of them: what else gets curves and pictures
patience = None  # epochs without a better figure after which the training ends; None for all epochs

default_hooks = dict(
    runtime_info=dict(type='AsyncRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='ResumableCheckpointHook',
        interval=10,
        max_keep_ckpts=3,
        save_best='auto',
        backend_args=dict(backend='atomic_local'),
    ),
    accumulation=dict(type='AccumulationHook'),
    patience=dict(type='PatienceHook', patience=patience),
    statistics=dict(type='SharedStatisticsHook'),
    folded_norms=dict(type='UnfoldNormsHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    checkpoint_check=dict(type='CheckpointCheckHook'),
    invalid_loss=dict(type='InvalidLossHook'),
    data_time=dict(type='DataTimeHook'),
    start_up=dict(type='StartUpTimeHook'),
    validation_pictures=dict(type='ValidationPicturesHook'),
    curves=dict(type='CurvesHook'),
    report=dict(type='ReportHook'),
    trackers=dict(type='TrackersHook'),
)
if val_loss:
    default_hooks['val_loss'] = dict(type='ValidationLossHook')

# Writes the scalars of the curves, and draws detections.
visualizer = dict(type='YOLOXVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
if trackers:
    visualizer['trackers'] = trackers
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
