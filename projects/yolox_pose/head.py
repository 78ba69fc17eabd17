"""The YOLOX-Pose head: the detector's, with losses and predictions of keypoints."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.models import MatchedBatch, PairCosts, YOLOXHead
from mmyolox.models.levels import level_columns, take_priors, take_slots
from mmyolox.models.losses import all_reduce_mean
from mmyolox.registry import MODELS

from .assigner import PoseSimOTAAssigner
from .head_module import decode_keypoints
from .results import PoseInstances
from .skeleton import Skeleton


@MODELS.register_module()
class YOLOXPoseHead(YOLOXHead):
    """The YOLOX head with two more outputs, keypoints and their visibility (Maji et al. 2022, YOLO-Pose).

    Every positive prior learns the keypoints of its person. A person without labelled keypoints is
    learned as a box alone. The losses and their normalisation are those of MMYOLO 0.6.0 on one process.

    Training also needs of a batch ``keypoints`` (B, M, K, 3), x and y in input pixels and visibility (0: not
    labelled), and ``areas`` (B, M), square pixels. The class learns the root of the OKS. Two losses are added
    to the detector's: ``loss_kpt``, the mean over positive priors of people with a labelled keypoint, and
    ``loss_vis``, summed over the keypoints of these priors and divided by the number of labelled ones (mean
    over processes).

    Args:
        skeleton: What :meth:`.skeleton.Skeleton.of` takes.
        head_module: The config of the towers, without ``num_keypoints``: a module whose
            ``forward(feats)`` returns :class:`.head_module.PoseOutputs`.
        loss_pose: The config of :class:`.oks.OksLoss`, without ``sigmas``.
        **kwargs: Those of :class:`mmyolox.models.YOLOXHead`.

    Raises:
        UserError: The number of keypoints or the assigner does not fit.
    """

    def __init__(self, skeleton: dict, head_module: dict, loss_pose: dict, **kwargs: Any) -> None:
        shape = Skeleton.of(skeleton)
        count = len(shape.names)
        given = head_module.get('num_keypoints', count)
        if given != count:
            raise UserError(
                f'config key model.bbox_head.head_module.num_keypoints={given}, but the skeleton has {count} '
                'keypoints; leave it out'
            )
        super().__init__(head_module=dict(head_module, num_keypoints=count), **kwargs)
        if self.assigner is not None and not isinstance(self.assigner, PoseSimOTAAssigner):
            raise UserError(
                'config key model.train_cfg.assigner.type: YOLOXPoseHead needs PoseSimOTAAssigner, not '
                f'{type(self.assigner).__name__}'
            )
        self.skeleton = shape
        self.loss_pose = MODELS.build(loss_pose, default_args=dict(sigmas=shape.sigmas))
        # MMYOLO's assigner has a second OksLoss, whose sigmas are in its checkpoints under this name.
        self.assigner_oks_calculator = self.loss_pose

    def pair_costs(self, outputs: Any, pred_bboxes: Tensor, priors: Tensor, data_samples: dict) -> PairCosts:
        """What the keypoints of a pair cost, see :meth:`.assigner.PoseSimOTAAssigner.pose_costs`."""
        return self.assigner.pose_costs(
            [level.detach() for level in outputs.offsets],
            [level.detach() for level in outputs.vis_logits],
            pred_bboxes,
            priors,
            data_samples['bboxes'],
            self.loss_pose.targets(data_samples),
        )

    def losses(self, outputs: Any, matched: MatchedBatch) -> dict[str, Tensor]:
        """The detector's losses, where the class learns the root of the OKS, and those of keypoints."""
        assignment = matched.assignment
        targets = self.loss_pose.targets(matched.data_samples).at_slots(assignment.slot_gts)
        offsets = take_slots(outputs.offsets, matched.slots)
        vis_logits = take_slots(outputs.vis_logits, matched.slots)
        oks = targets.oks(decode_keypoints(offsets, matched.cells))
        is_counted = assignment.is_filled & targets.has_labels
        scores = oks.detach().sqrt().where(is_counted, matched.class_scores)
        losses = super().losses(outputs, replace(matched, class_scores=scores))
        is_labelled = (targets.is_labelled & is_counted[..., None]).float()
        loss_vis = F.binary_cross_entropy_with_logits(
            vis_logits.float(), is_labelled, is_counted[..., None].float(), reduction='sum'
        )
        counts = all_reduce_mean(torch.stack([is_counted.sum().float(), is_labelled.sum()])).clamp(min=1)
        return dict(
            **losses, loss_kpt=self.loss_pose(oks, is_counted) / counts[0], loss_vis=loss_vis / counts[1]
        )

    def random_samples(self, count: int, objects: int, size: Size, device: torch.device) -> dict[str, Any]:
        """Those of the detector, with keypoints that are all labelled."""
        samples = super().random_samples(count, objects, size, device)
        centers = samples['bboxes'].unflatten(2, (2, 2)).mean(2)[:, :, None]
        seen = torch.full_like(centers[..., :1], 2)
        keypoints = torch.cat([centers, seen], -1).expand(-1, -1, len(self.skeleton.names), -1)
        sides = samples['bboxes'][..., 2:] - samples['bboxes'][..., :2]
        return dict(samples, keypoints=keypoints, areas=sides.prod(-1))

    def postprocess(self, outputs: Any, metas: Sequence[dict]) -> list[InstanceData]:
        """The detector's, with keypoints, in the form that MMPose's metrics take too."""
        return [PoseInstances(**dict(one.items())) for one in super().postprocess(outputs, metas)]

    def add_fields(self, detections: InstanceData, outputs: Any, metas: Sequence[dict]) -> None:
        """Adds the keypoints and how likely each is labelled (seen or hidden) by an annotator.

        ``keypoints`` (n, K, 2) float32 are in pixels of the original image, not clipped to it;
        ``keypoint_scores`` (n, K) float32; ``bbox_scores`` (n,), which MMPose's metrics read, are the scores.
        """
        images, priors = detections.images, detections.priors
        offsets = take_priors(outputs.offsets, images, priors)
        keypoints = decode_keypoints(offsets, self.priors(outputs)[priors])
        scores = take_priors(outputs.vis_logits, images, priors).float().sigmoid()
        keypoints = torch.cat([keypoints_to_original(keypoints, images, metas), scores[..., None]], dim=2)
        keypoints = swap_sides(keypoints, images, metas, self.skeleton.flip_indices)
        detections.keypoints, detections.keypoint_scores = keypoints[..., :2], keypoints[..., 2]
        detections.bbox_scores = detections.scores

    def keypoint_columns(self, outputs: Any, priors: Tensor, decode: bool) -> Tensor:
        """(B, 3K, N): x, y and score, how likely it is labelled, of each keypoint in turn, for exports."""
        scores = level_columns([level.sigmoid() for level in outputs.vis_logits])
        keypoints = torch.unflatten(level_columns(outputs.offsets), 1, (-1, 2))
        if decode:
            keypoints = keypoints * priors[:, 2] + priors[:, :2].T
        return torch.cat([keypoints, scores[:, :, None]], dim=2).flatten(1, 2)

    def export_columns(self, outputs: Any, priors: Tensor, decode: bool) -> list[Tensor]:
        """The detector's columns, and those of keypoints."""
        keypoints = self.keypoint_columns(outputs, priors, decode)
        return [*super().export_columns(outputs, priors, decode), keypoints]

    def export_candidates(self, outputs: Any, priors: Tensor) -> list[Tensor]:
        """The detector's candidates, and their keypoints (B, N, 3K)."""
        keypoints = self.keypoint_columns(outputs, priors, decode=True)
        return [*super().export_candidates(outputs, priors), keypoints.transpose(1, 2)]

    def export_info(self, dataset_meta: Mapping[str, Any]) -> dict[str, Any]:
        """The detector's fields, the skeleton, and which of its keypoints each class has."""
        class_keypoints = dataset_meta.get('class_keypoints') or ()
        return dict(
            **super().export_info(dataset_meta),
            points=self.skeleton.names,
            links=self.skeleton.links,
            class_points=tuple(map(tuple, class_keypoints)),
        )


def keypoints_to_original(keypoints: Tensor, images: Tensor, metas: Sequence[dict]) -> Tensor:
    """Maps keypoints from input pixels to their original images'.

    Args:
        keypoints: (n, K, 2) in input pixels.
        images: (n,) int64: the index in ``metas``.
        metas: One dict an image: ``matrix``, the affine (3, 3) map from the original image to the input.

    Returns:
        (n, K, 2) float32 in pixels of the original images, not clipped.
    """
    inverses = np.linalg.inv(np.stack([meta['matrix'] for meta in metas]).astype(np.float64))
    maps = torch.from_numpy(inverses.astype(np.float32)).to(keypoints.device)[images]
    return keypoints @ maps[:, :2, :2].transpose(1, 2) + maps[:, None, :2, 2]


def swap_sides(values: Tensor, images: Tensor, metas: Sequence[dict], flip_indices: Sequence[int]) -> Tensor:
    """Swaps what left and right keypoints predict where the input was a mirror image.

    Args:
        values: (n, K, C), the C values of each keypoint.
        images: (n,) int64: the index in ``metas``.
        metas: One dict an image, as in :func:`keypoints_to_original`.
        flip_indices: (K,), which keypoint takes each one's place in a mirror image.
    """
    is_mirrored = np.linalg.det(np.stack([meta['matrix'] for meta in metas])) < 0
    swaps = torch.from_numpy(is_mirrored).to(values.device)[images]
    return torch.where(swaps[:, None, None], values[:, list(flip_indices)], values)
