# Fine-tunes YOLOX-Pose-nano on your own data: see _base_/custom.py for what to set. Start from the
# weights of a detector or of another YOLOX-Pose-nano: --load-from yolox_nano; what fits is taken.
_base_ = [
    '../../../configs/_base_/models/yolox_nano.py',
    './_base_/custom.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

img_scale = (416, 416)
model = _base_.pose_model
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
