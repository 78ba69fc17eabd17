# YOLOX s to x: mosaic, affine with a wide range of scales, mixup. Sizes are the data set's `img_scale`.
max_shrink = 1  # 2, 4 or 8: decode JPEG files smaller where they are shown smaller; values differ a little
pre_transform = [dict(type='LoadImage', max_shrink=max_shrink), dict(type='LoadAnnotations')]

pack_transform = [
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='PackDetInputs'),
]
post_transform = [dict(type='RandomFlip', prob=0.5), dict(type='YOLOXHSVRandomAug'), *pack_transform]

train_pipeline = [
    *pre_transform,
    dict(type='Mosaic', pre_transform=pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2)),
    dict(type='YOLOXMixUp', pre_transform=pre_transform, ratio_range=(0.8, 1.6)),
    *post_transform,
]

# Of the last epochs, in which nothing is mixed: YOLOXModeSwitchHook takes it by this name.
train_pipeline_stage2 = [*pre_transform, dict(type='Letterbox'), *post_transform]

# The cached configs read and decode one image a sample, not five: partners of mosaic and mixup are samples
# that the worker loaded before. Colours and flips are drawn on the device: nothing else is left here.
cached_transform = [*pre_transform, dict(type='RecentSamples', max_images=40, max_megabytes=256)]
device_augments = [dict(type='YOLOXBatchHSV'), dict(type='YOLOXBatchFlip', prob=0.5)]

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
