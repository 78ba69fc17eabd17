"""Data sets, their samplers, pipelines and batches."""

from . import object_storage, transforms
from .base import DetectionDataset, SeededSampler, detection_datasets
from .coco import YOLOXCocoDataset
from .samplers import BalancedSampler, ChunkedSampler, MixedDataset
from .transforms.packing import tta_collate, yolox_collate
from .voc import YOLOXVOCDataset
from .yolo import YOLOXYoloDataset

__all__ = [
    'BalancedSampler',
    'ChunkedSampler',
    'DetectionDataset',
    'MixedDataset',
    'SeededSampler',
    'YOLOXCocoDataset',
    'YOLOXVOCDataset',
    'YOLOXYoloDataset',
    'detection_datasets',
    'object_storage',
    'transforms',
    'tta_collate',
    'yolox_collate',
]
