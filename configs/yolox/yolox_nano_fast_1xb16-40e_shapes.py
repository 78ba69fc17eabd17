# `make demo`: YOLOX-nano from random weights on the generated shapes, in three minutes of two CPU cores.
_base_ = './yolox_nano_fast_1xb8-50e_custom.py'

data_root = 'demo/data/'
img_scale = (192, 192)
train_batch_size_per_gpu = 16
val_batch_size_per_gpu = 20
max_epochs = 40
num_last_epochs = 10
base_lr = 2e-3
val_interval = 10

model = dict(data_preprocessor=dict(batch_augments=[]))
default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(interval=val_interval, max_keep_ckpts=1),
    ema=dict(momentum=2e-3),
)
