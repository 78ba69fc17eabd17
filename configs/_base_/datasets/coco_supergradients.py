# COCO 2017 as SuperGradients 3.7 reads it for its recipe coco2017_yolox (dataset_params/
# coco_detection_dataset_params.yaml): 640 x 640 for all sizes of model, Megvii's augmentation, but with an
# affine about the centre of the mosaic, 16 images a device, none without annotations.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

train_batch_size_per_gpu = 16

# A sample whose boxes have all become too small (`wh_thr: 2`) stays, as background.
post_transform = [
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(2, 2), keep_empty=True),
    dict(type='PackDetInputs'),
]
train_pipeline = [
    *_base_.pre_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2), anchor=(0.5, 0.5)),
    dict(type='YOLOXMixUp', pre_transform=_base_.pre_transform, ratio_range=(0.5, 1.5)),
    *post_transform,
]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *post_transform]

train_dataloader = dict(
    batch_size=train_batch_size_per_gpu,
    drop_last=True,
    dataset=dict(pipeline=train_pipeline, filter_cfg=dict(filter_empty_gt=True)),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
