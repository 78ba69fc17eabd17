# Evaluated by MMPose's metric, which needs MMPose: `pip install --no-deps mmpose==1.3.2 munkres`.
# Starts from the detector's weights, as published: --load-from yolox_s_fast_8xb32-300e-rtmdet-hyp_coco
_base_ = [
    '../../../configs/_base_/models/yolox_s.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/adamw_300e.py',
]

multi_scale = dict(_base_.resize, type='PoseBatchSyncRandomResize', interval=1)
model = dict(_base_.pose_model, data_preprocessor=dict(batch_augments=[multi_scale]))
val_evaluator = dict(_delete_=True, type='mmpose.CocoMetric', ann_file=_base_.val_path, score_mode='bbox')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
visualizer = dict(type='YOLOXPoseVisualizer')
