# `make demo`: YOLOX-nano from random weights on the generated shapes, in three minutes of two CPU cores.
_base_ = [
    '../_base_/models/yolox_nano.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_50e.py',
]

data_root = 'demo/data/'
img_scale = (192, 192)
train_batch_size_per_gpu = 16
val_batch_size_per_gpu = 20
max_epochs = 40
val_interval = 10

model = dict(
    data_preprocessor=dict(batch_augments=[]),
    bbox_head=dict(head_module=dict(num_classes=_base_.num_classes)),
)
default_hooks = dict(
    mode_switch=dict(new_train_pipeline=_base_.train_pipeline_stage2),
    logger=dict(interval=25),
    checkpoint=dict(max_keep_ckpts=1),
)
