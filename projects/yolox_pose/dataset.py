"""Data sets annotated in COCO's keypoint format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.datasets.columns import Array
from mmyolox.datasets.table import IdColumn
from mmyolox.registry import DATASETS

from .annotations import class_keypoints, read_keypoints
from .skeleton import Skeleton, mmpose_metainfo, read_skeleton


@DATASETS.register_module()
class YOLOXPoseCocoDataset(YOLOXCocoDataset):
    """Images, boxes and keypoints of a COCO annotation file, of any skeleton and any number of classes.

    Each entry of the data list has, beside what :class:`mmyolox.datasets.YOLOXCocoDataset` makes:

    - ``keypoints`` (M, K, 3) float32: x and y in pixels of the original image, and COCO's visibility. All
      classes share the K keypoints of ``metainfo['skeleton']``, by name; those that a class or an annotation
      lacks are not labelled. What is not labelled is all zero.
    - ``areas`` (M,) float32, COCO's ``area`` in pixels squared, the box's where there is no number above 0.
    - ``id``, a list of the M annotation ids.

    ``metainfo['skeleton']`` is what :meth:`Skeleton.of` takes; by default that of the file. The completed
    ``metainfo`` has its complete form, ``class_keypoints`` (for each class the indices of its keypoints, in
    the order of the file), and the keys of MMPose's. What is wrong with keypoints is mended and told, or an
    error; see :mod:`.annotations`.

    Attributes:
        skeleton: What the keypoints are; set by the loading.

    Raises:
        UserError: The annotation file or images are missing or at fault, keypoints cannot be read, or the
            skeleton does not match them.
    """

    annotation_fields = ('keypoints', 'num_keypoints')
    skeleton: Skeleton

    def set_classes(self, file: CocoAnnotations, classes: Sequence[str]) -> None:
        """Completes ``metainfo`` for ``classes`` and the skeleton."""
        super().set_classes(file, classes)
        self.skeleton = Skeleton.of(self._metainfo.get('skeleton') or read_skeleton(file.path))
        name = self._metainfo.get('dataset_name', Path(file.path).stem)
        self.complete_metainfo(
            **mmpose_metainfo(self.skeleton, name),
            skeleton=self.skeleton.spec(),
            class_keypoints=class_keypoints(file, classes, self.skeleton),
        )

    def instance_columns(
        self, file: CocoAnnotations, indices: NDArray[np.int64], bboxes: NDArray[np.float32]
    ) -> dict[str, Array | IdColumn]:
        """The columns of n annotations; see the class."""
        keypoints_of = dict(zip(self._metainfo['cat_ids'], self._metainfo['class_keypoints'], strict=True))
        areas = np.nan_to_num(file.areas[indices]).astype(np.float32)
        return super().instance_columns(file, indices, bboxes) | dict(
            keypoints=read_keypoints(file, indices, keypoints_of, len(self.skeleton.names), self.report),
            areas=np.where(areas > 0, areas, (bboxes[:, 2:] - bboxes[:, :2]).prod(axis=1)),
            id=file.ids.take(indices),
        )
