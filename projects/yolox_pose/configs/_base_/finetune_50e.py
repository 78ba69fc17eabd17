# Fine-tuning on one device, with what poses need of the runtime.
_base_ = '../../../../configs/_base_/schedules/finetune_50e.py'

default_hooks = dict(checkpoint=dict(save_best='coco/keypoints_mAP'))
visualizer = dict(type='YOLOXPoseVisualizer')
