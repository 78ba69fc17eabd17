"""Metrics."""

from .coco_metric import YOLOXCocoMetric

__all__ = ['YOLOXCocoMetric']
