# COCO 2017 at 416 x 416 with a cached mosaic.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

img_scale = (416, 416)

train_pipeline = [
    *_base_.cached_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5)),
    *_base_.pack_transform,
]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *_base_.pack_transform]

train_dataloader = dict(dataset=dict(img_scale=img_scale, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(img_scale=img_scale, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
