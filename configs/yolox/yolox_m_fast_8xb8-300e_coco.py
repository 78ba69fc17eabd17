_base_ = [
    '../_base_/models/yolox_m.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/sgd_300e.py',
]
