# The keypoint loss and the matching by COCO's own similarity, as the evaluation measures it: 2 sigma and the
# area of the object, instead of sigma and the diagonal of its box.
# Starts from the detector's weights, as published: --load-from yolox_s_fast_8xb32-300e-rtmdet-hyp_coco
_base_ = [
    '../../../configs/_base_/models/yolox_s.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/adamw_300e.py',
]

pose_head = dict(_base_.pose_head, loss_pose=dict(type='OksLoss', form='coco', loss_weight=30.0))
multi_scale = dict(_base_.resize, type='PoseBatchSyncRandomResize', interval=1)
resizing = dict(batch_augments=[multi_scale])
model = dict(_base_.pose_model, bbox_head=pose_head, data_preprocessor=resizing)
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
