"""Which parts of MMDetection and MMCV work among ours, and what to use instead of the others."""

from mmengine.config import Config

from mmyolox.errors import UserError

from .check import component_at, value_at, walk

PIXEL_TRANSFORMS = frozenset(
    ('AutoContrast', 'Brightness', 'Color', 'ColorTransform', 'Contrast', 'CutOut', 'Equalize', 'Invert')
    + ('PhotoMetricDistortion', 'Posterize', 'Sharpness', 'Solarize', 'SolarizeAdd', 'YOLOXHSVRandomAug')
    + ('Normalize', 'RandomApply', 'RandomChoice', 'RandomOrder', 'TestTimeAug')
)
"""Steps that move nothing, and those that only run other steps."""

MOVING_TRANSFORMS = frozenset(
    ('CenterCrop', 'Expand', 'FilterAnnotations', 'FixShapeResize', 'GeomTransform', 'LoadImageFromFile')
    + ('MinIoURandomCrop', 'Pad', 'RandomCrop', 'RandomFlip', 'RandomResize', 'RandomShift', 'Resize')
    + ('ResizeShortestEdge', 'Rotate', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY')
)
"""Steps that work in training; in a test nothing would tell where they moved the image."""

INSTEAD = {
    'AutoAugment': 'single steps, such as mmdet.Equalize',
    'CachedMixUp': 'RecentSamples and YOLOXMixUp',
    'CachedMosaic': 'RecentSamples and Mosaic',
    'CopyPaste': 'Mosaic and YOLOXMixUp',
    'DefaultFormatBundle': 'PackDetInputs',
    'ImageToTensor': 'PackDetInputs',
    'LoadAnnotations': 'LoadAnnotations',
    'LoadImageFromFile': 'LoadImage',
    'MixUp': 'YOLOXMixUp',
    'Mosaic': 'Mosaic',
    'PackDetInputs': 'PackDetInputs',
    'Pad': 'Letterbox',
    'RandAugment': 'single steps, such as mmdet.Equalize',
    'RandomAffine': 'RandomAffine',
    'RandomCenterCropPad': 'RandomAffine',
    'RandomErasing': 'mmdet.CutOut',
    'RandomFlip': 'RandomFlip',
    'RandomGrayscale': 'YOLOXHSVRandomAug',
    'Resize': 'Letterbox',
    'ToTensor': 'PackDetInputs',
    'Transpose': 'PackDetInputs',
    'CocoDataset': 'YOLOXCocoDataset',
    'VOCDataset': 'YOLOXVOCDataset',
    'MultiImageMixDataset': 'the dataset in it: Mosaic and YOLOXMixUp load their partners themselves',
    'DetTTAModel': 'YOLOXTTAModel',
    'YOLOXHead': 'YOLOXHead',
    'YOLOX': 'YOLODetector',
}
"""What does here what a part of MMDetection or MMCV does there that does not work among ours."""

_TRAINING = ('train_dataloader', 'train_pipeline_stage2')
_TESTING = ('val_dataloader', 'test_dataloader', 'tta_pipeline')


def check_mmdet_parts(cfg: Config) -> None:
    """Checks that a detector is given no part that does not work with it.

    Ours does not work with some of MMDetection's and MMCV's parts, a model of MMDetection with none of our
    data sets and transforms. Models of others are left alone.

    Args:
        cfg: The config.

    Raises:
        UserError: There is one, and the message says what to use; or there is no such part.
    """
    package, name = package_at(cfg, 'model')
    if package == 'mmdet':
        _check_their_data(cfg, name)
    if package != 'mmyolox':
        return
    for path in ('tta_model', 'model.bbox_head'):
        package, name = package_at(cfg, path)
        if package == 'mmdet':
            raise UserError(refusal(path, package, name))
    for top in (*_TRAINING, *_TESTING):
        for path, _ in walk(cfg.get(top), top):
            package, name = package_at(cfg, path)
            if package not in ('mmdet', 'mmcv'):
                continue
            works = PIXEL_TRANSFORMS | MOVING_TRANSFORMS if top in _TRAINING else PIXEL_TRANSFORMS
            if name not in works and (name in INSTEAD or name in MOVING_TRANSFORMS):
                raise UserError(refusal(path, package, name))


def _check_their_data(cfg: Config, model: str) -> None:
    loaders = [f'{split}_dataloader.dataset' for split in ('train', 'val', 'test')]
    for top in loaders:
        for path, _ in walk(value_at(cfg, top), top):
            package, name = package_at(cfg, path)
            if package == 'mmyolox':
                raise UserError(
                    f'config key {path}.type: {name} does not work with mmdet.{model} (model.type); use '
                    "YOLODetector, or MMDetection's data sets and transforms"
                )


def package_at(cfg: Config, path: str) -> tuple[str, str]:
    """The package and the name of the component that is described at a config key; empty texts for none."""
    component = component_at(cfg, path)
    module = str(getattr(component, '__module__', ''))
    return module.split('.')[0], str(getattr(component, '__name__', ''))


def refusal(path: str, package: str, name: str) -> str:
    """The message about a part that does not work among ours."""
    instead = f'; use {INSTEAD[name]}' if name in INSTEAD else ': nothing tells where it moved the image'
    return f'config key {path}.type: {package}.{name} does not work here{instead}'
