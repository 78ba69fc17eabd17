_base_ = './yolox_s.py'

model = dict(
    backbone=dict(deepen_factor=1.0, widen_factor=1.0),
    neck=dict(deepen_factor=1.0, widen_factor=1.0),
    bbox_head=dict(head_module=dict(widen_factor=1.0)),
)
