"""The report of one model, as a page."""

from mmyolox.errors import one_line
from mmyolox.pages import Page

from .class_sections import add_classes, add_confusion, add_precision_and_recall
from .error_sections import add_calibration, add_error_types, add_groups
from .keypoint_section import add_keypoints
from .overview import add_summary
from .picture_sections import add_suspects, add_worst_images
from .run import Run, described_data, footer
from .training import add_training


def report_page(run: Run) -> Page:
    """The report of a model.

    Args:
        run: The model, what it does wrong, and what is known of it.
    """
    lead = '' if run.analysis is None else f'{described_data(run.analysis)}.'
    page = Page(one_line(f'Report of {run.name}'), lead, footer())
    add_summary(page, run)
    if run.analysis is not None:
        add_classes(page, run.analysis)
        add_precision_and_recall(page, run.analysis, run.weights)
        add_confusion(page, run.analysis)
        add_error_types(page, run.analysis)
        add_groups(page, run.analysis)
        add_calibration(page, run.analysis)
        add_keypoints(page, run.analysis)
        add_worst_images(page, run.analysis)
        add_suspects(page, run.analysis)
    add_training(page, run)
    return page
