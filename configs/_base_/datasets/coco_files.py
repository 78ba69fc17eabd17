# The loaders and the metric of all data sets, with COCO 2017's files; the pipelines come with the files that
# build on it.
data_root = 'data/coco/'
train_ann_file = 'annotations/instances_train2017.json'
train_img_prefix = 'train2017/'
val_ann_file = 'annotations/instances_val2017.json'
val_img_prefix = 'val2017/'

img_scale = (640, 640)  # (width, height), multiples of the model's largest stride
train_batch_size_per_gpu = 8
train_num_workers = 8
val_batch_size_per_gpu = 8
val_num_workers = 4
oversample_thr = 0  # images with a class that is in a smaller share of all images are drawn more often
chunk_size = 0  # images in a row that are drawn together, to be read together: 64 for shards
pass_epochs = 1  # with chunk_size: epochs in which every image comes once
seeded = dict(type='SeededSampler', shuffle=True)
balanced = dict(type='BalancedSampler', oversample_thr=oversample_thr)
chunked = dict(type='ChunkedSampler', chunk_size=chunk_size, pass_epochs=pass_epochs)

train_dataloader = dict(
    batch_size=train_batch_size_per_gpu,
    num_workers=train_num_workers,
    persistent_workers=train_num_workers > 0,
    pin_memory=True,
    collate_fn=dict(type='yolox_collate'),
    sampler=balanced if oversample_thr else chunked if chunk_size else seeded,
    dataset=dict(
        type='YOLOXCocoDataset',
        data_root=data_root,
        ann_file=train_ann_file,
        data_prefix=dict(img=train_img_prefix),
        img_scale=img_scale,
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
        data_root=data_root,
        ann_file=val_ann_file,
        data_prefix=dict(img=val_img_prefix),
        img_scale=img_scale,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Joined as the data set does it. In ./custom.py there may be no such file.
is_absolute = (val_ann_file or '').startswith(('/', 's3://', 'http'))
val_path = val_ann_file if is_absolute else f'{data_root}/{val_ann_file}'
val_evaluator = dict(
    type='YOLOXCocoMetric',
    ann_file=val_path,
    metric='bbox',
    proposal_nums=(100, 1, 10),
)
test_evaluator = val_evaluator
