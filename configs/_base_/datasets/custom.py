# Your own images, annotated in COCO's format:
#
#   <data_root>/annotations/train.json
#   <data_root>/annotations/val.json
#   <data_root>/images/...
#
# `--cfg-options data_root=path/to/data` is all there is to set. The classes are read from train.json.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

data_root = 'data/custom/'
train_ann_file = 'annotations/train.json'
val_ann_file = 'annotations/val.json'
img_prefix = 'images/'
train_img_prefix = img_prefix
val_img_prefix = img_prefix
classes = None  # those of train_ann_file, in its order
num_classes = None  # their number

train_num_workers = 2
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

metainfo = dict(classes=classes)
train_dataloader = dict(
    num_workers=train_num_workers,
    persistent_workers=train_num_workers > 0,
    dataset=dict(
        metainfo=metainfo,
        data_root=data_root,
        ann_file=train_ann_file,
        data_prefix=dict(img=train_img_prefix),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=val_num_workers,
    persistent_workers=val_num_workers > 0,
    dataset=dict(
        metainfo=metainfo,
        data_root=data_root,
        ann_file=val_ann_file,
        data_prefix=dict(img=val_img_prefix),
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_path = val_ann_file if val_ann_file.startswith(('/', 's3://', 'http')) else f'{data_root}/{val_ann_file}'
val_evaluator = dict(ann_file=val_path)
test_evaluator = val_evaluator
