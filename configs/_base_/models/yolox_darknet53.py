_base_ = './yolox_s.py'

# The YOLOv3-SPP backbone and FPN under the YOLOX head.
act_cfg = dict(type='LeakyReLU', negative_slope=0.1, inplace=True)
model = dict(
    backbone=dict(_delete_=True, type='YOLOXDarknet53'),
    neck=dict(_delete_=True, type='YOLOXFPN'),
    bbox_head=dict(head_module=dict(widen_factor=1.0, act_cfg=act_cfg)),
)
