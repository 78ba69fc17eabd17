# The published 8xb32 recipe, with what poses need of the runtime.
_base_ = '../../../../configs/_base_/schedules/adamw_300e.py'

default_hooks = dict(checkpoint=dict(save_best='coco/keypoints_mAP'))
visualizer = dict(type='YOLOXPoseVisualizer')
