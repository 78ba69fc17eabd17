"""What the metadata of an exported model says."""

from pathlib import Path
from typing import TypeVar

from mmyolox.deploy import ModelInfo
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.utils.files import atomic_write

from .options import ExportOptions

T = TypeVar('T')


def describe(model: YOLODetector, options: ExportOptions) -> ModelInfo:
    """Describes the export of a model, for its metadata.

    Args:
        model: Of :func:`mmyolox.apis.init_detector`.
        options: Thresholds that are None are those of the model's ``test_cfg``.

    Raises:
        UserError: The size is no multiple of the largest stride, or a threshold that there is not.
    """
    _check_size(model, options.size)
    head, meta = model.bbox_head, model.dataset_meta
    cfg = head.test_cfg
    if cfg is None:
        raise UserError('model.test_cfg is missing: an export needs its thresholds')
    info = ModelInfo(
        classes=tuple(meta['classes']),
        input_size=options.size,
        strides=head.head_module.featmap_strides,
        form=options.form,
        colour=options.colour,
        preprocessing=options.preprocess,
        score_thr=_given(options.score_thr, cfg.score_thr),
        iou_thr=_given(options.iou_thr, cfg.nms.iou_threshold),
        max_per_img=_given(options.max_per_img, cfg.max_per_img),
        nms_pre=_given(options.nms_pre, cfg.nms_pre),
        multi_label=cfg.multi_label,
        category_ids=tuple(meta.get('cat_ids') or ()),
        **head.describe_points(meta),
    )
    if options.form == 'end2end' and info.max_per_img < 1:
        raise UserError(
            f'max_per_img {info.max_per_img}: form end2end has a fixed number of rows, at least 1'
        )
    return info


def _check_size(model: YOLODetector, size: tuple[int, int]) -> None:
    """Raises a ``UserError`` for an input size (h, w) that the network cannot take."""
    stride = max(model.bbox_head.head_module.featmap_strides)
    if min(size) < stride or size[0] % stride or size[1] % stride:
        raise UserError(
            f'size {size[0]}x{size[1]} (height x width): both must be multiples of the largest stride, '
            f'{stride}, and not 0'
        )


def _given(value: T | None, default: T) -> T:
    return default if value is None else value


def write_sidecar(path: Path, info: ModelInfo) -> None:
    """Writes ``NAME.json`` beside an exported file that holds no metadata of its own."""
    with atomic_write(path.with_suffix('.json')) as part:
        part.write_text(info.to_json(), encoding='utf-8')
