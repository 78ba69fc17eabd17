"""Object keypoint similarity (OKS): the one implementation that matching, loss and tests use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmyolox.errors import UserError
from mmyolox.models.levels import batched_gather
from mmyolox.registry import MODELS

FORMS = ('diagonal', 'coco')
"""What a keypoint's sigma is a share of: the box's diagonal, or twice the square root of COCO's area."""


def keypoint_spreads(form: str, sigmas: Tensor, bboxes: Tensor, areas: Tensor) -> Tensor:
    """How far off a keypoint may be: at this distance its similarity is exp(-1/2).

    Args:
        form: The form of the spread, ``diagonal``: sigma times the diagonal of the box, which MMYOLO's
            published YOLOX-Pose was trained with; ``coco``: 2 sigma times the root of the area, which COCO
            evaluates with.
        sigmas: (K,) COCO's constants.
        bboxes: (..., 4) xyxy in pixels.
        areas: (...), the areas of the objects in square pixels.

    Returns:
        (..., K) in pixels, above 0.
    """
    lengths = (bboxes[..., 2:] - bboxes[..., :2]).norm(dim=-1) if form == 'diagonal' else 2 * areas.sqrt()
    return lengths.clamp(min=1e-8)[..., None] * sigmas


def compute_oks(keypoints: Tensor, targets: Tensor, is_labelled: Tensor, spreads: Tensor) -> Tensor:
    """The mean similarity exp(-d^2 / (2 spread^2)) of an object's labelled keypoints.

    Equal to ``COCOeval.computeOks`` (pycocotools 2.0) for objects with a labelled keypoint. All leading axes
    are broadcast.

    Args:
        keypoints: (..., K, 2) x and y in pixels, as predicted.
        targets: (..., K, 2), as annotated.
        is_labelled: (..., K) bool, whether a keypoint is labelled.
        spreads: (..., K), the spreads in pixels, see :func:`keypoint_spreads`.

    Returns:
        (...) in [0, 1]; 0 for an object without labelled keypoints.
    """
    squares = (keypoints - targets).square().sum(dim=-1)
    similarities = (squares / (-2 * spreads.square())).exp()
    return (similarities * is_labelled).sum(dim=-1) / is_labelled.sum(dim=-1).clamp(min=1)


@dataclass(frozen=True)
class PoseTargets:
    """Annotated keypoints, of M objects or of as many slots an image.

    Attributes:
        keypoints: (B, M, K, 2) float32, x and y in input pixels.
        is_labelled: (B, M, K) bool, whether a keypoint is labelled.
        spreads: (B, M, K) float32, see :func:`keypoint_spreads`.
    """

    keypoints: Tensor
    is_labelled: Tensor
    spreads: Tensor

    @property
    def has_labels(self) -> Tensor:
        """(B, M) bool, whether any keypoint of an object is labelled."""
        return self.is_labelled.any(dim=-1)

    def oks(self, keypoints: Tensor) -> Tensor:
        """The similarity of predicted keypoints (B, M, K, 2) to these, (B, M)."""
        return compute_oks(keypoints, self.keypoints, self.is_labelled, self.spreads)

    def at_slots(self, slot_gts: Tensor) -> 'PoseTargets':
        """The targets of the objects at slots (B, P)."""
        return PoseTargets(
            batched_gather(self.keypoints.flatten(2), slot_gts).reshape(
                *slot_gts.shape, *self.keypoints.shape[2:]
            ),
            batched_gather(self.is_labelled, slot_gts),
            batched_gather(self.spreads, slot_gts),
        )

    def repeated(self, gts: slice) -> 'PoseTargets':
        """Some of the objects, (B, m, 1, ...): to be compared with several predictions each."""
        return PoseTargets(*(x[:, gts, None] for x in (self.keypoints, self.is_labelled, self.spreads)))


@MODELS.register_module()
class OksLoss(nn.Module):
    """Loss of keypoints: one minus their similarity (Maji et al. 2022, https://arxiv.org/abs/2204.06806).

    The sigmas are those of the config: loading a state dict, of whatever skeleton, does not change them.

    Args:
        sigmas: (K,) COCO's constants; the head hands in its skeleton's.
        form: What the sigmas are a share of, see :func:`keypoint_spreads`.
        loss_weight: What the loss is multiplied by.

    Raises:
        UserError: There is no such form.
    """

    sigmas: Tensor

    def __init__(self, sigmas: Sequence[float], form: str = 'diagonal', loss_weight: float = 1.0) -> None:
        super().__init__()
        if form not in FORMS:
            raise UserError(f'model.bbox_head.loss_pose.form={form!r}: choose one of {", ".join(FORMS)}')
        # In the state dict because MMYOLO's checkpoints have it there.
        self.register_buffer('sigmas', torch.tensor(sigmas, dtype=torch.float32))
        self.form = form
        self.loss_weight = loss_weight

    def targets(self, data_samples: dict) -> PoseTargets:
        """What predictions are compared with.

        Args:
            data_samples: A dict with ``keypoints`` (B, M, K, 3), x, y and visibility (0: not labelled),
                ``bboxes`` (B, M, 4) xyxy and ``areas`` (B, M).
        """
        keypoints = data_samples['keypoints']
        spreads = keypoint_spreads(self.form, self.sigmas, data_samples['bboxes'], data_samples['areas'])
        return PoseTargets(keypoints[..., :2], keypoints[..., 2] > 0, spreads)

    def forward(self, oks: Tensor, is_counted: Tensor) -> Tensor:
        """The weighted sum of 1 - OKS (B, P) over what counts, (B, P) bool."""
        return self.loss_weight * (1 - oks).where(is_counted, 0).sum()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict[f'{prefix}sigmas'] = self.sigmas
        super()._load_from_state_dict(state_dict, prefix, *args)
