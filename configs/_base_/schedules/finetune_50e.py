# Fine-tuning on one device: a short AdamW schedule from COCO weights.
_base_ = '../default_runtime.py'

max_epochs = 50
num_last_epochs = 10
warmup_epochs = 1
base_lr = 2e-3  # for a total batch of 8
val_interval = 5

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=max_epochs,
    val_interval=val_interval,
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False, base_batch_size=8)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='YOLOXOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=base_lr, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)

param_scheduler = dict(
    type='YOLOXLR',
    warmup_epochs=warmup_epochs,
    num_last_epochs=num_last_epochs,
    by_epoch=True,
    convert_to_iter_based=True,
)

default_hooks = dict(
    checkpoint=dict(interval=val_interval),
    mode_switch=dict(type='YOLOXModeSwitchHook', num_last_epochs=num_last_epochs),
    ema=dict(
        type='EMAHook',
        ema_type='YOLOXEMA',
        momentum=5e-3,  # a short memory, for short trainings
        gamma=200,
        update_buffers=True,
        strict_load=False,
        priority=49,
    ),
)
