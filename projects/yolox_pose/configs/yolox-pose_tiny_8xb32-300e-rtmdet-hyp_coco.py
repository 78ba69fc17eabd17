# Starts from the detector's weights, as published: --load-from yolox_tiny_fast_8xb32-300e-rtmdet-hyp_coco
_base_ = [
    '../../../configs/_base_/models/yolox_tiny.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/adamw_300e.py',
]

img_scale = (416, 416)
multi_scale = dict(_base_.resize, type='PoseBatchSyncRandomResize', interval=1)
model = dict(_base_.pose_model, data_preprocessor=dict(batch_augments=[multi_scale]))
train_data = dict(img_scale=img_scale, pipeline=_base_.train_pipeline_tiny)
train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=dict(img_scale=img_scale))
test_dataloader = val_dataloader
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
