_base_ = [
    '../_base_/models/yolox_nano.py',
    '../_base_/datasets/coco_416.py',
    '../_base_/schedules/sgd_300e.py',
]

train_pipeline = _base_.train_pipeline_nano
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
