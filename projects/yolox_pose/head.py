"""The YOLOX-Pose head: the detector's, with losses and predictions of keypoints."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.models import Assignment, PairCosts, YOLOXHead
from mmyolox.models.head import Outputs, all_reduce_mean, level_columns
from mmyolox.models.levels import pick_rows, take_rows
from mmyolox.registry import MODELS

from .assigner import PoseSimOTAAssigner
from .decoding import decode_keypoints, keypoints_to_original, swap_sides
from .oks import PoseTargets
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
        skeleton: see :meth:`.skeleton.Skeleton.of`.
        head_module: config of the towers, without ``num_keypoints``; builds to a module that gives the
            detector's outputs, then keypoint offsets (B, 2K, H, W) and visibility logits (B, K, H, W).
        loss_pose: config of :class:`.oks.OksLoss`, without ``sigmas``.
        **kwargs: of :class:`mmyolox.models.YOLOXHead`.

    Raises:
        UserError: the number of keypoints or the assigner does not fit.
    """

    def __init__(self, skeleton: dict, head_module: dict, loss_pose: dict, **kwargs: Any) -> None:
        shape = Skeleton.of(skeleton)
        super().__init__(head_module=_with_keypoints(head_module, len(shape.names)), **kwargs)
        if self.assigner is not None and not isinstance(self.assigner, PoseSimOTAAssigner):
            raise UserError(
                'config key model.train_cfg.assigner.type: YOLOXPoseHead needs PoseSimOTAAssigner, not '
                f'{type(self.assigner).__name__}'
            )
        self.skeleton = shape
        self.loss_pose = MODELS.build(loss_pose, default_args=dict(sigmas=shape.sigmas))
        # MMYOLO's assigner has a second OksLoss, whose sigmas are in its checkpoints under this name.
        self.assigner_oks_calculator = self.loss_pose

    def _pair_costs(
        self, outputs: Outputs, pred_bboxes: Tensor, priors: Tensor, data_samples: dict
    ) -> PairCosts:
        offsets, vis_logits = ([level.detach() for level in levels] for levels in outputs[3:])
        targets = self._targets(data_samples)
        return self.assigner.pose_costs(
            offsets, vis_logits, pred_bboxes, priors, data_samples['bboxes'], targets
        )

    def _targets(self, data_samples: dict) -> PoseTargets:
        return self.loss_pose.targets(*(data_samples[key] for key in ('keypoints', 'bboxes', 'areas')))

    def _losses(
        self, outputs: Outputs, assignment: Assignment, priors: Tensor, data_samples: dict
    ) -> dict[str, Tensor]:
        targets = self._targets(data_samples).rows(assignment.slot_gts)
        offsets, vis_logits = (take_rows(levels, assignment.slot_priors) for levels in outputs[3:])
        oks = targets.oks(decode_keypoints(offsets, priors[assignment.slot_priors.clamp(min=0)]))
        is_counted = assignment.is_filled & targets.has_labels
        scores = oks.detach().sqrt().where(is_counted, assignment.slot_scores)
        losses = super()._losses(outputs, replace(assignment, slot_scores=scores), priors, data_samples)
        is_labelled = (targets.is_labelled & is_counted[..., None]).float()
        loss_vis = F.binary_cross_entropy_with_logits(
            vis_logits.float(), is_labelled, is_counted[..., None].float(), reduction='sum'
        )
        counts = all_reduce_mean(torch.stack([is_counted.sum().float(), is_labelled.sum()])).clamp(min=1)
        return dict(
            **losses, loss_kpt=self.loss_pose(oks, is_counted) / counts[0], loss_vis=loss_vis / counts[1]
        )

    def postprocess(self, outputs: Outputs, metas: Sequence[dict]) -> list[InstanceData]:
        """The detector's, with keypoints, in the form that MMPose's metrics take too."""
        return [PoseInstances(**dict(one.items())) for one in super().postprocess(outputs, metas)]

    def _add_fields(self, detections: InstanceData, outputs: Outputs, metas: Sequence[dict]) -> None:
        """Adds the keypoints and how likely each is labelled (seen or hidden) by an annotator.

        ``keypoints`` (n, K, 2) float32 are in pixels of the original image, not clipped to it;
        ``keypoint_scores`` (n, K) float32; ``bbox_scores`` (n,), which MMPose's metrics read, are the scores.
        """
        images, priors = detections.images, detections.priors
        offsets, vis_logits = (pick_rows(levels, images, priors) for levels in outputs[3:])
        keypoints = decode_keypoints(offsets, self._priors(outputs)[priors])
        scores = vis_logits.float().sigmoid()
        points = torch.cat([keypoints_to_original(keypoints, images, metas), scores[..., None]], dim=2)
        points = swap_sides(points, images, metas, self.skeleton.flip_indices)
        detections.keypoints, detections.keypoint_scores = points[..., :2], points[..., 2]
        detections.bbox_scores = detections.scores

    def point_columns(self, outputs: Outputs, priors: Tensor, decode: bool) -> list[Tensor]:
        """The keypoints and how likely each is labelled; see :meth:`YOLOXHead.point_columns`."""
        offsets, scores = level_columns(outputs[3]), level_columns([vis.sigmoid() for vis in outputs[4]])
        points = torch.unflatten(offsets, 1, (-1, 2))
        if decode:
            points = points * priors[:, 2] + priors[:, :2].T
        return [torch.cat([points, scores[:, :, None]], dim=2).flatten(1, 2)]

    def describe_points(self, dataset_meta: Mapping[str, Any]) -> dict[str, Any]:
        """The skeleton, and which of its keypoints each class has."""
        own = dataset_meta.get('class_keypoints') or ()
        return dict(
            points=self.skeleton.names, links=self.skeleton.links, class_points=tuple(map(tuple, own))
        )


def _with_keypoints(head_module: dict, count: int) -> dict:
    """The config of the towers, with as many keypoints as the skeleton has."""
    given = head_module.get('num_keypoints', count)
    if given != count:
        raise UserError(
            f'config key model.bbox_head.head_module.num_keypoints={given}, but the skeleton has {count} '
            'keypoints; leave it out'
        )
    return dict(head_module, num_keypoints=count)
