# Fine-tunes YOLOX-Pose-l on your own data: see _base_/custom.py for what to set. Start from the
# weights of a detector or of another YOLOX-Pose-l: --load-from yolox_l; what fits is taken.
_base_ = [
    '../../../configs/_base_/models/yolox_l.py',
    './_base_/custom.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

model = _base_.pose_model
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
