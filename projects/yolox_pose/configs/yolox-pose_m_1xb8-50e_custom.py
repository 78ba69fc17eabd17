# Fine-tunes YOLOX-Pose-m on your own data: see _base_/custom.py for what to set. Start from the
# weights of a detector or of another YOLOX-Pose-m: --load-from yolox_m; what fits is taken.
_base_ = [
    '../../../configs/_base_/models/yolox_m.py',
    './_base_/custom.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

model = _base_.pose_model
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
