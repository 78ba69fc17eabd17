"""Networks, assignment, losses and predictions."""

from .assigner import Assignment, PairCosts, SimOTAAssigner
from .batch_augments import YOLOXBatchFlip, YOLOXBatchHSV, YOLOXBatchSyncRandomResize
from .detector import YOLODetector, YOLOXTTAModel
from .head import YOLOXHead
from .networks.csp_darknet import YOLOXCSPDarknet
from .networks.darknet53 import YOLOXDarknet53
from .networks.head_module import YOLOXHeadModule
from .networks.pafpn import YOLOXPAFPN
from .networks.yolo_fpn import YOLOXFPN
from .preprocessor import YOLOXDataPreprocessor

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
