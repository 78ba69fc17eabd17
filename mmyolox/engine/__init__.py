"""What happens around the training steps."""

# Registers the file backend `atomic_local` of our configs, also for a Runner that no tool of ours built.
from mmyolox.utils.atomic import AtomicLocalBackend

from .hooks import CheckpointCheckHook, InvalidLossHook, YOLOXModeSwitchHook
from .schedules import YOLOXLR

__all__ = ['YOLOXLR', 'AtomicLocalBackend', 'CheckpointCheckHook', 'InvalidLossHook', 'YOLOXModeSwitchHook']
