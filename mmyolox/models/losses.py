"""What the losses compare raw outputs with: the ground truths of a batch where matching put them."""

from dataclasses import dataclass

from mmengine.dist import all_reduce
from torch import Tensor

from .assigner import Assignment
from .boxes import points_inside
from .levels import batched_gather


@dataclass(frozen=True)
class MatchedBatch:
    """The ground truths of B images at the P slots of each, see :class:`~mmyolox.models.Assignment`.

    What is in an empty slot means nothing, unless said otherwise: losses leave it out by
    ``assignment.is_filled``.

    Attributes:
        assignment: Which prior learns which ground truth.
        priors: (N, 3) float32, see :func:`~mmyolox.models.boxes.grid_priors`.
        data_samples: The ``data_samples`` of :func:`mmyolox.datasets.yolox_collate`.
        cells: (B, P, 3) float32, the priors at the slots.
        bboxes: (B, P, 4) float32 xyxy in input pixels.
        labels: (B, P) int64, not negative.
        class_scores: (B, P) float32, what the score of the class should be: the overlap of box and
            prediction; 0 in an empty slot.
    """

    assignment: Assignment
    priors: Tensor
    data_samples: dict
    cells: Tensor
    bboxes: Tensor
    labels: Tensor
    class_scores: Tensor

    @classmethod
    def of(cls, assignment: Assignment, priors: Tensor, data_samples: dict) -> 'MatchedBatch':
        """Gathers what an assignment of the priors (N, 3) matched."""
        return cls(
            assignment,
            priors,
            data_samples,
            cells=priors[assignment.slot_priors.clamp(min=0)],
            bboxes=batched_gather(data_samples['bboxes'], assignment.slot_gts),
            labels=data_samples['labels'].gather(1, assignment.slot_gts).clamp_(min=0),
            class_scores=assignment.slot_ious,
        )

    @property
    def is_ignored(self) -> Tensor:
        """(B, N) bool, background whose cell's centre lies in an ignored region: no loss is to count it."""
        centers = self.priors[:, :2] + self.priors[:, 2:] / 2
        in_region = points_inside(centers[:, None], self.data_samples['ignored_bboxes'][:, None]).any(dim=2)
        return in_region & ~self.assignment.is_positive


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes; itself if there is only one."""
    value = value.clone()
    all_reduce(value, op='mean')
    return value
