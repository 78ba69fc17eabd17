"""What happens around the training steps."""

# Registers the file backend `atomic_local` of our configs, also for a Runner that no tool of ours built.
from mmyolox.utils.files import AtomicLocalBackend

from .ema import YOLOXEMA
from .hooks import (
    AsyncRuntimeInfoHook,
    CheckpointCheckHook,
    DataTimeHook,
    InvalidLossHook,
    StartUpTimeHook,
    YOLOXModeSwitchHook,
)
from .optimizer import AutocastOptimWrapper, YOLOXOptimWrapperConstructor
from .schedules import YOLOXLR

__all__ = [
    'YOLOXEMA',
    'YOLOXLR',
    'AsyncRuntimeInfoHook',
    'AtomicLocalBackend',
    'AutocastOptimWrapper',
    'CheckpointCheckHook',
    'DataTimeHook',
    'InvalidLossHook',
    'StartUpTimeHook',
    'YOLOXModeSwitchHook',
    'YOLOXOptimWrapperConstructor',
]
