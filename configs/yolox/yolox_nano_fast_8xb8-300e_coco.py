_base_ = [
    '../_base_/models/yolox_nano.py',
    '../_base_/datasets/coco_416.py',
    '../_base_/schedules/sgd_300e.py',
]

default_hooks = dict(mode_switch=dict(new_train_pipeline=_base_.train_pipeline_stage2))

# Megvii's nano sees a mosaic only half of the time.
train_pipeline = [
    *_base_.pre_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform, prob=0.5),
    *_base_.train_pipeline[len(_base_.pre_transform) + 1 :],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
