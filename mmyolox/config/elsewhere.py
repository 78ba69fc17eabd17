"""Names of MMYOLO's and MMDetection's configs, and what does here what they do there."""

import ast
import re
from collections.abc import Collection
from typing import Any

from mmyolox.tool_parser import ELSEWHERE as OPTIONS

VARIABLES = {
    'backend_args': 'backend_args of the dataset in each dataloader, of LoadImage and of val_evaluator',
    'batch_augments_interval': 'model.data_preprocessor.batch_augments.0.interval',
    'center_radius': 'model.train_cfg.assigner.center_radius',
    'close_mosaic_epochs': 'num_last_epochs',
    'dataset_type': 'train_dataloader.dataset.type',
    'deepen_factor': 'model.backbone.deepen_factor and model.neck.deepen_factor',
    'ema_momentum': 'default_hooks.ema.momentum',
    'interval': 'val_interval',
    'loss_bbox_aux_weight': 'model.bbox_head.loss_l1_weight',
    'loss_bbox_weight': 'model.bbox_head.loss_bbox_weight',
    'lr_config': 'param_scheduler',
    'max_keep_ckpts': 'default_hooks.checkpoint.max_keep_ckpts',
    'metainfo': 'classes, or metainfo of each dataset',
    'mixup_ratio_range': 'ratio_range of YOLOXMixUp in train_pipeline',
    'model_test_cfg': 'model.test_cfg',
    'norm_cfg': 'norm_cfg of model.backbone, model.neck and model.bbox_head.head_module',
    'num_classes': 'model.bbox_head.head_module.num_classes (or inherit from a ..._custom config)',
    'classes': 'metainfo=dict(classes=...) of each dataset (or inherit from a ..._custom config)',
    'num_epochs_stage2': 'num_last_epochs',
    'persistent_workers': 'train_dataloader.persistent_workers',
    'random_affine_scaling_ratio_range': 'scaling_ratio_range of RandomAffine in train_pipeline',
    'runner': 'train_cfg',
    'save_epoch_intervals': 'val_interval',
    'scaling_ratio_range': 'scaling_ratio_range of RandomAffine in train_pipeline',
    'stage2_num_epochs': 'num_last_epochs',
    'strides': 'model.bbox_head.head_module.featmap_strides',
    'train_data_prefix': 'train_img_prefix',
    'train_pipeline_stage1': 'train_pipeline',
    'val_data_prefix': 'val_img_prefix',
    'weight_decay': 'optim_wrapper.optimizer.weight_decay',
    'widen_factor': 'widen_factor of model.backbone, model.neck and model.bbox_head.head_module',
}
"""Variables, with the keys or variables of ours."""

TYPES = {
    'BatchSyncRandomResize': 'YOLOXBatchSyncRandomResize',
    'ExpMomentumEMA': 'YOLOXEMA',
    'LetterResize': 'Letterbox',
    'LoadImageFromFile': 'LoadImage',
    'YOLOv5CocoDataset': 'YOLOXCocoDataset',
    'YOLOv5DetDataPreprocessor': 'YOLOXDataPreprocessor',
    'YOLOv5KeepRatioResize': 'Letterbox',
    'YOLOv5RandomAffine': 'RandomAffine',
    'YOLOv5VOCDataset': 'YOLOXVOCDataset',
    'yolov5_collate': 'yolox_collate',
}
"""Types, with ours."""

ARGUMENTS = {
    'border': '',
    'by_keypoints': '',
    'img_scale': 'img_scale of the dataset',
    'loss_bbox': 'loss_bbox_weight',
    'loss_bbox_aux': 'loss_l1_weight',
    'loss_cls': '',
    'loss_obj': '',
    'num_classes': 'head_module.num_classes',
    'pad_val': '',
    'random_size_range': 'ratio_range',
    'spp_kernal_sizes': 'spp_kernel_sizes',
    'use_bbox_aux': 'use_l1',
    'use_syncbn': 'sync_bn at the top level of the config',
    'with_bbox': '',
    'with_keypoints': '',
}
"""Keys of components, with ours; empty for those that nothing stands for."""


MEGVII_SIZES = {
    (0.33, 0.25): 'nano',
    (0.33, 0.375): 'tiny',
    (0.33, 0.5): 's',
    (0.67, 0.75): 'm',
    (1.0, 1.0): 'l',
    (1.33, 1.25): 'x',
}
"""The model of a depth and a width."""


_MODEL = re.compile(r'yolov?\d+[_-]?(n|nano|t|tiny|s|m|l|x)u?(-pose)?(?![a-z0-9])', re.IGNORECASE)
_SIZES = dict(n='nano', t='tiny')
"""What other families of YOLO call sizes that have longer names here."""


def hint_of_variable(name: str) -> str:
    """The end of a message about a variable that does nothing; empty for one that is not from elsewhere."""
    options = (ours.format(split='train') for ours in OPTIONS.get(name.replace('_', '-'), ()))
    ours = VARIABLES.get(name) or next((one for one in options if one[0] not in '-<'), '')
    return f'; here it is {ours}' if ours else ''


def hint_of_model(name: str, models: Collection[str]) -> str:
    """The end of a message about a config that is called like a model of another family of YOLO.

    Args:
        name: The name, such as ``yolov8n`` or ``yolo11s-pose.yaml``.
        models: The names of our models.

    Returns:
        The text with our model of the same size; empty for other names.
    """
    if not (found := _MODEL.match(name)):
        return ''
    size = _SIZES.get(found[1].lower(), found[1].lower())
    ours = f'yolox{(found[2] or "").lower()}_{size}'
    return f'; the YOLOX of this size is {ours}' if ours in models else ''


def hint_of_type(name: str) -> str:
    """The end of a message about a type that does not exist; empty for one that is not from elsewhere."""
    return f'; here it is {TYPES[name]}' if name in TYPES else ''


def hint_of_argument(name: str) -> str:
    """The end of a message about a key that a component does not take; empty as for the others."""
    if name not in ARGUMENTS:
        return ''
    instead = f'here it is {ARGUMENTS[name]}' if ARGUMENTS[name] else 'nothing is needed instead'
    return f'; {instead}'


def is_exp(tree: ast.Module) -> bool:
    """Whether a file defines an Exp of Megvii's YOLOX."""
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    origins = {node.module or '' for node in imports}
    imported = {alias.name for node in imports for alias in node.names}
    return bool(names) and ('Exp' in names | imported or any(one.startswith('yolox.exp') for one in origins))


def hint_of_exp(tree: ast.Module) -> str:
    """What to do with an Exp file of Megvii's YOLOX.

    Args:
        tree: Its syntax tree; the numbers that are given to ``depth`` and ``width``, of ``self`` or of the
            class, tell the model, or else the published one that it inherits from.
    """
    numbers: dict[str, Any] = {
        target.attr if isinstance(target, ast.Attribute) else target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Attribute | ast.Name)
    }
    modules = {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    inherited = [
        size for size in MEGVII_SIZES.values() if any(one.endswith(f'yolox_{size}') for one in modules)
    ]
    by_numbers = MEGVII_SIZES.get((numbers.get('depth', 1.0), numbers.get('width', 1.0)), 's')
    size = by_numbers if not inherited or numbers.keys() & {'depth', 'width'} else inherited[0]
    return (
        "is an Exp file of Megvii's YOLOX, no config: write one that begins with "
        f"_base_ = 'mmyolox::yolox/yolox_{size}_fast_8xb8-300e_coco.py' (for data of your own "
        'yolox_s_fast_1xb8-50e_custom.py) and gives max_epochs for max_epoch, num_last_epochs for '
        'no_aug_epochs, data_root for data_dir, img_scale for input_size, base_lr for basic_lr_per_img'
    )


def hint_of_package(name: str) -> str:
    """The end of a message about a package that is absent."""
    base = 'mmyolox::yolox/yolox_s_fast_8xb8-300e_coco.py'
    return f"; leave mmyolo out of names, and inherit from '{base}'" if name == 'mmyolo' else ''
