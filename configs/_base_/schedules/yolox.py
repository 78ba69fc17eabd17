# What the schedules of all recipes share; each of them says its own numbers.
train_cfg = dict(type='EpochBasedTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='YOLOXOptimWrapperConstructor',
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = dict(type='YOLOXLR', by_epoch=True, convert_to_iter_based=True)

# Hooks, beside those of the runtime.
mode_switch = dict(type='YOLOXModeSwitchHook')
ema = dict(type='EMAHook', ema_type='YOLOXEMA', update_buffers=True, strict_load=False, priority=49)
