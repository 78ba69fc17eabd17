"""Runs exported models with NumPy and their runtime alone: no torch, no OpenMMLab package, no OpenCV."""

from .info import DeployError, ModelInfo

__all__ = ['DeployError', 'ModelInfo']
