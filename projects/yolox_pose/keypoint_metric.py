"""COCO's average precision of keypoints, and of the boxes that come with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError
from mmyolox.evaluation.coco_curves import Comparison, Entry
from mmyolox.evaluation.coco_metric import YOLOXCocoMetric
from mmyolox.registry import METRICS

from .annotations import check_length, class_keypoints
from .skeleton import Skeleton


@dataclass(frozen=True)
class KeypointComparison(Comparison):
    """Objects and detections compared by COCO's object keypoint similarity (OKS), class by class.

    Attributes:
        keypoints: Which of the skeleton's K keypoints each class has, in its category's order.
        sigmas: (K,) COCO's constants, of which the libraries take twice.
    """

    iou_type: str = 'keypoints'
    class_figure: str = '{}_keypoints_precision'
    areas: tuple[str, ...] = ('all', 'medium', 'large')
    recall_ious: tuple[float, ...] = (0.5, 0.75)
    keypoints: tuple[tuple[int, ...], ...] = ()
    sigmas: tuple[float, ...] = ()

    def prepared(self, dataset_meta: Mapping[str, Any], file: CocoAnnotations) -> 'KeypointComparison':
        """This comparison with the keypoints that the file's categories have.

        Raises:
            UserError: The data set or the file has no keypoints, or not the same.
        """
        if 'skeleton' not in dataset_meta:
            raise UserError(
                'YOLOXPoseCocoMetric: the metainfo of the data set has no skeleton: its type must be '
                'YOLOXPoseCocoDataset'
            )
        skeleton = Skeleton.of(dataset_meta['skeleton'])
        classes = dataset_meta['classes']
        own = tuple(map(tuple, class_keypoints(file, classes, skeleton)))
        counts = dict(zip(file.ids_of(classes), map(len, own), strict=True))
        for annotation in file.annotations:
            count = counts.get(annotation['category_id'])
            if count and annotation.get('keypoints'):
                check_length(file, annotation, count)
        return replace(self, keypoints=own, sigmas=skeleton.sigmas)

    def covers(self, label: int) -> bool:
        """Whether a class has keypoints."""
        return bool(self.keypoints[label])

    def object_fields(self, file: CocoAnnotations, index: int, label: int) -> Entry:
        """``keypoints`` (x, y, visibility) and how many of them are labelled.

        They are counted: ``num_keypoints`` of a file may be absent or wrong.
        """
        keypoints = file.annotations[index].get('keypoints') or [0] * (3 * len(self.keypoints[label]))
        return dict(keypoints=keypoints, num_keypoints=sum(value > 0 for value in keypoints[2::3]))

    def detection_fields(self, extras: NDArray[np.floating], label: int) -> dict[str, NDArray[np.floating]]:
        """``keypoints``, (n, 3 x the class's number of keypoints): x, y, score."""
        own = list(self.keypoints[label])
        keypoints = extras.reshape(len(extras), len(self.sigmas), 3)[:, own]
        return dict(keypoints=keypoints.reshape(len(extras), 3 * len(own)))

    def parameters(self, label: int) -> dict[str, Any]:
        """The sigmas of the class's keypoints."""
        return dict(kpt_oks_sigmas=np.array([self.sigmas[index] for index in self.keypoints[label]]))


@METRICS.register_module()
class YOLOXPoseCocoMetric(YOLOXCocoMetric):
    """COCO's evaluation of keypoints and of boxes.

    A class is evaluated with its own keypoints and sigmas, and one without keypoints by its boxes alone.
    Detections rank by the score of their box, as in the published results (MMPose: ``score_mode='bbox'``).
    As in COCO, neither finding nor missing crowds and objects without a labelled keypoint counts; the
    ``area`` of an object, or that of its box where the file has none, sets the scale of OKS.

    To the figures of :class:`~mmyolox.evaluation.YOLOXCocoMetric`, ``bbox_mAP`` and the others, come
    ``keypoints_mAP``, ``keypoints_mAP_50``, ``_75``, ``_m`` and ``_l`` (COCO has no small ones), and in
    ``metric_items`` the recalls ``AR@20``, ``AR_50@20``, ``AR_75@20``, ``AR_m@20`` and ``AR_l@20``. An item
    that one of the two does not have is reported for the other. With ``outfile_prefix`` the keypoints go to
    ``{outfile_prefix}.keypoints.json`` in COCO's result format, each with its box.

    Args:
        ann_file: The COCO keypoint file to evaluate against; by default the keypoints are those of the data
            set that is evaluated.
        keypoint_nums: How many detections of a class in an image count when keypoints are compared.
        **kwargs: Those of :class:`~mmyolox.evaluation.YOLOXCocoMetric`.

    Raises:
        UserError: See :class:`~mmyolox.evaluation.YOLOXCocoMetric`; also if the file has other keypoints
            than the data set.
    """

    annotation_fields = ('keypoints',)

    def __init__(
        self, ann_file: str | None = None, keypoint_nums: Sequence[int] = (20,), **kwargs: Any
    ) -> None:
        self.keypoint_nums = tuple(sorted(keypoint_nums))
        super().__init__(ann_file, **kwargs)

    def make_comparisons(self) -> tuple[Comparison, ...]:
        """Keypoints, then boxes."""
        return (KeypointComparison(self.keypoint_nums, self.iou_thrs), *super().make_comparisons())

    def pack(self, predicted: Mapping[str, Any]) -> torch.Tensor:
        """(n, 6 + 3K): box, score, label, then x, y and score of each keypoint."""
        positions, scores = (torch.as_tensor(predicted[name]) for name in ('keypoints', 'keypoint_scores'))
        keypoints = torch.cat([positions, scores[..., None]], dim=2)
        skeleton = self.dataset_meta['skeleton']
        if keypoints.shape[1] != len(skeleton['keypoints']):
            raise UserError(
                f'the model predicts {keypoints.shape[1]} keypoints, but the skeleton of the data set has '
                f'{len(skeleton["keypoints"])}; give model.bbox_head.skeleton the same one'
            )
        return torch.column_stack([super().pack(predicted), keypoints.flatten(1)])
