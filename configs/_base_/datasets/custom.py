# Your own images, as they lie in a folder: `--cfg-options data_root=path/to/data` is all there is to set.
# It holds COCO's format, YOLO's or Pascal VOC's; what is recognised, `mmyolox browse` shows.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

data_root = 'data/custom/'
# Found in data_root, unless they are given.
data_format = None  # coco, yolo or voc, where data_root could be read as several
train_ann_file = val_ann_file = test_ann_file = None
img_prefix = None
train_img_prefix = val_img_prefix = test_img_prefix = img_prefix
classes = None
num_classes = None  # their number
# Without a validation split one image of `fold_count` is held out.
fold_count = 5
fold_index = 0
fold_seed = 0
dataset_types = dict(coco='YOLOXCocoDataset', yolo='YOLOXYoloDataset', voc='YOLOXVOCDataset')
# What was found: the data sets' arguments, and the COCO file that is evaluated by, if there is one.
train_data = val_data = test_data = None
val_path = test_path = None
data_layout = None

train_num_workers = 2
val_num_workers = 1

# Milder than from scratch: scales vary less, no mixup, and nothing is turned, which makes boxes too large.
# Mosaics are moved about their centres and fill the picture. Images without objects train as background.
post_transform = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=True),
    dict(type='PackDetInputs'),
]
train_pipeline = [
    *_base_.pre_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(
        type='RandomAffine',
        scaling_ratio_range=(0.5, 1.5),
        max_rotate_degree=0.0,
        max_shear_degree=0.0,
        anchor=(0.5, 0.5),
    ),
    *post_transform,
]
train_pipeline_stage2 = [*_base_.pre_transform, dict(type='Letterbox'), *post_transform]

common = dict(data_root=data_root, metainfo=dict(classes=classes), img_scale=_base_.img_scale)
train_dataset = dict(common, pipeline=train_pipeline, **(train_data or {}))
val_dataset = dict(common, pipeline=_base_.test_pipeline, test_mode=True, **(val_data or {}))
test_dataset = dict(common, pipeline=_base_.test_pipeline, test_mode=True, **(test_data or {}))
train_dataloader = dict(
    num_workers=train_num_workers,
    persistent_workers=train_num_workers > 0,
    dataset=dict(train_dataset, _delete_=True),
)
val_dataloader = dict(
    num_workers=val_num_workers,
    persistent_workers=val_num_workers > 0,
    dataset=dict(val_dataset, _delete_=True),
)
test_dataloader = dict(val_dataloader, dataset=dict(test_dataset, _delete_=True))

val_evaluator = dict(ann_file=val_path)
test_evaluator = dict(ann_file=test_path)
