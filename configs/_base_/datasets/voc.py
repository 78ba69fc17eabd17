# Pascal VOC 2007 + 2012 at 640 x 640, tested on VOC 2007.
_base_ = '../pipelines/yolox.py'

data_root = 'data/VOCdevkit/'
img_scale = (640, 640)  # (width, height), multiples of 32
train_batch_size_per_gpu = 8
train_num_workers = 8
val_batch_size_per_gpu = 8
val_num_workers = 4

train_sets = [
    dict(
        type='YOLOXVOCDataset',
        data_root=data_root,
        ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root=f'VOC{year}/'),
        img_scale=img_scale,
        pipeline=_base_.train_pipeline,
    )
    for year in (2007, 2012)
]
train_dataloader = dict(
    batch_size=train_batch_size_per_gpu,
    num_workers=train_num_workers,
    persistent_workers=train_num_workers > 0,
    pin_memory=True,
    collate_fn=dict(type='yolox_collate'),
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(type='ConcatDataset', datasets=train_sets, ignore_keys=['dataset_type']),
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
        type='YOLOXVOCDataset',
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        img_scale=img_scale,
        test_mode=True,
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmdet.VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = val_evaluator
