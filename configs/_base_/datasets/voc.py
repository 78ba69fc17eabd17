# Pascal VOC 2007 + 2012 at 640 x 640, tested on VOC 2007.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

data_root = 'data/VOCdevkit/'
train_ann_file = 'ImageSets/Main/trainval.txt'  # of each year
train_img_prefix = 'JPEGImages'
val_ann_file = 'ImageSets/Main/test.txt'
val_img_prefix = 'JPEGImages'
img_scale = (640, 640)  # (width, height), multiples of the model's largest stride

train_sets = [
    dict(
        type='YOLOXVOCDataset',
        data_root=data_root,
        ann_file=f'VOC{year}/{train_ann_file}',
        data_prefix=dict(sub_data_root=f'VOC{year}/'),
        img_subdir=train_img_prefix,
        img_scale=img_scale,
        pipeline=_base_.train_pipeline,
    )
    for year in (2007, 2012)
]
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=train_sets, ignore_keys=['dataset_type'])
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='YOLOXVOCDataset',
        data_root=data_root,
        ann_file=f'VOC2007/{val_ann_file}',
        data_prefix=dict(sub_data_root='VOC2007/'),
        img_subdir=val_img_prefix,
        img_scale=img_scale,
        test_mode=True,
        pipeline=_base_.test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmdet.VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = val_evaluator
