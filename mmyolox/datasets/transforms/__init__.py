"""The steps of a pipeline: ordinary registered MMCV-style transforms that share one lazy picture."""

from mmyolox.datasets.canvas.images import UndecodableImageError, read_image
from mmyolox.datasets.canvas.scene import Sample, Scene

from .augmentations import (
    Letterbox,
    Mosaic,
    RandomAffine,
    RandomFlip,
    RecentSamples,
    YOLOXHSVRandomAug,
    YOLOXMixUp,
)
from .loading import LoadAnnotations, LoadImage, begin_scene
from .packing import FilterAnnotations, PackDetInputs

__all__ = [
    'FilterAnnotations',
    'Letterbox',
    'LoadAnnotations',
    'LoadImage',
    'Mosaic',
    'PackDetInputs',
    'RandomAffine',
    'RandomFlip',
    'RecentSamples',
    'Sample',
    'Scene',
    'UndecodableImageError',
    'YOLOXHSVRandomAug',
    'YOLOXMixUp',
    'begin_scene',
    'read_image',
]
