"""Pictures of objects and their entries in a result file, as a config's ``visualizer`` makes them."""

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement, InstanceData
from mmengine.visualization import Visualizer
from numpy.typing import ArrayLike, NDArray

from mmyolox.registry import VISUALIZERS

from .draw import draw_boxes, write_image

Picture = NDArray[np.uint8]


@VISUALIZERS.register_module()
class YOLOXVisualizer(Visualizer):
    """MMEngine's visualizer, which writes curves, with pictures and result entries of detections.

    ``dataset_meta`` must be set; the Runner does so. Its ``classes`` (C names) and, if they are there,
    ``cat_ids`` (C) say what the labels stand for. A project that predicts more than boxes extends
    :meth:`draw` and :meth:`entries`, and all tools show it.
    """

    def draw(self, image: Picture, instances: InstanceData) -> Picture:
        """Draws objects on a copy of an image.

        Args:
            image: (H, W, 3) uint8, BGR.
            instances: On the CPU: ``bboxes`` (n, 4) xyxy in pixels of the image, ``labels`` (n,), where C
                stands for a region that is ignored, and optionally ``scores`` (n,), which are written and
                put the best on top.

        Returns:
            (H, W, 3) uint8, BGR.
        """
        names = [*self.dataset_meta['classes'], 'ignored']
        return draw_boxes(image, instances.bboxes, instances.labels, names, instances.get('scores'))

    def draw_truth(self, image: Picture, truth: InstanceData, ignored_bboxes: ArrayLike) -> Picture:
        """Draws annotated objects, and beneath them the regions that training ignores (crowds).

        Args:
            image: (H, W, 3) uint8, BGR. Left as it is.
            truth: As for :meth:`draw`.
            ignored_bboxes: (I, 4) xyxy in pixels of the image.

        Returns:
            (H, W, 3) uint8, BGR.
        """
        bboxes = np.asarray(ignored_bboxes)
        labels = np.full(len(bboxes), len(self.dataset_meta['classes']))
        return self.draw(self.draw(image, InstanceData(bboxes=bboxes, labels=labels)), truth)

    def entries(self, instances: InstanceData) -> list[dict[str, Any]]:
        """The detections of an image as a result file lists them, in COCO's terms.

        Args:
            instances: On the CPU: ``bboxes`` (n, 4) xyxy in pixels of the image, ``scores`` and ``labels``.

        Returns:
            For each, ``label``, ``class_name``, ``category_id`` (the data set's where it is known, else
            the label + 1), ``bbox`` (x, y, width, height, rounded to 0.01 pixels) and ``score``. Whoever
            knows the image adds ``image_id``.
        """
        classes = self.dataset_meta['classes']
        cat_ids = self.dataset_meta.get('cat_ids') or range(1, len(classes) + 1)
        columns = (instances[key].tolist() for key in ('bboxes', 'scores', 'labels'))
        return [
            dict(
                label=label,
                class_name=classes[label],
                category_id=cat_ids[label],
                bbox=[round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                score=round(score, 4),
            )
            for (x1, y1, x2, y2), score, label in zip(*columns, strict=True)
        ]

    @master_only
    def add_datasample(
        self,
        name: str,
        image: Picture,
        data_sample: BaseDataElement | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draws annotations and, to their right, predictions of an image: what MMDetection's hook calls.

        Args:
            name: Of the window, or of the picture in the backends.
            image: (H, W, 3) uint8, RGB.
            data_sample: With ``gt_instances``, ``ignored_instances`` and ``pred_instances``, each optional,
                in pixels of the image.
            draw_gt: Whether to draw the annotations.
            draw_pred: Whether to draw the predictions.
            show: Open a window.
            wait_time: Seconds until the window closes; 0 waits for a key.
            out_file: Write the picture there, and not to the backends.
            pred_score_thr: The lowest score that is drawn.
            step: The iteration, for the backends.
        """
        bgr = image[..., ::-1]
        sample = BaseDataElement() if data_sample is None else data_sample.cpu()
        pictures = []
        if draw_gt and 'gt_instances' in sample:
            ignored = sample.get('ignored_instances')
            bboxes = np.zeros((0, 4)) if ignored is None else ignored.bboxes
            pictures.append(self.draw_truth(bgr, sample.gt_instances, bboxes))
        if draw_pred and 'pred_instances' in sample:
            found = sample.pred_instances
            pictures.append(self.draw(bgr, found[found.scores >= pred_score_thr]))
        picture = np.concatenate(pictures or [bgr], axis=1)
        rgb = np.ascontiguousarray(picture[..., ::-1])
        if show:
            self.show(rgb, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, rgb, step)
        else:
            write_image(Path(out_file), picture)


def build_visualizer(cfg: Config, dataset_meta: Mapping[str, Any]) -> YOLOXVisualizer:
    """The visualizer that a config names, for pictures and entries alone: nothing is written to its backends.

    A config that names one that cannot do this, as of another project, gets a :class:`YOLOXVisualizer` and a
    warning.

    Args:
        cfg: The whole config.
        dataset_meta: With ``classes`` and whatever else the visualizer reads.
    """
    options = dict(cfg.get('visualizer') or dict(type='YOLOXVisualizer'), vis_backends=None)
    name = options.pop('type')
    kind = VISUALIZERS.get(name)
    if not (inspect.isclass(kind) and issubclass(kind, YOLOXVisualizer)):
        print_log(
            f'visualizer.type={name} makes no result entries; YOLOXVisualizer takes its place',
            'current',
            logging.WARNING,
        )
        kind, options = YOLOXVisualizer, {}
    # Not by the registry, which would return an earlier one of the same name.
    visualizer = kind(**options)
    visualizer.dataset_meta = dataset_meta
    return visualizer
