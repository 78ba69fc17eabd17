"""Random matching problems, small and awkward, for the tests of SimOTA."""

from dataclasses import dataclass

import torch

from mmyolox.models.assigner import SimOTAAssigner
from mmyolox.models.boxes import bbox_ious, decode_bboxes, grid_priors

KINDS = (
    'scattered',
    'one_pixel',
    'outside',
    'doubled',
    'nested',
    'crowded',
    'equal_logits',
    'equal_predictions',
    'sure',
    'perfect',
)
SIZES = ((32, 32), (64, 64), (64, 128), (96, 32))


@dataclass(frozen=True)
class Problem:
    """The arguments of ``SimOTAAssigner.assign`` for a batch, padded with -1; see there.

    But for the class logits, which are (B, N, C).
    """

    pred_bboxes: torch.Tensor
    cls_logits: torch.Tensor
    obj_logits: torch.Tensor
    priors: torch.Tensor
    gt_bboxes: torch.Tensor
    gt_labels: torch.Tensor

    def image(self, index):
        """The problem of one image without padding."""
        rows = slice(index, index + 1)
        real = self.gt_labels[index] >= 0
        return Problem(
            self.pred_bboxes[rows],
            self.cls_logits[rows],
            self.obj_logits[rows],
            self.priors,
            self.gt_bboxes[rows, real],
            self.gt_labels[rows, real],
        )

    def assign(self, pair_costs=None, **assigner):
        """The assignment under an assigner with these options."""
        arguments = {**vars(self), 'cls_logits': self.levels(), 'pair_costs': pair_costs}
        return SimOTAAssigner(**assigner).assign(**arguments)

    def levels(self):
        """The class logits (B, C, H, W) of each level."""
        x, y, stride = self.priors.T
        grids = [(len(y[stride == s].unique()), len(x[stride == s].unique())) for s in stride.unique()]
        parts = self.cls_logits.split([h * w for h, w in grids], dim=1)
        return [part.transpose(1, 2).unflatten(2, grid) for part, grid in zip(parts, grids, strict=True)]


def dense_ious(problem, assignment):
    """The overlaps (B, N) of priors with their ground truths, 0 for background."""
    gts = assignment.gt_index.clamp(min=0)[..., None].expand(-1, -1, 4)
    return bbox_ious(problem.pred_bboxes, problem.gt_bboxes.gather(1, gts)) * assignment.is_positive


def random_problem(kind, seed, batch=4):
    """A batch of images with different numbers of ground truths, most between 0 and 20."""
    torch.manual_seed(seed)
    size = SIZES[seed % len(SIZES)]
    num_classes = (1, 3, 8)[seed % 3]
    priors = grid_priors(
        [(size[0] // s, size[1] // s) for s in (8, 16, 32)], (8, 16, 32), torch.device('cpu')
    )
    low, high = (30, 61) if kind == 'crowded' else (0, 21)
    counts = torch.randint(low, high, (batch,))
    gt_bboxes = torch.zeros(batch, int(counts.max()), 4)
    gt_labels = torch.full(gt_bboxes.shape[:2], -1)
    for image, count in enumerate(counts.tolist()):
        gt_bboxes[image, :count] = _ground_truths(kind, count, size)
        gt_labels[image, :count] = torch.randint(num_classes, (count,))
    shape = (batch, len(priors))
    spread = 0 if kind == 'equal_logits' else 40 if kind == 'sure' else 3
    return Problem(
        _predictions(kind, priors, gt_bboxes, counts),
        torch.randn(*shape, num_classes) * spread,
        torch.randn(shape) * spread,
        priors,
        gt_bboxes,
        gt_labels,
    )


def _ground_truths(kind, count, size):
    """Boxes (count, 4) in and, for ``outside``, partly or wholly beyond an image of (h, w) pixels."""
    extent = torch.tensor([size[1], size[0]]).float()
    sides = torch.ones(count, 2) if kind == 'one_pixel' else 2 + torch.rand(count, 2) ** 2 * extent
    centers = torch.rand(count, 2) * extent
    if kind == 'outside':
        centers = (torch.rand(count, 2) * 3 - 1) * extent
    if kind == 'nested' and count:
        centers = centers[:1].expand_as(centers)
    bboxes = torch.cat([centers - sides / 2, centers + sides / 2], dim=1)
    if kind == 'doubled':
        bboxes = bboxes[torch.arange(count) // 2]
    return bboxes


def _predictions(kind, priors, gt_bboxes, counts):
    """Predicted boxes (B, N, 4): some near a ground truth, some anywhere."""
    shape = (len(gt_bboxes), len(priors))
    spread = 0 if kind == 'equal_predictions' else 1
    anywhere = decode_bboxes(torch.randn(*shape, 4) * spread, priors)
    if gt_bboxes.shape[1] == 0 or spread == 0:
        return anywhere
    targets = (torch.rand(shape) * counts[:, None]).long()
    near = gt_bboxes.gather(1, targets[..., None].expand(-1, -1, 4))
    if kind != 'perfect':
        near = near + torch.randn_like(near) * (near[..., 2:] - near[..., :2]).repeat(1, 1, 2) * 0.15
    is_near = (torch.rand(shape) < 0.6) & (counts[:, None] > 0)
    return torch.where(is_near[..., None], near, anywhere)
