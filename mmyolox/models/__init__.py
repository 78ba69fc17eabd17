"""Networks, assignment, losses and predictions."""

from .assignment import Assignment
from .batch_augments import YOLOXBatchFlip, YOLOXBatchHSV, YOLOXBatchSyncRandomResize
from .csp_darknet import YOLOXCSPDarknet
from .darknet53 import YOLOXDarknet53
from .detector import YOLODetector
from .head import YOLOXHead
from .head_module import YOLOXHeadModule
from .pafpn import YOLOXPAFPN
from .preprocessor import YOLOXDataPreprocessor
from .sim_ota import PairCosts, SimOTAAssigner
from .tta import YOLOXTTAModel
from .yolo_fpn import YOLOXFPN

__all__ = [
    'YOLOXFPN',
    'YOLOXPAFPN',
    'Assignment',
    'PairCosts',
    'SimOTAAssigner',
    'YOLODetector',
    'YOLOXBatchFlip',
    'YOLOXBatchHSV',
    'YOLOXBatchSyncRandomResize',
    'YOLOXCSPDarknet',
    'YOLOXDarknet53',
    'YOLOXDataPreprocessor',
    'YOLOXHead',
    'YOLOXHeadModule',
    'YOLOXTTAModel',
]
