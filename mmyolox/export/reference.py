"""What an export is held against: the model in PyTorch, called as the exported one is."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import ConfigDict

from mmyolox.apis.points import as_detections, point_kind
from mmyolox.deploy import Detections, ModelInfo
from mmyolox.deploy.letterbox import fitted_size, letterbox
from mmyolox.models import YOLODetector

from .inputs import Image


class Reference:
    """A model in PyTorch with the input's size and the thresholds of its export.

    Called with images as an :class:`~mmyolox.deploy.ExportedModel` is, it returns the same, one image a
    forward pass.

    Args:
        model: The model; not changed.
        info: Of its export.
    """

    def __init__(self, model: YOLODetector, info: ModelInfo) -> None:
        self._info, self._kind = info, point_kind(info)
        self._network = copy.deepcopy(model).cpu().float()
        self._network.bbox_head.test_cfg = ConfigDict(
            score_thr=info.score_thr,
            multi_label=info.multi_label,
            nms_pre=info.nms_pre,
            nms=dict(iou_threshold=info.iou_thr),
            max_per_img=info.max_per_img,
        )

    def __call__(self, images: Sequence[Image]) -> list[Detections]:
        """Finds objects in images (h, w, channels) uint8, BGR."""
        return [self._detect(image) for image in images]

    @torch.no_grad()
    def _detect(self, image: Image) -> Detections:
        network, size = self._network, self._info.input_size
        boxed = letterbox(image, size, self._info.pad_value)
        height, width = image.shape[:2]
        new_height, new_width = fitted_size((height, width), size)
        matrix = np.diag([new_width / width, new_height / height, 1.0])
        inputs = torch.from_numpy(np.ascontiguousarray(boxed.transpose(2, 0, 1)[None]))
        batch = network.data_preprocessor(dict(inputs=inputs, data_samples=None))
        feats = network.neck(network.backbone(batch['inputs']))
        (found,) = network.bbox_head.predict(feats, [dict(matrix=matrix, ori_shape=(height, width))])
        return as_detections(found, self._kind)
