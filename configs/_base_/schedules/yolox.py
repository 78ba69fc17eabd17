# What the schedules of all recipes share; each of them says its own numbers.
train_cfg = dict(type='EpochBasedTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False)

accumulative_counts = 1  # batches whose gradients are added up before a step

optim_wrapper = dict(
    type='OptimWrapper',
    accumulative_counts=accumulative_counts,
    constructor='YOLOXOptimWrapperConstructor',
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = dict(type='YOLOXLR', by_epoch=True, convert_to_iter_based=True)

# Hooks, beside those of the runtime.
mode_switch = dict(type='YOLOXModeSwitchHook')
ema = dict(type='UpdateEMAHook', ema_type='YOLOXEMA', update_buffers=True, strict_load=False, priority=49)
