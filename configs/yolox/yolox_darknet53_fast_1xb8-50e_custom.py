# Fine-tunes YOLOX-Darknet53 on your own data: see ../_base_/datasets/custom.py for what to set.
_base_ = [
    '../_base_/models/yolox_darknet53.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_50e.py',
]

model = dict(bbox_head=dict(head_module=dict(num_classes=_base_.num_classes)))
param_scheduler = dict(num_last_epochs=0)  # the rate falls until the end
