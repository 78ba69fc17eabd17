"""Pictures of what was found, kept while a test runs."""

import os.path as osp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.datasets.transforms import UndecodableImageError, read_image
from mmyolox.deploy.draw import as_bgr, picture_path
from mmyolox.files import check_folder, writing
from mmyolox.registry import HOOKS


@HOOKS.register_module()
class DetectionPicturesHook(Hook):
    """Has the Runner's visualizer draw every test image, with its annotations and what was found in it.

    MMDetection's ``DetVisualizationHook`` does so for files that OpenCV decodes. This one takes all images
    that a data set reads, of any number of channels, and leaves out those that do not decode, which the data
    set has named.

    Args:
        out_dir: The folder of the pictures, which have the images' names (see
            :func:`~mmyolox.deploy.draw.picture_path`).
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
        if is_main_process():
            check_folder(self.out_dir)

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
            name = osp.basename(sample.img_path)
            runner.visualizer.add_datasample(
                name,
                image[..., ::-1],
                sample,
                pred_score_thr=self.score_thr,
                out_file=str(picture_path(self.out_dir / name)),
            )
