_base_ = [
    '../_base_/models/yolox_tiny.py',
    '../_base_/datasets/coco_416_cached.py',
    '../_base_/schedules/sgd_300e.py',
]

resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(10 / 13, 20 / 13), interval=10)
model = dict(data_preprocessor=dict(batch_augments=[*_base_.device_augments, resize]))
default_hooks = dict(mode_switch=dict(new_train_pipeline=_base_.cached_pipeline_stage2))
