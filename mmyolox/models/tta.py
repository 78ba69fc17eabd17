"""Test-time augmentation."""

from collections.abc import Sequence

from mmdet.structures import DetDataSample
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData

from mmyolox.nms import batched_nms
from mmyolox.registry import MODELS


@MODELS.register_module()
class YOLOXTTAModel(BaseTTAModel):
    """Merges the detections of several views of an image by one more NMS.

    Every view's detections come in pixels of the original image (flips and scales undone), so that merging
    is putting them together.

    Args:
        tta_cfg: ``nms`` with ``iou_threshold``, and ``max_per_img``.
        **kwargs: of :class:`mmengine.model.BaseTTAModel`.
    """

    def __init__(self, tta_cfg: dict, **kwargs: dict) -> None:
        super().__init__(**kwargs)
        self.tta_cfg = tta_cfg

    def merge_preds(self, data_samples_list: Sequence[Sequence[DetDataSample]]) -> list[DetDataSample]:
        """Merges a list with one entry an image, each the list of its views' predictions."""
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[DetDataSample]) -> DetDataSample:
        together = InstanceData.cat([view.pred_instances for view in views])
        keep = batched_nms(
            together.bboxes,
            together.scores,
            together.labels,
            self.tta_cfg['nms']['iou_threshold'],
            self.tta_cfg['max_per_img'],
        )
        merged = views[0].clone()
        merged.pred_instances = together[keep]
        return merged
