# COCO 2017 at 640 x 640 with the augmentation of the larger models.
_base_ = ['./coco_files.py', '../pipelines/yolox.py']

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
