_base_ = './yolox_s.py'

model = dict(
    backbone=dict(deepen_factor=0.67, widen_factor=0.75),
    neck=dict(deepen_factor=0.67, widen_factor=0.75),
    bbox_head=dict(head_module=dict(widen_factor=0.75)),
)
