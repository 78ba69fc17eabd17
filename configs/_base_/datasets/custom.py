# Your own images, annotated in COCO's format:
#
#   <data_root>/annotations/train.json
#   <data_root>/annotations/val.json
#   <data_root>/images/...
#
# `--cfg-options data_root=path/to/data` is all there is to set. The classes are read from train.json.
_base_ = '../pipelines/yolox.py'

data_root = 'data/custom/'
train_ann_file = 'annotations/train.json'
val_ann_file = 'annotations/val.json'
img_prefix = 'images/'
classes = None  # those of train_ann_file, in its order
num_classes = None  # their number

img_scale = (640, 640)  # (width, height), multiples of 32
train_batch_size_per_gpu = 8
train_num_workers = 2
val_batch_size_per_gpu = 8
val_num_workers = 1

# Milder than from scratch: scales vary less, no mixup; images without objects train as background.
post_transform = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=True),
    dict(type='PackDetInputs'),
]
train_pipeline = [
    *_base_.pre_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5)),
    *post_transform,
]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *post_transform]

train_dataloader = dict(
    batch_size=train_batch_size_per_gpu,
    num_workers=train_num_workers,
    persistent_workers=train_num_workers > 0,
    pin_memory=True,
    collate_fn=dict(type='yolox_collate'),
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        type='YOLOXCocoDataset',
        metainfo=dict(classes=classes),
        data_root=data_root,
        ann_file=train_ann_file,
        data_prefix=dict(img=img_prefix),
        img_scale=img_scale,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=val_batch_size_per_gpu,
    num_workers=val_num_workers,
    persistent_workers=val_num_workers > 0,
    pin_memory=True,
    drop_last=False,
    collate_fn=dict(type='yolox_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='YOLOXCocoDataset',
        metainfo=dict(classes=classes),
        data_root=data_root,
        ann_file=val_ann_file,
        data_prefix=dict(img=img_prefix),
        img_scale=img_scale,
        test_mode=True,
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='YOLOXCocoMetric',
    ann_file=f'{data_root}/{val_ann_file}',
    metric='bbox',
    proposal_nums=(100, 1, 10),
)
test_evaluator = val_evaluator
