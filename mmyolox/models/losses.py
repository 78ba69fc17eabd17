"""What the losses compare raw outputs with: the ground truths of a batch where matching put them."""

from dataclasses import dataclass

from mmengine.dist import all_reduce
from torch import Tensor

from .assigner import Assignment
from .boxes import bbox_ious, decode_bboxes, points_inside
from .levels import LevelCells, batched_gather, take_slots
from .networks.head_module import HeadOutputs


@dataclass(frozen=True)
class MatchedBatch:
    """Predictions of boxes and ground truths at the P slots of B images, see :class:`.assigner.Assignment`.

    What is in an empty slot means nothing, unless said otherwise: losses leave it out by
    ``assignment.is_empty``.

    Attributes:
        assignment: Which prior learns which ground truth.
        priors: (N, 3) float32, see :func:`~mmyolox.models.boxes.grid_priors`.
        data_samples: The ``data_samples`` of :func:`mmyolox.datasets.yolox_collate`.
        slots: The cells of the slots' priors, for :func:`~mmyolox.models.levels.take_slots`.
        cells: (B, P, 3) float32, the priors at the slots.
        bbox_preds: (B, P, 4) float32, the regression there; 0 in an empty slot.
        bboxes: (B, P, 4) float32 xyxy in input pixels.
        labels: (B, P) int64, not negative.
        ious: (B, P) float32, the overlap of prediction and ground truth; 0 in an empty slot.
        class_scores: (B, P) float32 without gradient, what the score of the class should be: that overlap.
    """

    assignment: Assignment
    priors: Tensor
    data_samples: dict
    slots: LevelCells
    cells: Tensor
    bbox_preds: Tensor
    bboxes: Tensor
    labels: Tensor
    ious: Tensor
    class_scores: Tensor

    @classmethod
    def of(
        cls, outputs: HeadOutputs, assignment: Assignment, priors: Tensor, data_samples: dict
    ) -> 'MatchedBatch':
        """Gathers what an assignment of the priors (N, 3) matched."""
        slots = LevelCells.of(assignment.slot_priors, outputs.bbox_preds)
        cells = priors[assignment.slot_priors.clamp(min=0)]
        # Only these are decoded with gradients: an exponential that overflows elsewhere would turn its zero
        # gradient into NaN.
        bbox_preds = take_slots(outputs.bbox_preds, slots).float()
        bboxes = batched_gather(data_samples['bboxes'], assignment.slot_gts)
        ious = bbox_ious(decode_bboxes(bbox_preds, cells), bboxes).masked_fill(assignment.is_empty, 0)
        return cls(
            assignment,
            priors,
            data_samples,
            slots,
            cells,
            bbox_preds,
            bboxes,
            labels=data_samples['labels'].gather(1, assignment.slot_gts).clamp_(min=0),
            ious=ious,
            class_scores=ious.detach(),
        )

    @property
    def is_ignored(self) -> Tensor:
        """(B, N) bool, background whose cell's centre lies in an ignored region: no loss is to count it."""
        centers = self.priors[:, :2] + self.priors[:, 2:] / 2
        in_region = points_inside(centers[:, None], self.data_samples['ignored_bboxes'][:, None]).any(dim=2)
        return in_region > self.assignment.is_positive


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes; itself if there is only one."""
    value = value.clone()
    all_reduce(value, op='mean')
    return value
