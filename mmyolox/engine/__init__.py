"""What happens around the training steps."""

from .hooks import CheckpointCheckHook, InvalidLossHook, YOLOXModeSwitchHook
from .schedules import YOLOXLR

__all__ = ['YOLOXLR', 'CheckpointCheckHook', 'InvalidLossHook', 'YOLOXModeSwitchHook']
