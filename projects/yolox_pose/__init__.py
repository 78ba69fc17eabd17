"""YOLOX-Pose: keypoints of people, and of anything else, on top of the YOLOX detector.

Importing it registers everything, so that a config needs no more than
``custom_imports = dict(imports=['mmyolox.projects.yolox_pose'])``.
"""

from .assigner import PoseSimOTAAssigner
from .batch_augments import PoseBatchFlip, PoseBatchSyncRandomResize
from .dataset import YOLOXPoseCocoDataset
from .head import YOLOXPoseHead
from .head_module import YOLOXPoseHeadModule
from .keypoint_metric import YOLOXPoseCocoMetric
from .oks import OksLoss
from .skeleton import Skeleton
from .transforms import LoadPoseAnnotations, PackPoseInputs
from .visualizer import YOLOXPoseVisualizer
from .xtcocotools import support_mmpose
from .yolo_dataset import YOLOXPoseYoloDataset

__all__ = [
    'LoadPoseAnnotations',
    'OksLoss',
    'PackPoseInputs',
    'PoseBatchFlip',
    'PoseBatchSyncRandomResize',
    'PoseSimOTAAssigner',
    'Skeleton',
    'YOLOXPoseCocoDataset',
    'YOLOXPoseCocoMetric',
    'YOLOXPoseHead',
    'YOLOXPoseHeadModule',
    'YOLOXPoseVisualizer',
    'YOLOXPoseYoloDataset',
]

support_mmpose()  # so that `mmpose.CocoMetric` in a config needs no compiler
