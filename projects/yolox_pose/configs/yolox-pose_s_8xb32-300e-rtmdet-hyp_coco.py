# Starts from the detector's weights, as published: --load-from yolox_s_fast_8xb32-300e-rtmdet-hyp_coco
_base_ = [
    '../../../configs/_base_/models/yolox_s.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/adamw_300e.py',
]

multi_scale = dict(_base_.resize, type='PoseBatchSyncRandomResize', interval=1)
model = dict(_base_.pose_model, data_preprocessor=dict(batch_augments=[multi_scale]))
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
