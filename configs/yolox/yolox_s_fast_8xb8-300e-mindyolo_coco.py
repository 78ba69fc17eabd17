_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/coco_mindyolo.py',
    '../_base_/schedules/sgd_300e.py',
]

# One size of images throughout, and the narrower centre of MindYOLO's matching.
model = dict(
    data_preprocessor=dict(batch_augments=[]),
    train_cfg=dict(assigner=dict(center_radius=1.5)),
)
