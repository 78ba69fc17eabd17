# Your own images with keypoints, as they lie in a folder: `--cfg-options data_root=path/to/data` is all there
# is to set, since the keypoints too are read from the annotations. It holds COCO's format or YOLO's.
# COCO categories may have `flip_pairs` (pairs of names) and `sigmas`; what is absent is filled in, and told.
# Or a config says it: `skeleton = dict(keypoints=[...], flip_pairs=[...], links=[...], sigmas=[...])`
_base_ = ['../../../../configs/_base_/datasets/coco_files.py', './pose.py']

data_root = 'data/custom/'
# Found in data_root, unless they are given.
data_format = None  # coco or yolo, where data_root could be read as several
train_ann_file = val_ann_file = test_ann_file = None
train_img_prefix = val_img_prefix = test_img_prefix = None
classes = None
num_classes = None  # their number
skeleton = None
data_variables = dict(skeleton='mmyolox.projects.yolox_pose.skeleton.read_skeleton')
# Without a validation split one image of `fold_count` is held out.
fold_count = 5
fold_index = 0
fold_seed = 0
dataset_types = dict(coco='YOLOXPoseCocoDataset', yolo='YOLOXPoseYoloDataset')
# What was found: the data sets' arguments, and the COCO file that is evaluated by, if there is one.
train_data = val_data = test_data = None
val_path = test_path = None
data_layout = None

train_num_workers = 2
val_num_workers = 1
keep_empty = True  # images without objects train as background

metainfo = dict(classes=classes, skeleton=skeleton)
common = dict(data_root=data_root, metainfo=metainfo, img_scale=_base_.img_scale)
train_dataset = dict(common, pipeline=_base_.train_pipeline_tiny, **(train_data or {}))
val_dataset = dict(common, pipeline=_base_.test_pipeline, test_mode=True, **(val_data or {}))
test_dataset = dict(common, pipeline=_base_.test_pipeline, test_mode=True, **(test_data or {}))
train_dataloader = dict(dataset=dict(train_dataset, _delete_=True))
val_dataloader = dict(dataset=dict(val_dataset, _delete_=True))
test_dataloader = dict(dataset=dict(test_dataset, _delete_=True))

val_evaluator = dict(type='YOLOXPoseCocoMetric', ann_file=val_path)
test_evaluator = dict(type='YOLOXPoseCocoMetric', ann_file=test_path)

pose_head = dict(skeleton=skeleton, head_module=dict(num_classes=num_classes))
multi_scale = dict(type='PoseBatchSyncRandomResize', ratio_range=(0.75, 1.25), interval=10)
pose_model = dict(bbox_head=pose_head, data_preprocessor=dict(batch_augments=[multi_scale]))
