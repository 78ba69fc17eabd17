# COCO 2017's people, and YOLOX-Pose as published for them.
_base_ = ['../../../../configs/_base_/datasets/coco_files.py', './pose.py']

train_batch_size_per_gpu = 32
train_ann_file = 'annotations/person_keypoints_train2017.json'
val_ann_file = 'annotations/person_keypoints_val2017.json'

# As in the annotation files, and what these leave open: pairs that a mirror swaps, and COCO's sigmas.
skeleton = dict(
    keypoints=[
        *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder'),
        *('left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip'),
        *('left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
    ],
    flip_pairs=[
        [f'left_{joint}', f'right_{joint}']
        for joint in ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    ],
    links=[
        *(['left_ankle', 'left_knee'], ['left_knee', 'left_hip']),
        *(['right_ankle', 'right_knee'], ['right_knee', 'right_hip']),
        *(['left_hip', 'right_hip'], ['left_shoulder', 'left_hip'], ['right_shoulder', 'right_hip']),
        *(['left_shoulder', 'right_shoulder'], ['left_shoulder', 'left_elbow']),
        *(['right_shoulder', 'right_elbow'], ['left_elbow', 'left_wrist'], ['right_elbow', 'right_wrist']),
        *(['left_eye', 'right_eye'], ['nose', 'left_eye'], ['nose', 'right_eye'], ['left_eye', 'left_ear']),
        *(['right_eye', 'right_ear'], ['left_ear', 'left_shoulder'], ['right_ear', 'right_shoulder']),
    ],
    sigmas=[
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ],
)
metainfo = dict(classes=('person',), skeleton=skeleton)

train_dataloader = dict(
    batch_size=train_batch_size_per_gpu,
    dataset=dict(
        type='YOLOXPoseCocoDataset',
        metainfo=metainfo,
        ann_file=train_ann_file,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='YOLOXPoseCocoDataset',
        metainfo=metainfo,
        ann_file=val_ann_file,
        pipeline=_base_.test_pipeline,
    )
)
test_dataloader = val_dataloader

is_absolute = val_ann_file.startswith(('/', 's3://', 'http'))
val_path = val_ann_file if is_absolute else f'{_base_.data_root}/{val_ann_file}'
val_evaluator = dict(type='YOLOXPoseCocoMetric', ann_file=val_path)
test_evaluator = val_evaluator

pose_head = dict(skeleton=skeleton, head_module=dict(num_classes=1))
pose_model = dict(bbox_head=pose_head)
