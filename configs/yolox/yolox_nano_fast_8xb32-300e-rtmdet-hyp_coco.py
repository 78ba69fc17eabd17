_base_ = [
    '../_base_/models/yolox_nano.py',
    '../_base_/datasets/coco_416.py',
    '../_base_/schedules/adamw_300e.py',
]

train_pipeline = _base_.train_pipeline_nano
train_batch_size_per_gpu = 32
train_dataloader = dict(batch_size=train_batch_size_per_gpu, dataset=dict(pipeline=train_pipeline))
model = dict(data_preprocessor=dict(batch_augments=[dict(_base_.resize, interval=1)]))
