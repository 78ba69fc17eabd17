"""The convolutions of the YOLOX-Pose head."""

from typing import Any

from mmengine.model import bias_init_with_prob
from torch import Tensor, nn

from mmyolox.models import YOLOXHeadModule
from mmyolox.registry import MODELS


@MODELS.register_module()
class YOLOXPoseHeadModule(YOLOXHeadModule):
    """The detector's towers, and for each level a third one, twice as deep, for keypoints.

    YOLO-Pose (https://arxiv.org/abs/2204.06806) on the decoupled head. The state-dict names are MMYOLO's.

    Args:
        num_keypoints: Number of keypoints K.
        **kwargs: of :class:`mmyolox.models.YOLOXHeadModule`.
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

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[list[Tensor], ...]:
        """Predicts at every location of every level.

        Args:
            feats: The neck's levels.

        Returns:
            The detector's three lists, and two more with an entry a level: keypoint offsets (B, 2K, H, W),
            x and y of each keypoint in turn, from the cell's corner in strides; visibility logits
            (B, K, H, W).
        """
        pose_feats = [tower(x) for tower, x in zip(self.multi_level_pose_convs, feats, strict=True)]
        return (
            *super().forward(feats),
            [conv(x) for conv, x in zip(self.multi_level_conv_offsets, pose_feats, strict=True)],
            [conv(x) for conv, x in zip(self.multi_level_conv_vis, pose_feats, strict=True)],
        )
