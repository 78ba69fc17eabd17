# What all YOLOX-Pose configs share: the model's part beside the detector's, and pipelines; sizes in those are
# the data set's `img_scale`.
custom_imports = dict(imports=['mmyolox.projects.yolox_pose'])

scaling_ratio_range = (0.75, 1.0)  # people are not made smaller than that
keep_empty = False  # whether training samples that end up without any object stay, as background

pre_transform = [dict(type='LoadImage'), dict(type='LoadPoseAnnotations', ignore_crowd=True)]
post_transform = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=keep_empty),
    dict(type='PackPoseInputs'),
]
affine = dict(type='RandomAffine', scaling_ratio_range=scaling_ratio_range)
mixup = dict(type='YOLOXMixUp', pre_transform=pre_transform, ratio_range=(0.8, 1.6))
mosaic = dict(type='Mosaic', pre_transform=pre_transform)
half_mosaic = dict(type='Mosaic', pre_transform=pre_transform, prob=0.5)

# Of s to l; of tiny, and of nano, where a sample is a mosaic only half of the time.
train_pipeline = [*pre_transform, mosaic, affine, mixup, *post_transform]
train_pipeline_tiny = [*pre_transform, mosaic, affine, *post_transform]
train_pipeline_nano = [*pre_transform, half_mosaic, affine, *post_transform]

# Of the last epochs, in which nothing is mixed: YOLOXModeSwitchHook takes it by this name.
train_pipeline_stage2 = [*pre_transform, dict(type='Letterbox'), *post_transform]

test_pipeline = [
    dict(type='LoadImage', tolerant=True),
    dict(type='LoadPoseAnnotations'),
    dict(type='Letterbox'),
    dict(type='PackPoseInputs'),
]

# Test-time augmentation: three sizes, each also mirrored.
tta_pipeline = [
    dict(type='LoadImage', tolerant=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Letterbox', ratio=ratio) for ratio in (1.0, 0.75, 1.25)],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='PackPoseInputs')],
        ],
    ),
]
tta_model = dict(type='YOLOXTTAModel', tta_cfg=dict(max_per_img=300, nms=dict(iou_threshold=0.65)))

pose_head = dict(
    type='YOLOXPoseHead',
    head_module=dict(type='YOLOXPoseHeadModule'),
    loss_pose=dict(type='OksLoss', form='diagonal', loss_weight=30.0),
)
pose_model = dict(
    bbox_head=pose_head,
    train_cfg=dict(assigner=dict(type='PoseSimOTAAssigner', oks_weight=3.0)),
    test_cfg=dict(score_thr=0.01),
)
pose_hooks = dict(checkpoint=dict(save_best='coco/keypoints_mAP'))
