"""Pictures and result entries of objects with keypoints."""

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.structures import InstanceData

from mmyolox.apis.drawing import YOLOXVisualizer
from mmyolox.deploy.draw import line_width
from mmyolox.deploy.letterbox import Image
from mmyolox.registry import VISUALIZERS

from .skeleton import Skeleton, mmpose_metainfo

_SEEN = 2
_WHITE = (255, 255, 255)


@VISUALIZERS.register_module()
class YOLOXPoseVisualizer(YOLOXVisualizer):
    """Draws skeletons over the boxes, and lists keypoints as COCO's results do.

    Beside ``classes``, ``dataset_meta`` must have ``skeleton``, what :meth:`Skeleton.of` takes, and may have
    ``class_keypoints``, for each label the indices of the keypoints that its class has; without it every
    class has all K. Left, right and middle differ in colour.

    Args:
        name: The name of MMEngine's visualizer.
        keypoint_score_thr: The lowest score of a keypoint that is drawn, and of one that lines are drawn to.
        **kwargs: Those of :class:`mmengine.visualization.Visualizer`.
    """

    def __init__(self, name: str = 'visualizer', keypoint_score_thr: float = 0.3, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.keypoint_score_thr = keypoint_score_thr

    def draw(self, image: Image, instances: InstanceData) -> Image:
        """Draws objects on a copy of an image.

        Args:
            image: (H, W, 3) uint8, BGR.
            instances: The objects, on the CPU, as for :class:`YOLOXVisualizer`, and ``keypoints`` in pixels
                of the image: (n, K, 3), x, y and the visibility of annotations (0 unknown: nothing is drawn,
                1 hidden: a ring, 2 seen: a disc), or (n, K, 2) with ``keypoint_scores`` (n, K) in [0, 1].
                Objects without the field are drawn as boxes.

        Returns:
            (H, W, 3) uint8, BGR.
        """
        picture = super().draw(image, instances)
        if 'keypoints' not in instances:
            return picture
        skeleton = Skeleton.of(self.dataset_meta['skeleton'])
        in_class = np.zeros((len(self.dataset_meta['classes']), len(skeleton.names)), bool)
        for mask, own in zip(in_class, self._class_keypoints(skeleton), strict=True):
            mask[list(own)] = True
        visibility = np.asarray(instances.keypoints)[..., 2:]
        if not visibility.shape[2]:
            confident = np.asarray(instances.keypoint_scores) >= self.keypoint_score_thr
            visibility = _SEEN * confident[..., None]
        visibility = np.where(in_class[np.asarray(instances.labels)], visibility[..., 0], 0).astype(int)
        positions = np.floor(np.asarray(instances.keypoints)[..., :2]).astype(int)
        scores = instances.get('scores', np.zeros(len(positions)))
        for i in np.argsort(scores, kind='stable').tolist():
            draw_skeleton(picture, positions[i].tolist(), visibility[i].tolist(), skeleton)
        return picture

    def entries(self, instances: InstanceData) -> list[dict[str, Any]]:
        """The detections of an image as COCO's keypoint results list them.

        Args:
            instances: The objects, on the CPU, as for :class:`YOLOXVisualizer`, and ``keypoints`` (n, K, 2)
                with ``keypoint_scores`` (n, K).

        Returns:
            The entries of :class:`YOLOXVisualizer`, each with ``keypoints``: x, y and score of the keypoints
            that its class has, in the class's order, in one flat list. COCO's own evaluation does not
            read these scores.
        """
        own = self._class_keypoints(Skeleton.of(self.dataset_meta['skeleton']))
        positions = np.asarray(instances.keypoints, np.float64).round(2)
        scores = np.asarray(instances.keypoint_scores, np.float64).round(4)
        triples = np.concatenate([positions, scores[..., None]], axis=2)
        return [
            dict(entry, keypoints=keypoints[list(own[entry['label']])].ravel().tolist())
            for entry, keypoints in zip(super().entries(instances), triples, strict=True)
        ]

    def _class_keypoints(self, skeleton: Skeleton) -> Sequence[Sequence[int]]:
        all_keypoints = list(range(len(skeleton.names)))
        return self.dataset_meta.get('class_keypoints') or [all_keypoints] * len(self.dataset_meta['classes'])


def draw_skeleton(
    image: Image, keypoints: Sequence[Sequence[int]], visibility: Sequence[int], skeleton: Skeleton
) -> None:
    """Draws the keypoints of one object and the lines between them into an image.

    Args:
        image: (H, W, 3) uint8, BGR.
        keypoints: (K, 2) x and y in pixels.
        visibility: (K,), of which 0 draws neither the keypoint nor its lines, 1 a ring, 2 a disc.
        skeleton: The skeleton to draw; its left, right and middle have a colour each.
    """
    link_colours, keypoint_colours = _colours(skeleton)
    width = line_width(image)
    for (one, other), colour in zip(skeleton.links, link_colours, strict=True):
        if visibility[one] and visibility[other]:
            cv2.line(image, keypoints[one], keypoints[other], colour, width, cv2.LINE_AA)
    for center, seen, colour in zip(keypoints, visibility, keypoint_colours, strict=True):
        if seen:
            cv2.circle(image, center, width + 1, colour if seen == _SEEN else _WHITE, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(image, center, width + 1, colour, 1, cv2.LINE_AA)


@functools.cache  # every object of every picture asks
def _colours(skeleton: Skeleton) -> tuple[list[list[int]], list[list[int]]]:
    """The BGR colours of a skeleton's lines and of its keypoints."""
    info = mmpose_metainfo(skeleton, '')
    links, keypoints = (info[key][:, ::-1].tolist() for key in ('skeleton_link_colors', 'keypoint_colors'))
    return links, keypoints
