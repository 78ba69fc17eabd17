# COCO 2017 at 640 x 640 with cached mosaic and mixup.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

train_pipeline = [
    *_base_.cached_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2)),
    dict(type='YOLOXMixUp', pre_transform=_base_.pre_transform, ratio_range=(0.8, 1.6)),
    *_base_.pack_transform,
]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *_base_.pack_transform]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
