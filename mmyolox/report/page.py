"""The report of one model, as a page, and its first section."""

from mmyolox.analysis import Analysis
from mmyolox.errors import one_line
from mmyolox.pages import Block, Callout, Facts, Figure, Figures, Fold, Page, Part, Text

from .class_sections import add_classes, add_confusion, add_precision_and_recall
from .error_sections import add_calibration, add_error_types, add_groups
from .keypoint_section import add_keypoints
from .picture_sections import add_suspects, add_worst_images
from .run import Run, described_data, footer, share
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


def add_summary(page: Page, run: Run) -> None:
    """Adds the key figures, what to know about them, and the likeliest steps.

    Args:
        page: The page.
        run: What it is about.
    """
    blocks: list[Block] = [Text(run.origin)]
    analysis = run.analysis
    if analysis is not None:
        blocks.append(Figures(key_figures(analysis)))
        blocks += [Callout(note, 'warning') for note in analysis.notes]
        blocks.append(Part('What is likely to help', _steps(analysis)))
    page.section('Summary', *blocks)


def key_figures(analysis: Analysis) -> list[Figure]:
    """The figures that a reader looks for first.

    Args:
        analysis: The analysis.
    """
    best, images, overall = analysis.curves.best_overall, analysis.images, analysis.figures.overall
    at_threshold = f'at a score of {share(analysis.threshold, 2)}'
    right, wrong, missed = (
        int(counts.sum()) for counts in (images.correct, images.false_positives, images.false_negatives)
    )
    return [
        Figure('AP', share(overall['AP']), 'mean over IoU 0.50 to 0.95'),
        Figure('AP50', share(overall['AP50']), 'at an IoU of 0.50'),
        Figure('Best F1', share(best.f1), at_threshold),
        Figure('Recall', share(best.recall), f'{missed:,} of {right + missed:,} objects missed'),
        Figure('Precision', share(best.precision), f'{wrong:,} of {right + wrong:,} detections false'),
    ]


def _steps(analysis: Analysis) -> list[Block]:
    """The advice of an analysis, each step with its figures."""
    if not analysis.advice:
        return [Text('Nothing stands out that would be worth more than a longer training or more data.')]
    steps: list[Block] = [
        Text('The steps that are worth most by these figures, the likeliest first: guesses, to be tried.')
    ]
    for number, advice in enumerate(analysis.advice, 1):
        figures = {
            name: value if isinstance(value, str) else f'{value:.4g}'
            for name, value in advice.figures.items()
        }
        title = f'{number}. {advice.step}'
        steps.append(Callout(title, 'note', [Text(advice.reason), Fold('The figures', [Facts(figures)])]))
    return steps
