"""The first and the last step of a pipeline with keypoints; what is between them moves keypoints along."""

from functools import partial
from typing import Any

import numpy as np

from mmyolox.datasets.canvas.instances import IGNORED
from mmyolox.datasets.transforms import LoadAnnotations, PackDetInputs
from mmyolox.registry import TRANSFORMS

from .keypoints import map_areas, map_keypoints


@TRANSFORMS.register_module()
class LoadPoseAnnotations(LoadAnnotations):
    """Begins the instance arrays with those of keypoints, and says how they move.

    Beside what :class:`mmyolox.datasets.transforms.LoadAnnotations` makes there are ``gt_keypoints``
    (M, K, 3) float32, x and y in pixels of the current canvas and COCO's visibility, all zero where not
    labelled, and ``gt_areas`` (M,) float32, pixels of the canvas squared. Objects without a labelled keypoint
    stay as boxes.

    Args:
        ignore_crowd: see :class:`mmyolox.datasets.transforms.LoadAnnotations`.
    """

    def transform(self, results: dict) -> dict:
        flip_indices = results['dataset'].skeleton.flip_indices
        map_points = partial(map_keypoints, flip_indices=flip_indices)
        results['instance_maps'] = dict(gt_keypoints=map_points, gt_areas=map_areas)
        return super().transform(results)

    def load_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays ``gt_*``, see :meth:`LoadAnnotations.load_instances`."""
        return super().load_instances(results) | dict(
            gt_keypoints=results['keypoints'].astype(np.float32),
            gt_areas=results['areas'].astype(np.float32),
        )


@TRANSFORMS.register_module()
class PackPoseInputs(PackDetInputs):
    """Packs keypoints along, see :class:`mmyolox.datasets.transforms.PackDetInputs`.

    ``data_samples`` also holds ``keypoints`` (M, K, 3) and ``areas`` (M,), float32 in pixels of ``inputs``,
    where annotations were loaded. The meta also has the untouched ``gt_keypoints`` in pixels of the original
    image, and ``id``, the list of the annotations' ids, which MMPose's metric reads.
    """

    def pack_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays of objects and of ignored regions, see :meth:`PackDetInputs.pack_instances`."""
        packed = super().pack_instances(results)
        if 'gt_keypoints' in results:
            is_object = results['gt_bboxes_labels'] != IGNORED
            packed.update(keypoints=results['gt_keypoints'][is_object], areas=results['gt_areas'][is_object])
        return packed

    def pack_meta(self, results: dict) -> dict[str, Any]:
        """What else is told of the image, see :meth:`PackDetInputs.pack_meta`."""
        meta = super().pack_meta(results)
        if 'keypoints' in results:
            meta.update(gt_keypoints=results['keypoints'], id=results['id'])
        return meta
