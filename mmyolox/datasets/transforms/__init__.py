"""The steps of a pipeline: ordinary registered MMCV-style transforms that share one lazy picture."""

from .color import YOLOXHSVRandomAug
from .formatting import FilterAnnotations, PackDetInputs
from .geometric import Letterbox, RandomAffine, RandomFlip
from .loading import LoadAnnotations, LoadImage, UndecodableImageError, begin_scene, read_image
from .mixing import Mosaic, YOLOXMixUp
from .scene import Sample, Scene

__all__ = [
    'FilterAnnotations',
    'Letterbox',
    'LoadAnnotations',
    'LoadImage',
    'Mosaic',
    'PackDetInputs',
    'RandomAffine',
    'RandomFlip',
    'Sample',
    'Scene',
    'UndecodableImageError',
    'YOLOXHSVRandomAug',
    'YOLOXMixUp',
    'begin_scene',
    'read_image',
]
