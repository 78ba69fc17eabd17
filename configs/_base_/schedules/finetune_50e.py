# Fine-tuning on one device: a short AdamW schedule from COCO weights.
_base_ = ['../default_runtime.py', './yolox.py']

max_epochs = 50
num_last_epochs = min(10, int(max_epochs * 0.4))  # shorter trainings keep a main phase
warmup_epochs = min(1, int(max_epochs / 2))
base_lr = 2e-3  # for a total batch of 8
val_interval = 5

train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
auto_scale_lr = dict(base_batch_size=8)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=base_lr, weight_decay=0.05),
    paramwise_cfg=dict(pixel_lr_mult=0.02),  # small weights, which keep what they have learned
)
param_scheduler = dict(warmup_epochs=warmup_epochs, num_last_epochs=num_last_epochs)
default_hooks = dict(
    checkpoint=dict(interval=val_interval),
    mode_switch=dict(_base_.mode_switch, num_last_epochs=num_last_epochs),
    ema=dict(_base_.ema, momentum=5e-3, gamma=200),  # a short memory, for short trainings
)
