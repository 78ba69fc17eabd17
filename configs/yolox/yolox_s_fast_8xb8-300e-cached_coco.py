_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/coco_cached.py',
    '../_base_/schedules/sgd_300e.py',
]

model = dict(data_preprocessor=dict(batch_augments=[*_base_.device_augments, _base_.resize]))
