_base_ = './yolox_s.py'

# 320 to 640 at the usual 416.
resize = dict(_base_.resize, ratio_range=(10 / 13, 20 / 13))
model = dict(
    data_preprocessor=dict(batch_augments=[resize]),
    backbone=dict(deepen_factor=0.33, widen_factor=0.25, use_depthwise=True),
    neck=dict(deepen_factor=0.33, widen_factor=0.25, use_depthwise=True),
    bbox_head=dict(head_module=dict(widen_factor=0.25, use_depthwise=True)),
)
