# Fine-tunes YOLOX-tiny on your own data: see ../_base_/datasets/custom.py for what to set.
_base_ = [
    '../_base_/models/yolox_tiny.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_50e.py',
]

model = dict(
    data_preprocessor=dict(batch_augments=[dict(_base_.resize, ratio_range=(0.75, 1.25))]),
    bbox_head=dict(head_module=dict(num_classes=_base_.num_classes)),
)

img_scale = (416, 416)
train_dataloader = dict(dataset=dict(img_scale=img_scale))
val_dataloader = dict(dataset=dict(img_scale=img_scale))
test_dataloader = val_dataloader
param_scheduler = dict(num_last_epochs=0)  # the rate falls until the end
