# COCO 2017 at 416 x 416 with the augmentation of the small models: scales vary less, no mixup.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

img_scale = (416, 416)

mosaic = dict(type='Mosaic', pre_transform=_base_.pre_transform)
affine = dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5))
train_pipeline = [*_base_.pre_transform, mosaic, affine, *_base_.post_transform]
# Megvii's nano sees a mosaic only half of the time.
train_pipeline_nano = [*_base_.pre_transform, dict(mosaic, prob=0.5), affine, *_base_.post_transform]

train_dataloader = dict(dataset=dict(img_scale=img_scale, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(img_scale=img_scale, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
