# The published 8xb32 recipe with RTMDet's hyper-parameters: total batch 256, AdamW, 20 last epochs.
_base_ = ['../default_runtime.py', './yolox.py']

max_epochs = 300
num_last_epochs = min(20, int(max_epochs * 0.4))  # shorter trainings keep a main phase
warmup_epochs = min(5, int(max_epochs / 10))
base_lr = 0.004  # for a total batch of 256
val_interval = 10

train_cfg = dict(
    max_epochs=max_epochs,
    val_interval=val_interval,
    dynamic_intervals=[(max_epochs - num_last_epochs, 1)],
)
auto_scale_lr = dict(base_batch_size=256)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=base_lr, weight_decay=0.05))
param_scheduler = dict(warmup_epochs=warmup_epochs, num_last_epochs=num_last_epochs)
default_hooks = dict(
    checkpoint=dict(interval=val_interval),
    mode_switch=dict(_base_.mode_switch, num_last_epochs=num_last_epochs),
    ema=dict(_base_.ema, momentum=2e-4),
)
