# `make demo-pose`: a quarter-width YOLOX-Pose from random weights on the generated shapes and their
# keypoints. Nothing is mixed, and the L1 loss is on from the start: two thousand iterations are few.
_base_ = [
    '../../../configs/_base_/models/yolox_s.py',
    './_base_/custom.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

data_root = 'demo-pose/data/'
img_scale = (128, 128)
train_batch_size_per_gpu = 16
max_epochs = 24
num_last_epochs = 3
base_lr = 4e-3
val_interval = 8

small = dict(widen_factor=0.25)
# Sigmas of the loss twice those of the evaluation: keypoints that begin far off get a gradient.
names = ['head', 'left', 'right', 'tail', 'centre']
wide = dict(keypoints=names, flip_pairs=[['left', 'right']], sigmas=[0.134] * 5)
towers = dict(_base_.pose_head.head_module, **small)
head = dict(_base_.pose_head, skeleton=wide, use_l1=True, head_module=towers)
resize = dict(batch_augments=[])
model = dict(_base_.pose_model, backbone=small, neck=small, bbox_head=head, data_preprocessor=resize)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline_stage2))
default_hooks = dict(_base_.pose_hooks, logger=dict(interval=25))
visualizer = dict(type='YOLOXPoseVisualizer')
