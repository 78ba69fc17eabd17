# The published 8xb8 recipe: total batch 64, SGD, cosine schedule, 15 last epochs without mosaic and mixup.
_base_ = '../default_runtime.py'

max_epochs = 300
num_last_epochs = 15
warmup_epochs = 5
base_lr = 0.01  # for a total batch of 64
val_interval = 10

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=max_epochs,
    val_interval=val_interval,
    dynamic_intervals=[(max_epochs - num_last_epochs, 1)],
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False, base_batch_size=64)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='YOLOXOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=base_lr, momentum=0.9, weight_decay=5e-4, nesterov=True),
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
        momentum=1e-4,
        update_buffers=True,
        strict_load=False,
        priority=49,
    ),
)
