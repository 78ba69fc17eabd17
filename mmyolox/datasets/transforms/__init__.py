"""The steps of a pipeline: ordinary registered MMCV-style transforms that share one lazy picture."""

from mmyolox.datasets.canvas.images import UndecodableImageError
from mmyolox.datasets.canvas.scene import Sample, Scene

from .color import YOLOXHSVRandomAug
from .formatting import FilterAnnotations, PackDetInputs
from .geometric import Letterbox, RandomAffine, RandomFlip
from .loading import LoadAnnotations, LoadImage, begin_scene, read_image
from .mixing import Mosaic, YOLOXMixUp
from .recent import RecentSamples

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
