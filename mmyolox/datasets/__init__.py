"""Data sets, their samplers, pipelines and batches."""

from . import transforms
from .base import DetectionDataset
from .coco import YOLOXCocoDataset
from .collate import tta_collate, yolox_collate
from .sampler import SeededSampler, detection_datasets
from .voc import YOLOXVOCDataset

__all__ = [
    'DetectionDataset',
    'SeededSampler',
    'YOLOXCocoDataset',
    'YOLOXVOCDataset',
    'detection_datasets',
    'transforms',
    'tta_collate',
    'yolox_collate',
]
