# Fine-tunes YOLOX-s on Pascal VOC.
_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/finetune_50e.py',
]

model = dict(bbox_head=dict(head_module=dict(num_classes=20)))
