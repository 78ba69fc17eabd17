"""The steps of a pipeline: ordinary registered MMCV-style transforms that share one lazy picture."""

from mmyolox.datasets.canvas.images import UndecodableImageError, read_image
from mmyolox.datasets.canvas.scene import Sample, Scene, take_image

from .albumentations_bridge import Albumentations
from .augmentations import (
    Letterbox,
    Mosaic,
    PartnerTransform,
    RandomAffine,
    RandomFlip,
    RecentSamples,
    YOLOXHSVRandomAug,
    YOLOXMixUp,
    move_sample,
)
from .loading import LoadAnnotations, LoadImage, begin_scene
from .packing import FilterAnnotations, PackDetInputs
from .yolov5 import BetaMixUp, RandomHSVGains

__all__ = [
    'Albumentations',
    'BetaMixUp',
    'FilterAnnotations',
    'Letterbox',
    'LoadAnnotations',
    'LoadImage',
    'Mosaic',
    'PackDetInputs',
    'PartnerTransform',
    'RandomAffine',
    'RandomFlip',
    'RandomHSVGains',
    'RecentSamples',
    'Sample',
    'Scene',
    'UndecodableImageError',
    'YOLOXHSVRandomAug',
    'YOLOXMixUp',
    'begin_scene',
    'move_sample',
    'read_image',
    'take_image',
]
