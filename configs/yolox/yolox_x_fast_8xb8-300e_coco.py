_base_ = [
    '../_base_/models/yolox_x.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/sgd_300e.py',
]

default_hooks = dict(mode_switch=dict(new_train_pipeline=_base_.train_pipeline_stage2))
