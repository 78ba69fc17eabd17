# The published 8xb32 recipe with RTMDet's hyper-parameters: total batch 256, AdamW, 20 last epochs.
_base_ = '../default_runtime.py'

max_epochs = 300
num_last_epochs = 20
warmup_epochs = 5
base_lr = 0.004  # for a total batch of 256
val_interval = 10

train_cfg = dict(
    type='EpochBasedTrainLoop',
    max_epochs=max_epochs,
    val_interval=val_interval,
    dynamic_intervals=[(max_epochs - num_last_epochs, 1)],
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False, base_batch_size=256)

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
        momentum=2e-4,
        update_buffers=True,
        strict_load=False,
        priority=49,
    ),
)
