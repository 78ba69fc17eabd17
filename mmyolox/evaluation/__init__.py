"""Metrics."""

from .coco_metric import DetectionsFile, YOLOXCocoMetric

__all__ = ['DetectionsFile', 'YOLOXCocoMetric']
