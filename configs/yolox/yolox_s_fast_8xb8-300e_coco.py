_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/sgd_300e.py',
]
