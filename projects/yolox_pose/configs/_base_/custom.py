# Your own images, annotated in COCO's keypoint format:
#
#   <data_root>/annotations/train.json
#   <data_root>/annotations/val.json
#   <data_root>/images/...
#
# `--cfg-options data_root=path/to/data` is all there is to set: the keypoints too come from train.json.
# Its categories may have `flip_pairs` (pairs of names) and `sigmas`; what is absent is filled in, and told.
# Or a config says it: `skeleton = dict(keypoints=[...], flip_pairs=[...], links=[...], sigmas=[...])`
_base_ = ['../../../../configs/_base_/datasets/coco_files.py', './pose.py']

data_root = 'data/custom/'
train_ann_file = 'annotations/train.json'
train_img_prefix = 'images/'
val_ann_file = 'annotations/val.json'
val_img_prefix = 'images/'
classes = None  # those of train_ann_file, in its order
num_classes = None  # their number
skeleton = None  # that of train_ann_file
data_variables = dict(skeleton='mmyolox.projects.yolox_pose.skeleton.read_skeleton')

train_num_workers = 2
val_num_workers = 1
keep_empty = True  # images without objects train as background

metainfo = dict(classes=classes, skeleton=skeleton)
train_dataloader = dict(
    dataset=dict(type='YOLOXPoseCocoDataset', metainfo=metainfo, pipeline=_base_.train_pipeline_tiny)
)
val_dataloader = dict(
    dataset=dict(type='YOLOXPoseCocoDataset', metainfo=metainfo, pipeline=_base_.test_pipeline)
)
test_dataloader = val_dataloader

val_evaluator = dict(type='YOLOXPoseCocoMetric')
test_evaluator = val_evaluator

pose_head = dict(skeleton=skeleton, head_module=dict(num_classes=num_classes))
multi_scale = dict(type='PoseBatchSyncRandomResize', ratio_range=(0.75, 1.25), interval=10)
pose_model = dict(bbox_head=pose_head, data_preprocessor=dict(batch_augments=[multi_scale]))
