"""Pictures of what was found, kept while a test runs, or during a training."""

import logging
import os.path as osp
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from mmyolox.curves import plot_curves, read_curves
from mmyolox.datasets.base import detection_datasets
from mmyolox.datasets.transforms import UndecodableImageError, read_image
from mmyolox.deploy.draw import as_bgr, picture_path
from mmyolox.errors import UserError, one_line
from mmyolox.files import atomic_write, check_folder, writing
from mmyolox.registry import HOOKS

_SHEET = re.compile(r'(epoch|iter)_\d+\.jpg')


@HOOKS.register_module()
class DetectionPicturesHook(Hook):
    """Has the Runner's visualizer draw every test image, with its annotations and what was found in it.

    MMDetection's ``DetVisualizationHook`` does so for files that OpenCV decodes. This one takes all images
    that a data set reads, of any number of channels, and leaves out those that do not decode, which the data
    set has named.

    Args:
        out_dir: The folder of the pictures, which have the images' names (see
            :func:`~mmyolox.deploy.draw.picture_path`), in folders of its own where the images are in several.
        score_thr: The lowest score that is drawn.
        backend_args: The arguments of the images' file backend, as for
            :func:`~mmyolox.datasets.transforms.read_image`.

    Raises:
        UserError: The folder cannot be made, or takes no files.
    """

    def __init__(
        self, out_dir: str, score_thr: float = 0.3, backend_args: dict[str, Any] | None = None
    ) -> None:
        self.out_dir = Path(out_dir)
        self.score_thr = score_thr
        self.backend_args = backend_args
        self._root = ''
        if is_main_process():
            check_folder(self.out_dir)

    def before_test(self, runner: Runner) -> None:
        """Finds the folder that has all images: the same name in two folders below are two images."""
        datasets = detection_datasets(runner.test_dataloader.dataset)
        paths = (path for dataset in datasets for path in dataset.data_list.images('img_path'))
        folders = {osp.abspath(folder) for folder in {osp.dirname(path) for path in paths}}
        self._root = osp.commonpath(folders) if folders else ''

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draws the images of a batch."""
        with writing(self.out_dir):
            self.out_dir.mkdir(parents=True, exist_ok=True)
        for sample in outputs or ():
            try:
                image = as_bgr(read_image(sample.img_path, backend_args=self.backend_args))
            except UndecodableImageError:
                continue
            path = sample.img_path
            name = osp.relpath(path, self._root) if self._root else osp.basename(path)
            runner.visualizer.add_datasample(
                name,
                image[..., ::-1],
                sample,
                pred_score_thr=self.score_thr,
                out_file=str(picture_path(self.out_dir / name)),
            )


@HOOKS.register_module()
class ValidationPicturesHook(Hook):
    """Keeps a sheet of the same few images for each validation: annotations, and detections beside them.

    The sheets are ``<work_dir>/validation/epoch_<N>.jpg``, and trackers get them, too. Nothing is drawn where
    the Runner's visualizer has not the methods of :class:`~mmyolox.apis.drawing.YOLOXVisualizer`. What cannot
    be drawn or written is told, and the training goes on.

    Args:
        max_images: The number of images on a sheet, spread evenly over those of the first process.
        max_sheets: How many sheets are kept, those written last.
        score_thr: The lowest score that is drawn.
        backend_args: The arguments of the images' file backend, as for
            :func:`~mmyolox.datasets.transforms.read_image`.
    """

    def __init__(
        self,
        max_images: int = 8,
        max_sheets: int = 20,
        score_thr: float = 0.3,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        self.max_images = max_images
        self.max_sheets = max_sheets
        self.score_thr = score_thr
        self.backend_args = backend_args
        self._pictures: list[Any] = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draws those images of a batch that are chosen."""
        if not is_main_process() or not hasattr(runner.visualizer, 'draw_sample'):
            return
        loader = runner.val_dataloader
        size = loader.batch_size or 1
        total = min(len(loader) * size, len(loader.dataset))
        chosen = {number * total // self.max_images for number in range(self.max_images)}
        for number, sample in enumerate(outputs or (), start=batch_idx * size):
            if number in chosen:
                with (
                    going_on(runner.logger, f'no picture of {sample.img_path}'),
                    suppress(UndecodableImageError),
                ):
                    image = as_bgr(read_image(sample.img_path, backend_args=self.backend_args))
                    picture = runner.visualizer.draw_sample(image, sample, pred_score_thr=self.score_thr)
                    self._pictures.append(runner.visualizer.shrink(picture))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Writes the sheet, and removes the oldest of too many."""
        pictures, self._pictures = self._pictures, []
        at = validated_at(runner)
        if not pictures or at is None:
            return
        path = Path(runner.work_dir, 'validation', f'{at.unit}_{at.number}.jpg')
        title = (
            f'{at.unit} {at.number}: annotations at the left of each pair, '
            f'detections (score {self.score_thr:g} or more) at the right'
        )
        with going_on(runner.logger, f'no {path}'):
            sheet = runner.visualizer.sheet(pictures, title)
            with going_on(runner.logger, 'no pictures for the trackers'):
                runner.visualizer.track_picture('validation/pictures', sheet, at.number)
            with atomic_write(path) as part:
                part.write_bytes(cv2.imencode('.jpg', sheet)[1].tobytes())
            # By time: those of a training that was here before may have larger numbers.
            sheets = sorted(
                (one for one in path.parent.iterdir() if _SHEET.fullmatch(one.name)),
                key=lambda one: (one.stat().st_mtime_ns, int(re.sub(r'\D', '', one.name))),
            )
            for old in sheets[: max(len(sheets) - self.max_sheets, 0)]:
                old.unlink(missing_ok=True)


@HOOKS.register_module()
class CurvesHook(Hook):
    """Plots the losses and APs of the training so far after each validation: ``<work_dir>/curves.png``.

    They come from the scalars of ``LocalVisBackend``; without that there is no picture. One that cannot be
    drawn or written is told, and the training goes on.
    """

    # After the hook that writes the figures of the validation.
    priority = 'LOW'

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Plots them."""
        folder = Path(runner.work_dir)
        is_training = isinstance(runner._train_loop, BaseLoop)
        if is_main_process() and is_training and any(folder.glob('*/vis_data/scalars.json')):
            with going_on(runner.logger, 'no curves.png'):
                plot_curves(read_curves(folder), folder / 'curves.png', title=folder.name)


class ValidatedAt(NamedTuple):
    """When a validation of a training takes place.

    Attributes:
        unit: What is counted: ``epoch`` or ``iter``.
        number: How many of them there were.
    """

    unit: str
    number: int


def validated_at(runner: Runner) -> ValidatedAt | None:
    """When the validation takes place, after which a hook is called; None outside of a training.

    Args:
        runner: The runner.
    """
    loop = runner._train_loop
    if not isinstance(loop, BaseLoop):
        return None
    is_by_epoch = isinstance(loop, EpochBasedTrainLoop)
    return ValidatedAt('epoch', loop.epoch) if is_by_epoch else ValidatedAt('iter', loop.iter)


@contextmanager
def going_on(logger: logging.Logger, what: str) -> Iterator[None]:
    """Makes a warning of one line of any error in the block: no picture is worth a training.

    Args:
        logger: Where it goes; the file of the log gets the traceback of what is no user's mistake.
        what: What there will not be.
    """
    try:
        yield
    except UserError as error:
        logger.warning(str(error))
    except Exception as error:
        logger.warning(one_line(f'{what}: {type(error).__name__}: {error}'))
        logger.info(one_line(what), exc_info=True)
