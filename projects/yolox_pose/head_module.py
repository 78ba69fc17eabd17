"""The convolutions of the YOLOX-Pose head, and what they say."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.model import bias_init_with_prob
from torch import Tensor, nn

from mmyolox.models import YOLOXHeadModule
from mmyolox.registry import MODELS


class PoseOutputs(NamedTuple):
    """Raw outputs of a pose head, lists with an entry a level; the first three are the detector's.

    Attributes:
        cls_logits: The class logits (B, C, H, W).
        bbox_preds: The boxes (B, 4, H, W), see :class:`mmyolox.models.HeadOutputs`.
        obj_logits: The objectness logits (B, 1, H, W).
        offsets: The keypoints (B, 2K, H, W), x and y of each in turn, from the cell's corner in strides.
        vis_logits: The visibility logits (B, K, H, W).
    """

    cls_logits: list[Tensor]
    bbox_preds: list[Tensor]
    obj_logits: list[Tensor]
    offsets: list[Tensor]
    vis_logits: list[Tensor]


@MODELS.register_module()
class YOLOXPoseHeadModule(YOLOXHeadModule):
    """The detector's towers, and for each level a third one, twice as deep, for keypoints.

    YOLO-Pose (https://arxiv.org/abs/2204.06806) on the decoupled head. The state-dict names are MMYOLO's.

    Args:
        num_keypoints: The number of keypoints K.
        **kwargs: Those of :class:`mmyolox.models.YOLOXHeadModule`.
    """

    def __init__(self, num_keypoints: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_keypoints = num_keypoints
        self.multi_level_pose_convs = self._towers(2 * self.stacked_convs)
        self.multi_level_conv_offsets = self._predictors(2 * num_keypoints)
        self.multi_level_conv_vis = self._predictors(num_keypoints)

    def init_weights(self) -> None:
        """Initialises the weights; visibility starts at a probability of 0.01, as classes and objectness."""
        super().init_weights()
        for conv in self.multi_level_conv_vis:
            nn.init.constant_(conv.get_parameter('bias'), bias_init_with_prob(0.01))

    def forward(self, feats: Sequence[Tensor]) -> Any:
        """Predicts at every location of every level: :class:`PoseOutputs` of the neck's levels."""
        pose_feats = [tower(x) for tower, x in zip(self.multi_level_pose_convs, feats, strict=True)]
        return PoseOutputs(
            *super().forward(feats),
            [conv(x) for conv, x in zip(self.multi_level_conv_offsets, pose_feats, strict=True)],
            [conv(x) for conv, x in zip(self.multi_level_conv_vis, pose_feats, strict=True)],
        )


def decode_keypoints(offsets: Tensor, cells: Tensor) -> Tensor:
    """Turns raw outputs into keypoints.

    Args:
        offsets: (..., 2K): x and y of each keypoint from the cell's corner, in stride units. Taken to
            float32, as half precision has steps of half a pixel above 512.
        cells: (..., 3): x and y of the cell's top left corner in input pixels, and the stride.

    Returns:
        (..., K, 2) float32 in input pixels.
    """
    keypoints = offsets.float().reshape(*offsets.shape[:-1], offsets.shape[-1] // 2, 2)
    return keypoints * cells[..., None, 2:] + cells[..., None, :2]
