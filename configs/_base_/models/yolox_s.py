# YOLOX-s. Raw BGR grey levels go in: no mean, no std.
freeze = None  # 'backbone', or 'neck' for backbone and neck: what does not train
class_weights = None  # [0.5, 2] or ['cat:0.5', 'dog:2']: of each class in the classification loss
resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.75, 1.25), interval=10)
model = dict(
    type='YOLODetector',
    freeze=freeze,
    data_preprocessor=dict(type='YOLOXDataPreprocessor', batch_augments=[resize]),
    backbone=dict(type='YOLOXCSPDarknet', deepen_factor=0.33, widen_factor=0.5),
    neck=dict(type='YOLOXPAFPN', deepen_factor=0.33, widen_factor=0.5),
    bbox_head=dict(
        type='YOLOXHead',
        class_weights=class_weights,
        head_module=dict(type='YOLOXHeadModule', num_classes=80, widen_factor=0.5),
    ),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(
        score_thr=0.001,
        multi_label=True,
        nms_pre=30000,
        nms=dict(iou_threshold=0.65),
        max_per_img=300,
    ),
)
