# YOLOX s to x: mosaic, affine with a wide range of scales, mixup. Sizes are the data set's `img_scale`.
pre_transform = [dict(type='LoadImage'), dict(type='LoadAnnotations')]

post_transform = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='PackDetInputs'),
]

train_pipeline = [
    *pre_transform,
    dict(type='Mosaic', pre_transform=pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2)),
    dict(type='YOLOXMixUp', pre_transform=pre_transform, ratio_range=(0.8, 1.6)),
    *post_transform,
]

# Of the last epochs: nothing is mixed any more.
train_pipeline_stage2 = [*pre_transform, dict(type='Letterbox'), *post_transform]

test_pipeline = [
    dict(type='LoadImage', tolerant=True),
    dict(type='LoadAnnotations'),
    dict(type='Letterbox'),
    dict(type='PackDetInputs'),
]

# Test-time augmentation: three sizes, each also mirrored.
tta_pipeline = [
    dict(type='LoadImage', tolerant=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Letterbox', ratio=1.0),
                dict(type='Letterbox', ratio=0.75),
                dict(type='Letterbox', ratio=1.25),
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='PackDetInputs')],
        ],
    ),
]
tta_model = dict(type='YOLOXTTAModel', tta_cfg=dict(max_per_img=300, nms=dict(iou_threshold=0.65)))
