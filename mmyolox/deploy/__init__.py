"""Runs exported models with NumPy and their runtime alone: no torch, no OpenMMLab package, no OpenCV.

model = ExportedModel('yolox_s.onnx')
(detections,) = model([image])
"""

from .decode import Detections
from .info import DeployError, ModelInfo
from .model import ExportedModel

__all__ = ['DeployError', 'Detections', 'ExportedModel', 'ModelInfo']
