"""Data sets with keypoints in YOLO's text files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets import YOLOXYoloDataset
from mmyolox.datasets.annotations import Finding
from mmyolox.datasets.yolo import YoloObject
from mmyolox.datasets.yolo_files import keypoint_shape
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, first_few
from mmyolox.registry import DATASETS

from .skeleton import Skeleton, mmpose_metainfo, read_skeleton
from .transforms import without_outliers
from .yolo_skeleton import NO_KEYPOINTS


@DATASETS.register_module()
class YOLOXPoseYoloDataset(YOLOXYoloDataset):
    """Images, boxes and keypoints of a YOLO data set with a ``kpt_shape``; all classes share the keypoints.

    The entries are those of :class:`mmyolox.datasets.YOLOXYoloDataset` with the ``keypoints``, ``areas`` and
    ``id`` of :class:`.dataset.YOLOXPoseCocoDataset`: an area is that of the box, and ids count from 1. A
    keypoint of three numbers is labelled if the third, its visibility, is above 0, and seen if it is above 1.
    One of two numbers is seen, unless both are 0 or one is negative. What lies outside the image is not
    labelled.

    ``metainfo['skeleton']`` is what :meth:`Skeleton.of` takes; by default that of the YAML file, see
    :func:`.yolo_skeleton.yolo_parts`.

    Attributes:
        skeleton: What the keypoints are; set by the loading.

    Raises:
        UserError: See :class:`mmyolox.datasets.YOLOXYoloDataset`; also where there is no ``kpt_shape``, the
            skeleton has another number of keypoints, or none is labelled.
    """

    reads_keypoints = True
    skeleton: Skeleton

    def read_entries(
        self, root: Path, labels: Mapping[Path, Path], data: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Reads the entries of all images, and notes keypoints outside of these."""
        self._outside = Finding()
        entries = super().read_entries(root, labels, data)
        path, boxes = self.report.path, self.report.boxes
        if boxes and not any(entry['keypoints'].any() for entry in entries):
            raise UserError(f'{path}: none of the {boxes} objects has a labelled keypoint')
        if self._outside.count:
            what = 'keypoints outside their image count as not labelled'
            line = f'{self._outside.count} {what}: {first_few(self._outside.examples)}'
            self.report.notes.append(line)
        return entries

    def set_names(self, names: Sequence[str] | None, data: Mapping[str, Any]) -> None:
        """Completes ``metainfo`` for the classes and the skeleton."""
        super().set_names(names, data)
        path = self.report.path
        self._shape = count, _ = keypoint_shape(path, data)
        if not count:
            raise UserError(f'{path}: {NO_KEYPOINTS}')
        self.skeleton = Skeleton.of(self._metainfo.get('skeleton') or read_skeleton(path))
        if count != len(self.skeleton.names):
            raise UserError(
                f'{path}: kpt_shape has {count} keypoints, but the skeleton {len(self.skeleton.names)}'
            )
        name = self._metainfo.get('dataset_name', Path(path).absolute().parent.name)
        self.complete_metainfo(
            **mmpose_metainfo(self.skeleton, name),
            skeleton=self.skeleton.spec(),
            class_keypoints=[list(range(count)) for _ in self._metainfo['classes']],
        )

    def categories(self) -> list[dict[str, Any]]:
        """COCO's category of each class, with the names of its keypoints."""
        return [category | dict(keypoints=list(self.skeleton.names)) for category in super().categories()]

    def object_columns(self, info: dict[str, Any]) -> dict[str, NDArray[Any]]:
        """COCO's fields of the objects of an entry, with ``keypoints`` (M, 3K)."""
        keypoints = info['keypoints'].astype(np.float64)
        numbers = keypoints.shape[1] * keypoints.shape[2]  # -1 cannot tell it of no object
        return super().object_columns(info) | dict(keypoints=keypoints.reshape(-1, numbers))

    def entry(self, img_id: str, img_path: str, size: Size, objects: Sequence[YoloObject]) -> dict[str, Any]:
        """The entry of an image with what is usable of its objects."""
        entry = super().entry(img_id, img_path, size, objects)
        bboxes, last = entry['bboxes'], self.report.boxes
        keypoints = without_outliers(entry['keypoints'], size).astype(np.float32)
        lost = (entry['keypoints'][..., 2] > 0) & (keypoints[..., 2] == 0)
        self._outside.note([img_id] * int(lost.sum()))
        areas = (bboxes[:, 2:] - bboxes[:, :2]).prod(axis=1)
        ids = list(range(last - len(bboxes) + 1, last + 1))
        return entry | dict(keypoints=keypoints, areas=areas, id=ids)

    def instance_arrays(self, objects: Sequence[YoloObject], size: Size) -> dict[str, NDArray[Any]]:
        """``keypoints`` (M, K, 3): x and y in pixels, also outside the image, and COCO's visibility."""
        count, numbers = self._shape
        missing = [0.0] * (count * numbers)  # of a line with the box alone
        values = np.array([item.keypoints or missing for item in objects], np.float64)
        values = values.reshape(len(objects), count, numbers)
        positions = values[..., :2]
        if numbers == 3:
            visibility = np.where(values[..., 2] > 1, 2.0, np.where(values[..., 2] > 0, 1.0, 0.0))
        else:
            visibility = np.where((positions >= 0).all(-1) & (positions > 0).any(-1), 2.0, 0.0)
        return dict(keypoints=np.concatenate([positions * size, visibility[..., None]], axis=-1))
