"""Networks, assignment, losses and predictions."""

from .assigner import Assignment, PairCosts, SimOTAAssigner
from .batch_augments import YOLOXBatchFlip, YOLOXBatchHSV, YOLOXBatchSyncRandomResize
from .detector import YOLODetector, YOLOXTTAModel
from .head import YOLOXHead
from .losses import MatchedBatch
from .networks.csp_darknet import YOLOXCSPDarknet
from .networks.darknet53 import YOLOXDarknet53
from .networks.head_module import HeadOutputs, YOLOXHeadModule
from .networks.norms import YOLOXBatchNorm
from .networks.pafpn import YOLOXPAFPN
from .networks.yolo_fpn import YOLOXFPN
from .preprocessor import YOLOXDataPreprocessor

__all__ = [
    'YOLOXFPN',
    'YOLOXPAFPN',
    'Assignment',
    'HeadOutputs',
    'MatchedBatch',
    'PairCosts',
    'SimOTAAssigner',
    'YOLODetector',
    'YOLOXBatchFlip',
    'YOLOXBatchHSV',
    'YOLOXBatchNorm',
    'YOLOXBatchSyncRandomResize',
    'YOLOXCSPDarknet',
    'YOLOXDarknet53',
    'YOLOXDataPreprocessor',
    'YOLOXHead',
    'YOLOXHeadModule',
    'YOLOXTTAModel',
]
