"""What happens around the training steps."""

from .hooks import CheckpointCheckHook, InvalidLossHook, YOLOXModeSwitchHook

__all__ = ['CheckpointCheckHook', 'InvalidLossHook', 'YOLOXModeSwitchHook']
