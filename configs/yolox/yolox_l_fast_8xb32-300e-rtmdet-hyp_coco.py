_base_ = [
    '../_base_/models/yolox_l.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/adamw_300e.py',
]

resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.75, 1.25), interval=1)
model = dict(data_preprocessor=dict(batch_augments=[resize]))
train_dataloader = dict(batch_size=32)
default_hooks = dict(mode_switch=dict(new_train_pipeline=_base_.train_pipeline_stage2))
