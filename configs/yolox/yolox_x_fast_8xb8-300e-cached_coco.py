_base_ = [
    '../_base_/models/yolox_x.py',
    '../_base_/datasets/coco_cached.py',
    '../_base_/schedules/sgd_300e.py',
]

resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.75, 1.25), interval=10)
model = dict(data_preprocessor=dict(batch_augments=[*_base_.device_augments, resize]))
default_hooks = dict(mode_switch=dict(new_train_pipeline=_base_.cached_pipeline_stage2))
