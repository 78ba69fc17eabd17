"""Pictures of objects, and their entries in a result file, as a config's ``visualizer`` makes them."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement, InstanceData
from mmengine.visualization import LocalVisBackend, MLflowVisBackend, Visualizer
from numpy.typing import ArrayLike

from mmyolox.deploy.draw import Colour, as_bgr, class_colour, ink_on, line_width
from mmyolox.deploy.letterbox import Image
from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.registry import VISUALIZERS

from .trackers import tracker_backends

_FONT = cv2.FONT_HERSHEY_SIMPLEX

# Of sheets: the longest side of a picture, the space around each, the height of the title, in pixels.
_CELL, _GAP, _TITLE, _PAPER = 640, 6, 28, 232


@VISUALIZERS.register_module()
class YOLOXVisualizer(Visualizer):
    """MMEngine's visualizer, which writes curves, with pictures and result entries of detections.

    ``dataset_meta`` must be set; the Runner does so. Its ``classes`` (C names) and, if they are there,
    ``cat_ids`` (C) say what the labels stand for. A project that predicts more than boxes extends
    :meth:`draw` and :meth:`entries`, and all tools show it.

    Args:
        name: The name of MMEngine's visualizer.
        vis_backends: MMEngine's backends, which get curves and pictures.
        save_dir: The folder of the run's logs, in which they write.
        trackers: Further ones by their names, see :func:`~mmyolox.apis.trackers.tracker_backends`.
        **kwargs: Those of :class:`mmengine.visualization.Visualizer`.

    Raises:
        UserError: There is no such tracker, or its package is not installed.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        vis_backends: Sequence[dict] | None = None,
        save_dir: str | None = None,
        trackers: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        backends = [*(vis_backends or ()), *tracker_backends(trackers or (), save_dir)]
        super().__init__(name, vis_backends=backends, save_dir=save_dir, **kwargs)

    @property
    def trackers(self) -> list[str]:
        """The names of the backends that are more than MMEngine's files in the work dir."""
        return [
            name for name, backend in self._vis_backends.items() if not isinstance(backend, LocalVisBackend)
        ]

    @master_only
    def track_picture(self, name: str, picture: Image, step: int) -> None:
        """Gives a picture to the trackers.

        Args:
            name: Its name, the same for all steps; parts are divided by ``/``.
            picture: (H, W, 3) uint8, BGR.
            step: The epoch, or the iteration.
        """
        rgb = np.ascontiguousarray(picture[..., ::-1])
        for tracker in self.trackers:
            backend = self.get_backend(tracker)
            # MLflow keeps a file, and takes its format from the name.
            file = f'{name}_{step:04}.png' if isinstance(backend, MLflowVisBackend) else name
            backend.add_image(file, rgb, step)

    def draw(self, image: Image, instances: InstanceData) -> Image:
        """Draws objects on a copy of an image.

        Args:
            image: (H, W, 3) uint8, BGR.
            instances: The objects, on the CPU: ``bboxes`` (n, 4) xyxy in pixels of the image, ``labels``
                (n,), where C stands for a region that is ignored, and optionally ``scores`` (n,), which are
                written and put the best on top.

        Returns:
            (H, W, 3) uint8, BGR.
        """
        names = [*self.dataset_meta['classes'], 'ignored']
        return draw_boxes(image, instances.bboxes, instances.labels, names, instances.get('scores'))

    def draw_truth(self, image: Image, truth: InstanceData, ignored_bboxes: ArrayLike) -> Image:
        """Draws annotated objects, and beneath them the regions that training ignores (crowds).

        Args:
            image: (H, W, 3) uint8, BGR. It is not changed.
            truth: The annotations, as ``instances`` of :meth:`draw`.
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
            instances: The detections, on the CPU: ``bboxes`` (n, 4) xyxy in pixels of the image, ``scores``
                and ``labels``.

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

    def draw_sample(
        self,
        image: Image,
        sample: BaseDataElement,
        draw_gt: bool = True,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
    ) -> Image:
        """Draws annotations and, to their right, predictions of an image.

        Args:
            image: (H, W, 3) uint8, BGR. It is not changed.
            sample: A sample with ``gt_instances``, ``ignored_instances`` and ``pred_instances``, each
                optional, in pixels of the image, on any device.
            draw_gt: Whether to draw the annotations.
            draw_pred: Whether to draw the predictions.
            pred_score_thr: The lowest score that is drawn.

        Returns:
            (H, W, 3) uint8, BGR, twice as wide where both are there.
        """
        sample = sample.cpu()
        pictures = []
        if draw_gt and 'gt_instances' in sample:
            ignored = sample.get('ignored_instances')
            bboxes = np.zeros((0, 4)) if ignored is None else ignored.bboxes
            pictures.append(self.draw_truth(image, sample.gt_instances, bboxes))
        if draw_pred and 'pred_instances' in sample:
            predicted = sample.pred_instances
            pictures.append(self.draw(image, predicted[predicted.scores >= pred_score_thr]))
        return np.concatenate(pictures or [image], axis=1)

    def shrink(self, picture: Image) -> Image:
        """A picture (H, W, 3) of a sample in the size that it has on :meth:`sheet`."""
        return shrink(picture, _CELL)

    def sheet(self, pictures: Sequence[Image], title: str) -> Image:
        """Pictures of samples on one sheet, each at most 640 pixels wide and high, see :func:`contact_sheet`.

        Args:
            pictures: At least one; (H, W, 3) uint8, BGR.
            title: What to write above them.
        """
        return contact_sheet(pictures, _CELL, title)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: Image,
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
            name: The name of the window, or of the picture in the backends.
            image: (H, W, 3) uint8, RGB.
            data_sample: A sample with ``gt_instances``, ``ignored_instances`` and ``pred_instances``, each
                optional, in pixels of the image.
            draw_gt: Whether to draw the annotations.
            draw_pred: Whether to draw the predictions.
            show: Whether to open a window.
            wait_time: How many seconds the window stays; 0 waits for a key.
            out_file: The file that the picture is written to, instead of the backends.
            pred_score_thr: The lowest score that is drawn.
            step: The iteration, for the backends.
        """
        sample = BaseDataElement() if data_sample is None else data_sample
        picture = self.draw_sample(image[..., ::-1], sample, draw_gt, draw_pred, pred_score_thr)
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
        dataset_meta: A dict with ``classes`` and whatever else the visualizer reads.
    """
    options = dict(cfg.get('visualizer') or dict(type='YOLOXVisualizer'), vis_backends=None)
    options.pop('trackers', None)
    name = options.pop('type')
    chosen = VISUALIZERS.get(name)
    if not (inspect.isclass(chosen) and issubclass(chosen, YOLOXVisualizer)):
        print_log(
            f'visualizer.type={name} makes no result entries; YOLOXVisualizer takes its place',
            'current',
            logging.WARNING,
        )
        chosen, options = YOLOXVisualizer, {}
    # Not by the registry, which would return an earlier one of the same name.
    visualizer = chosen(**options)
    visualizer.dataset_meta = dataset_meta
    return visualizer


def draw_boxes(
    image: Image,
    bboxes: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    scores: ArrayLike | None = None,
) -> Image:
    """Draws boxes with their class names on a copy of an image.

    Boxes are drawn in the order given, but with ``scores`` the best last, so that it is on top.

    Args:
        image: (H, W, channels) uint8, BGR, or of another number of channels, see :func:`as_bgr`. It is not
            changed.
        bboxes: (M, 4) xyxy in pixels of the image; parts outside the image are not seen.
        labels: (M,) integers, indices into ``class_names``.
        class_names: The names to write.
        scores: (M,) in [0, 1], written behind the names if given.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = as_bgr(image).copy()
    corners = np.round(np.asarray(bboxes, np.float64).reshape(-1, 4)).astype(int).tolist()
    classes = np.asarray(labels, int).tolist()
    texts = [class_names[label] for label in classes]
    order = list(range(len(classes)))
    if scores is not None:
        values = np.asarray(scores, np.float64)
        texts = [f'{text} {value:.2f}' for text, value in zip(texts, values, strict=True)]
        order = np.argsort(values, kind='stable').tolist()
    width = line_width(canvas)
    for i in order:
        x1, y1, x2, y2 = corners[i]
        colour = class_colour(classes[i])
        # A box covers pixels x1 to x2 - 1.
        cv2.rectangle(canvas, (x1, y1), (max(x2 - 1, x1), max(y2 - 1, y1)), colour, width)
        draw_text(canvas, texts[i], (x1, y1), colour)
    return canvas


def draw_text(image: Image, text: str, corner: tuple[int, int], colour: Colour) -> None:
    """Writes a line of text on a filled ground into an image, above a point, or below it at the top edge.

    Args:
        image: (H, W, 3) uint8, BGR. It is drawn into.
        text: One line. OpenCV's font has ASCII only: other characters become ``?``.
        corner: The left end of the ground's base line, (x, y) in pixels; moved so that the text is seen.
        colour: The colour of the ground, BGR; the text is black or white, whichever stands out.
    """
    scale = max(0.35, max(image.shape[:2]) / 1280)
    thickness = max(1, round(scale))
    text = text.encode('ascii', 'replace').decode()
    (text_width, text_height), base = cv2.getTextSize(text, _FONT, scale, thickness)
    height = text_height + base
    x = max(0, min(corner[0], image.shape[1] - text_width - 1))
    y = corner[1] if corner[1] >= height else max(corner[1], 0) + height
    cv2.rectangle(image, (x, y - height), (x + text_width, y - 1), colour, cv2.FILLED)
    cv2.putText(image, text, (x, y - base + 1), _FONT, scale, ink_on(colour), thickness, cv2.LINE_AA)


def shrink(image: Image, longest: int) -> Image:
    """An image (H, W, 3) whose sides have at most ``longest`` pixels; a smaller one as it is."""
    scale = min(1, longest / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def contact_sheet(images: Sequence[Image], cell: int = 320, title: str = '') -> Image:
    """Puts images on one sheet, row by row, as nearly square as they go, each in the middle of its place.

    Args:
        images: At least one; (H, W, 3) uint8 each, of any size.
        cell: The longest side of an image in pixels; images with a longer one are shrunk to it.
        title: A line of ASCII to write above them, small enough to be read whole.

    Returns:
        (H, W, 3) uint8; what no image covers is light grey.
    """
    small = [shrink(image, cell) for image in images]
    height, width = (max(image.shape[axis] for image in small) + _GAP for axis in (0, 1))
    columns = int(np.ceil(np.sqrt(len(small))))
    rows = -(-len(small) // columns)
    top = _TITLE if title else 0
    sheet = np.full((top + rows * height + _GAP, columns * width + _GAP, 3), _PAPER, np.uint8)
    for index, image in enumerate(small):
        y = top + index // columns * height + (height + _GAP - image.shape[0]) // 2
        x = index % columns * width + (width + _GAP - image.shape[1]) // 2
        sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
    if title:
        scale = min(0.6, (sheet.shape[1] - 2 * _GAP) / cv2.getTextSize(title, _FONT, 1, 1)[0][0])
        cv2.putText(sheet, title, (_GAP, top - _GAP), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def write_image(path: Path, image: Image) -> None:
    """Writes an image, in the format of the path's suffix; the folder is made if absent.

    Args:
        path: The file to write.
        image: (H, W, 3) uint8, BGR.

    Raises:
        UserError: OpenCV has no such format, or the system does not take the file.
    """
    # OpenCV sees the suffix alone: a name that is no UTF-8 ends the process.
    if not (path.suffix.isascii() and cv2.haveImageWriter(f'image{path.suffix}')):
        raise UserError(
            f'{path}: OpenCV writes no files of this name; rename the image to end in .png or .jpg'
        )
    with atomic_write(path) as part:
        part.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
