"""What a model does wrong: arrays of objects and detections in, figures out."""

from .analysis import Analysis, analyse
from .case import Case, Detections, GroundTruth

__all__ = ['Analysis', 'Case', 'Detections', 'GroundTruth', 'analyse']
