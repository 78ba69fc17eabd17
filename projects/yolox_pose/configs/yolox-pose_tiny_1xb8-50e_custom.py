# Fine-tunes YOLOX-Pose-tiny on your own data: see _base_/custom.py for what to set. Start from the
# weights of a detector or of another YOLOX-Pose-tiny: --load-from yolox_tiny; what fits is taken.
_base_ = [
    '../../../configs/_base_/models/yolox_tiny.py',
    './_base_/custom.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

img_scale = (416, 416)
model = _base_.pose_model
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
