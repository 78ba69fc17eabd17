# Starts from the detector's weights, as published: --load-from yolox_s_fast_8xb32-300e-rtmdet-hyp_coco.pth
_base_ = [
    '../../../configs/_base_/models/yolox_s.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/adamw_300e.py',
]

model = _base_.pose_model
train_dataloader = dict(batch_size=32)
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
