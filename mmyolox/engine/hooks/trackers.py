"""Charts of each validation for the trackers of experiments: TensorBoard, W&B, MLflow and others."""

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.analysis import Analysis, Case, Detections, GroundTruth, analyse
from mmyolox.deploy.letterbox import Image
from mmyolox.errors import UserError
from mmyolox.pages import Chart, require_packages
from mmyolox.pages.charts import chart_png
from mmyolox.registry import HOOKS
from mmyolox.report.class_sections import confusion_chart, precision_chart

from .pictures import going_on, validated_at


@HOOKS.register_module()
class TrackersHook(Hook):
    """Gives the trackers the confusion matrix and the precision over the recall of each validation.

    Trackers are the backends of the Runner's visualizer but ``LocalVisBackend``; without any nothing is done.
    The charts are those of the report, and need what it needs. They are of the detections that a metric has
    in ``last_results``, as :class:`~mmyolox.evaluation.YOLOXCocoMetric` does; without such a metric there are
    none. What cannot be drawn is told, and the training goes on.
    """

    # After the hook that writes the figures of the validation.
    priority = 'LOW'

    def __init__(self) -> None:
        self._is_off = False

    def before_train(self, runner: Runner) -> None:
        """Finds out, before the first validation, whether there is somebody to draw for.

        Args:
            runner: The runner, with all that it needs built.
        """
        trackers = getattr(runner.visualizer, 'trackers', ())
        self._is_off = not (is_main_process() and trackers)
        if not self._is_off:
            try:
                require_packages('hotcoco')
            except UserError as error:
                self._is_off = True
                runner.logger.warning(f'no charts for {", ".join(trackers)}: {error}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draws the charts.

        Args:
            runner: The runner.
            metrics: The figures.
        """
        at = validated_at(runner)
        if self._is_off or at is None:
            return
        with going_on(runner.logger, 'no charts for the trackers'):
            case = validated_case(runner)
            if case is not None:
                for name, chart in charts_of(analyse(case)).items():
                    runner.visualizer.track_picture(f'validation/{name}', picture_of(chart), at.number)


def validated_case(runner: Runner) -> Case | None:
    """What the last validation detected, beside what was to be found.

    Args:
        runner: The runner, on the main process.

    Returns:
        Both; None where no metric of the validation has ``last_results``.

    Raises:
        UserError: The data set is none of ours, or the detections have impossible numbers.
    """
    found = next(
        (one.last_results for one in runner.val_evaluator.metrics if hasattr(one, 'last_results')), None
    )
    if found is None:
        return None
    truth = GroundTruth.of_dataset(runner.val_dataloader.dataset)
    return Case(truth, Detections.of_images(found, truth))


def charts_of(analysis: Analysis) -> dict[str, Chart]:
    """The charts of a validation by their names; those of which there is something to see.

    Args:
        analysis: The analysis of the validation.
    """
    charts = {}
    if not np.isnan(analysis.curves.best_overall.f1):
        charts['precision_and_recall'] = precision_chart(analysis)
    if analysis.confusion.matrix.any():
        charts['confusion_matrix'] = confusion_chart(analysis)
    return charts


def picture_of(chart: Chart) -> Image:
    """A chart as a picture, (H, W, 3) uint8, BGR."""
    return np.asarray(cv2.imdecode(np.frombuffer(chart_png(chart), np.uint8), cv2.IMREAD_COLOR), np.uint8)
