"""What happens around the training steps."""

from .ema import YOLOXEMA, SharedStatisticsHook
from .hooks.accumulation import AccumulationHook, UpdateEMAHook
from .hooks.checkpoint_check import AtomicLocalBackend, CheckpointCheckHook
from .hooks.checkpoint_saving import ResumableCheckpointHook
from .hooks.folded_norms import UnfoldNormsHook
from .hooks.losses import AsyncRuntimeInfoHook, InvalidLossHook
from .hooks.mode_switch import YOLOXModeSwitchHook
from .hooks.patience import PatienceHook
from .hooks.pictures import CurvesHook, DetectionPicturesHook, ValidationPicturesHook
from .hooks.report import ReportHook
from .hooks.timing import DataTimeHook, StartUpTimeHook
from .hooks.trackers import TrackersHook
from .hooks.validation_loss import ValidationLossHook
from .optimizer import AutocastOptimWrapper, YOLOXOptimWrapperConstructor
from .schedules import YOLOXLR

__all__ = [
    'YOLOXEMA',
    'YOLOXLR',
    'AccumulationHook',
    'AsyncRuntimeInfoHook',
    'AtomicLocalBackend',
    'AutocastOptimWrapper',
    'CheckpointCheckHook',
    'CurvesHook',
    'DataTimeHook',
    'DetectionPicturesHook',
    'InvalidLossHook',
    'PatienceHook',
    'ReportHook',
    'ResumableCheckpointHook',
    'SharedStatisticsHook',
    'StartUpTimeHook',
    'TrackersHook',
    'UnfoldNormsHook',
    'UpdateEMAHook',
    'ValidationLossHook',
    'ValidationPicturesHook',
    'YOLOXModeSwitchHook',
    'YOLOXOptimWrapperConstructor',
]
