"""Data sets annotated in COCO's keypoint format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.datasets.coco import CocoAnnotations, Entry
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

    def select_annotations(self, file: CocoAnnotations) -> list[Entry]:
        """The annotations of the configured classes, ``keypoints`` as arrays (K, 3) float32."""
        annotations = super().select_annotations(file)
        keypoints_of = dict(zip(self._metainfo['cat_ids'], self._metainfo['class_keypoints'], strict=True))
        keypoints = read_keypoints(file, annotations, keypoints_of, len(self.skeleton.names))
        return [a | dict(keypoints=array) for a, array in zip(annotations, keypoints, strict=True)]

    def instance_arrays(self, annotations: Sequence[Entry], bboxes: NDArray[np.float32]) -> dict[str, Any]:
        """The arrays of one image's M instances; see the class."""
        shape = (len(annotations), len(self.skeleton.names), 3)
        areas = np.array([a.get('area') or 0 for a in annotations], np.float32)
        return super().instance_arrays(annotations, bboxes) | dict(
            keypoints=np.array([a['keypoints'] for a in annotations], np.float32).reshape(shape),
            areas=np.where(areas > 0, areas, (bboxes[:, 2:] - bboxes[:, :2]).prod(axis=1)),
            id=[a['id'] for a in annotations],
        )
