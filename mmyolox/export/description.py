"""What the metadata of an exported model says."""

from pathlib import Path

from mmyolox.deploy import ModelInfo
from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.models import YOLODetector

from .options import ExportOptions


def describe(model: YOLODetector, options: ExportOptions) -> ModelInfo:
    """Describes the export of a model, for its metadata.

    Args:
        model: The model that :func:`mmyolox.apis.init_detector` returns.
        options: The options; thresholds that are None are those of the model's ``test_cfg``.

    Raises:
        UserError: The size is no multiple of the largest stride, or a threshold that there is not.
    """
    head, size = model.bbox_head, options.size
    stride = max(head.head_module.featmap_strides)
    if min(size) < stride or any(side % stride for side in size):
        raise UserError(
            f'size {size.height}x{size.width} (height x width): both must be multiples of the largest '
            f'stride, {stride}, and not 0'
        )
    thresholds = ('score_thr', 'iou_thr', 'max_per_img', 'nms_pre')
    chosen = {name: getattr(options, name) for name in thresholds if getattr(options, name) is not None}
    info = ModelInfo(
        input_size=size.shape_hw,
        form=options.form,
        colour=options.colour,
        preprocessing=options.preprocess,
        fold=tuple(model.input_record.fold.values()),
        **head.export_info(model.dataset_meta) | chosen,
    )
    if options.form == 'end2end' and info.max_per_img < 1:
        raise UserError(
            f'max_per_img {info.max_per_img}: form end2end has a fixed number of detections, at least 1'
        )
    return info


def write_sidecar(path: Path, info: ModelInfo) -> None:
    """Writes ``NAME.json`` beside an exported file that holds no metadata of its own."""
    with atomic_write(path.with_suffix('.json')) as part:
        part.write_text(info.to_json(), encoding='utf-8')
