# SuperGradients 3.7's recipe for YOLOX (training_hyperparams/coco2017_yolox_train_params.yaml): total batch
# 128, SGD, cosine schedule, 15 last epochs without mosaic, affine and mixup, an average that begins slowly.
_base_ = ['../default_runtime.py', './yolox.py']

max_epochs = 300
num_last_epochs = min(15, int(max_epochs * 0.4))  # shorter trainings keep a main phase
warmup_epochs = min(5, int(max_epochs / 10))
base_lr = 0.02  # for a total batch of 128
val_interval = 10

train_cfg = dict(
    max_epochs=max_epochs,
    val_interval=val_interval,
    dynamic_intervals=[(max_epochs - num_last_epochs, 1)],
)
auto_scale_lr = dict(base_batch_size=128)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=base_lr, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(warmup_epochs=warmup_epochs, num_last_epochs=num_last_epochs)
default_hooks = dict(
    checkpoint=dict(interval=val_interval),
    mode_switch=dict(_base_.mode_switch, num_last_epochs=num_last_epochs),
    # decay * (1 - exp(-beta * step / steps of the training))
    ema=dict(_base_.ema, momentum=1e-4, beta=15),
)
