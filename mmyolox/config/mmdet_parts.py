"""Which parts of MMDetection and MMCV work among ours, and what to use instead of the others."""

from mmengine.config import Config

from mmyolox.errors import UserError

from .check import LOADERS, component_at, value_at, walk
from .components import names_of_bases

PIXEL_TRANSFORMS = frozenset(
    ('AutoContrast', 'Brightness', 'Color', 'ColorTransform', 'Contrast', 'CutOut', 'Equalize', 'Invert')
    + ('PhotoMetricDistortion', 'Posterize', 'Sharpness', 'Solarize', 'SolarizeAdd', 'YOLOXHSVRandomAug')
    + ('RandomApply', 'RandomChoice', 'RandomOrder', 'TestTimeAug')
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
    'Normalize': 'mean and std of model.data_preprocessor',
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
    'YOLOX': 'YOLODetector',
}
"""What does here what a part of MMDetection or MMCV does there that does not work among ours."""

OTHERS_INSTEAD = {
    'BatchFixedSizePad': 'img_scale of the dataset',
    'BatchResize': 'YOLOXBatchSyncRandomResize',
    'BatchSyncRandomResize': 'YOLOXBatchSyncRandomResize',
    'ClassAwareSampler': 'BalancedSampler',
    'YOLOXModeSwitchHook': 'YOLOXModeSwitchHook',
}
"""The same of samplers, hooks and augmentations of batches."""

OURS = {
    'tta_model': 'YOLOXTTAModel',
    'model.bbox_head': 'YOLOXHead',
    'model.data_preprocessor': 'YOLOXDataPreprocessor',
    'model.train_cfg.assigner': 'SimOTAAssigner',
}
"""The keys under which nothing of MMDetection's works, with what does."""

_TRAINING = ('train_dataloader', 'train_pipeline_stage2')
_SAMPLERS = ('sampler', 'batch_sampler')
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
    for path in (*OURS, *places_of_others(cfg)):
        package, name = package_at(cfg, path)
        if package == 'mmdet' and (path in OURS or name in OTHERS_INSTEAD):
            raise UserError(refusal(path, package, name))
    check_their_metrics(cfg)
    for top in (*_TRAINING, *_TESTING):
        for path, _ in walk(cfg.get(top), top):
            if '.augmentations.' in path:  # those of Albumentations, which no registry has
                continue
            package, name = package_at(cfg, path)
            if package not in ('mmdet', 'mmcv'):
                continue
            works = PIXEL_TRANSFORMS | MOVING_TRANSFORMS if top in _TRAINING else PIXEL_TRANSFORMS
            if name not in works and (name in INSTEAD or name in MOVING_TRANSFORMS):
                raise UserError(refusal(path, package, name))


def places_of_others(cfg: Config) -> list[str]:
    """The config keys of samplers, hooks and augmentations of batches."""
    keys = ('model.data_preprocessor.batch_augments', 'default_hooks', 'custom_hooks')
    return [
        *(path for key in keys for path, _ in walk(value_at(cfg, key), key)),
        *(f'{loader}.{part}' for loader in LOADERS for part in _SAMPLERS),
    ]


def check_their_metrics(cfg: Config) -> None:
    """Checks that MMDetection's metric of COCO is given no classes, whose order it would not follow.

    Raises:
        UserError: It is given some.
    """
    for split in ('val', 'test'):
        named = [
            path
            for path, classes in walk(cfg.get(f'{split}_dataloader'), f'{split}_dataloader')
            if path.endswith('.metainfo.classes') and classes
        ]
        for path, _ in walk(cfg.get(f'{split}_evaluator'), f'{split}_evaluator') if named else ():
            if 'CocoMetric' in names_of_bases(component_at(cfg, path)):
                raise UserError(
                    f'config key {path}.type: mmdet.CocoMetric takes the classes in the order of its file, '
                    f'not of {named[0]}; use YOLOXCocoMetric'
                )


def check_batches(cfg: Config) -> None:
    """Checks that batches come as our detector takes them: who packs, stacks and prepares them.

    Parts of the user's own are left alone.

    Raises:
        UserError: A part of another package does it, or none.
    """
    if package_at(cfg, 'model')[0] != 'mmyolox':
        return
    theirs = ('torch', 'mmengine', 'mmcv', 'mmdet')
    loaders = [loader for loader in LOADERS if isinstance(cfg.get(loader), dict)]
    for loader in loaders:
        path = f'{loader}.collate_fn'
        if 'collate_fn' not in cfg[loader] or package_at(cfg, path)[0] in theirs:
            raise UserError(f"config key {path}: YOLODetector needs dict(type='yolox_collate')")
    for top in (*loaders, 'train_pipeline_stage2'):
        for path, steps in walk(cfg.get(top), top):
            is_pipeline = path.endswith('.dataset.pipeline') or path == 'train_pipeline_stage2'
            if is_pipeline and isinstance(steps, list | tuple):
                check_last_step(cfg, path, len(steps))
    where = 'model.module' if 'module' in cfg.model else 'model'  # the former in test-time augmentation
    path = f'{where}.data_preprocessor'
    is_at_top = 'data_preprocessor' not in value_at(cfg, where) and cfg.get('data_preprocessor')
    if not loaders or is_at_top:
        return
    if value_at(cfg, path) is None or package_at(cfg, path)[0] in theirs:
        raise UserError(f"config key {path}: YOLODetector needs dict(type='YOLOXDataPreprocessor')")


def check_last_step(cfg: Config, path: str, length: int) -> None:
    """Checks that a pipeline of one of our data sets ends with a step that packs.

    Args:
        cfg: The config.
        path: The config key of the pipeline.
        length: How many steps it has.

    Raises:
        UserError: It ends with another, or has none.
    """
    if path.endswith('.pipeline') and package_at(cfg, path.removesuffix('.pipeline'))[0] != 'mmyolox':
        return
    package, name = package_at(cfg, f'{path}.{length - 1}')
    is_ours = package == 'mmyolox' and not (name.startswith('Pack') or name == 'TestTimeAug')
    if not length or is_ours or (package in ('mmdet', 'mmcv') and name != 'TestTimeAug'):
        raise UserError(f"config key {path}: its last step must pack the sample: dict(type='PackDetInputs')")


def _check_their_data(cfg: Config, model: str) -> None:
    for top in (f'{loader}.dataset' for loader in LOADERS):
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
    ours = OURS.get(path) or (INSTEAD | OTHERS_INSTEAD).get(name)
    instead = f'; use {ours}' if ours else ': nothing tells where it moved the image'
    return f'config key {path}.type: {package}.{name} does not work here{instead}'
