"""Hooks for MMEngine's Runner."""

from .checkpoint_check import CheckpointCheckHook
from .losses import AsyncRuntimeInfoHook, InvalidLossHook
from .mode_switch import YOLOXModeSwitchHook
from .timing import DataTimeHook, StartUpTimeHook

__all__ = [
    'AsyncRuntimeInfoHook',
    'CheckpointCheckHook',
    'DataTimeHook',
    'InvalidLossHook',
    'StartUpTimeHook',
    'YOLOXModeSwitchHook',
]
