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

# MindYOLO has a rate of 0.01 and a weight decay of 5e-4, multiplies the loss of each of 8 devices by 8, and
# takes the mean of their gradients. For SGD that is eight times the rate and an eighth of the decay.
base_lr = 8 * 0.01  # for a total batch of 64
optim_wrapper = dict(optimizer=dict(lr=base_lr, weight_decay=5e-4 / 8))
