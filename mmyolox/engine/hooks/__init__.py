"""Hooks for MMEngine's Runner."""

from .checkpoint_check import CheckpointCheckHook
from .data_time import DataTimeHook
from .invalid_loss import InvalidLossHook
from .mode_switch import YOLOXModeSwitchHook
from .runtime_info import AsyncRuntimeInfoHook
from .start_up import StartUpTimeHook

__all__ = [
    'AsyncRuntimeInfoHook',
    'CheckpointCheckHook',
    'DataTimeHook',
    'InvalidLossHook',
    'StartUpTimeHook',
    'YOLOXModeSwitchHook',
]
