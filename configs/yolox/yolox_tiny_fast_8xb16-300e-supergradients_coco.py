_base_ = [
    '../_base_/models/yolox_tiny.py',
    '../_base_/datasets/coco_supergradients.py',
    '../_base_/schedules/supergradients_300e.py',
]

# One size of images throughout, and the NMS threshold of the published AP.
model = dict(data_preprocessor=dict(batch_augments=[]), test_cfg=dict(nms=dict(iou_threshold=0.6)))
