# COCO 2017 with the augmentation of MindYOLO 0.5's recipe for YOLOX (configs/yolox/hyp.scratch.yaml): an
# affine about the centre of the mosaic, the mixup of two mosaics.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

scene = [
    *_base_.pre_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 1.9), anchor=(0.5, 0.5)),
]
post_transform = [
    dict(type='RandomHSVGains', hue=0.015, saturation=0.7, value=0.4),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(2, 2), keep_empty=True),
    dict(type='PackDetInputs'),
]
train_pipeline = [*scene, dict(type='BetaMixUp', pre_transform=scene, alpha=8.0, beta=8.0), *post_transform]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *post_transform]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline), drop_last=True)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
