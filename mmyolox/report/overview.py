"""The first section of a report: the key figures, and the likeliest steps."""

import math

from mmyolox.analysis import Analysis
from mmyolox.pages import Block, Callout, Facts, Figure, Figures, Fold, Page, Part, Text

from .run import Run

UNKNOWN = '-'
"""In the place of a figure where there is nothing to measure."""


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


def share(value: float, digits: int = 3) -> str:
    """A figure from 0 to 1 as it is shown; a dash where there is nothing to measure."""
    return UNKNOWN if math.isnan(value) else f'{value:.{digits}f}'


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
