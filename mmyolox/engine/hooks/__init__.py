"""Hooks for MMEngine's Runner."""

from .checkpoint_check import CheckpointCheckHook
from .invalid_loss import InvalidLossHook
from .mode_switch import YOLOXModeSwitchHook

__all__ = ['CheckpointCheckHook', 'InvalidLossHook', 'YOLOXModeSwitchHook']
