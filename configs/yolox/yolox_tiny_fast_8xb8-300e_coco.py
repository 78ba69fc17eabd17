_base_ = [
    '../_base_/models/yolox_tiny.py',
    '../_base_/datasets/coco_416.py',
    '../_base_/schedules/sgd_300e.py',
]
