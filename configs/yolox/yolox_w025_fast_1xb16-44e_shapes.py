# `make demo`: a quarter-width YOLOX from random weights on the generated shapes, in four minutes of two CPU
# cores. Nothing is mixed, and the L1 loss is on from the start: a thousand iterations are few.
_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_50e.py',
]

data_root = 'demo/data/'
img_scale = (128, 128)
train_batch_size_per_gpu = 16
max_epochs = 44
num_last_epochs = 4
base_lr = 4e-3
val_interval = 11

model = dict(
    data_preprocessor=dict(batch_augments=[]),
    backbone=dict(widen_factor=0.25),
    neck=dict(widen_factor=0.25),
    bbox_head=dict(use_l1=True, head_module=dict(widen_factor=0.25, num_classes=_base_.num_classes)),
)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline_stage2))
default_hooks = dict(logger=dict(interval=25))
