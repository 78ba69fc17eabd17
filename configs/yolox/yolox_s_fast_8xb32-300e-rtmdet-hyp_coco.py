_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/adamw_300e.py',
]

train_batch_size_per_gpu = 32
train_dataloader = dict(batch_size=train_batch_size_per_gpu)
model = dict(data_preprocessor=dict(batch_augments=[dict(_base_.resize, interval=1)]))
