"""The sections of a report about classes: their figures, precision, recall, and which are mixed up."""

import math
from collections.abc import Sequence
from shlex import quote

import numpy as np

from mmyolox.analysis import Analysis
from mmyolox.pages import Block, Cell, Chart, Code, Column, Grid, Page, Part, Table, Text
from mmyolox.pages.charts import Axis, Series, class_curves, confusion, lines

from .run import share

_CURVES = 100
"""Of how many classes curves are drawn, those with the most objects."""
_NAMED = 20
"""How many classes a command gives thresholds of their own."""
_CONFUSIONS = 20
"""How many confusions are listed."""


def add_classes(page: Page, analysis: Analysis) -> None:
    """Adds a table of all classes.

    Args:
        page: The page.
        analysis: The analysis.
    """
    truth, figures, curves = analysis.case.truth, analysis.figures, analysis.curves
    matrix, ece = analysis.confusion.matrix, analysis.calibration.error_by_class
    counts = truth.object_counts
    last = len(truth.classes)
    rows: list[Sequence[str | float | Cell | None]] = []
    for label, name in enumerate(truth.classes):
        best = curves.best[label]
        rows.append(
            [
                name,
                int(counts[label]),
                float(figures.ap[label]),
                float(figures.ap50[label]),
                best.f1,
                best.threshold,
                best.precision,
                best.recall,
                int(matrix[label, last]),
                int(matrix[last, label]),
                float(ece[label]),
            ]
        )
    columns = [
        Column('Class'),
        Column('Objects', 0),
        Column('AP', 3, is_barred=True),
        Column('AP50', 3),
        Column('F1', 3),
        Column('Score', 2),
        Column('Precision', 2),
        Column('Recall', 2),
        Column('Missed', 0),
        Column('False', 0),
        Column('ECE', 3),
    ]
    page.section(
        'Classes',
        Text(
            'A click on a heading sorts. A class with a low AP and few objects wants more examples; one with '
            'many objects is hard, or annotated in more than one way.'
        ),
        Text(
            'F1 is the best that the class can have, from the score beside it on, with that precision and '
            'recall; a class whose score is far from those of the others loses by a threshold for all. '
            f'Missed are objects, and false are detections on background, at {analysis.threshold:.2f}, the '
            'best threshold for all. ECE is how far scores are from the shares of correct detections.'
        ),
        Table('Figures of each class', columns, rows),
    )


def add_precision_and_recall(page: Page, analysis: Analysis, weights: str) -> None:
    """Adds the curves of precision, recall and F1, and the threshold to set.

    Args:
        page: The page.
        analysis: The analysis.
        weights: The file of the weights, for the commands; empty where nobody knows.
    """
    best = analysis.curves.best_overall
    if math.isnan(best.f1):
        return
    if math.isnan(best.threshold):
        line = 'No detection is right, so that there is neither a curve nor a threshold to set.'
        page.section('Precision and recall', Text(line))
        return
    page.section(
        'Precision and recall',
        Text(
            'Precision is the share of detections that are right, recall the share of objects that are '
            'found, F1 their harmonic mean. A good curve of precision over recall stays at the top up to the '
            'right.'
        ),
        Grid([precision_chart(analysis), f1_chart(analysis)]),
        Part('The threshold to set', [*_threshold(analysis, weights), threshold_chart(analysis)]),
    )


def precision_chart(analysis: Analysis) -> Chart:
    """Precision over recall of every class, at an IoU of 0.50.

    Args:
        analysis: The analysis.
    """
    curves, classes, shown = analysis.curves, analysis.case.truth.classes, drawn_classes(analysis)
    return class_curves(
        'Precision over recall',
        f'Each curve is a class at an IoU of 0.50; the bold one is their mean, with an area of '
        f'{share(analysis.figures.overall["AP50"])}.{_left_out(analysis)}',
        Series('mean of all classes', curves.recalls, curves.mean_precisions[0]),
        [Series(classes[label], curves.recalls, curves.precisions[label]) for label in shown],
        Axis('recall', (0, 1)),
        Axis('precision', (0, 1)),
    )


def f1_chart(analysis: Analysis) -> Chart:
    """F1 over the score threshold of every class.

    Args:
        analysis: The analysis.
    """
    curves, classes, shown = analysis.curves, analysis.case.truth.classes, drawn_classes(analysis)
    best = curves.best_overall
    return class_curves(
        'F1 over the score threshold',
        f'Each curve is a class; the bold one is of all objects together, and highest at '
        f'{best.threshold:.2f} with {share(best.f1)}.{_left_out(analysis)}',
        Series('all objects', curves.thresholds, curves.f1_at[-1]),
        [Series(classes[label], curves.thresholds, curves.f1_at[label]) for label in shown],
        Axis('score threshold', (0, 1)),
        Axis('F1', (0, 1)),
    )


def threshold_chart(analysis: Analysis) -> Chart:
    """Precision, recall and F1 of all objects together over the score threshold.

    Args:
        analysis: The analysis.
    """
    curves, best = analysis.curves, analysis.curves.best_overall
    named = {'precision': curves.precision_at, 'recall': curves.recall_at, 'F1': curves.f1_at}
    return lines(
        'Precision, recall and F1 of all objects',
        f'A higher threshold keeps fewer detections: precision rises and recall falls. At '
        f'{best.threshold:.2f} they are {share(best.precision)} and {share(best.recall)}.',
        [Series(name, curves.thresholds, values[-1]) for name, values in named.items()],
        Axis('score threshold', (0, 1)),
        Axis('share', (0, 1)),
    )


def _left_out(analysis: Analysis) -> str:
    """The end of a description of a chart that has not all classes."""
    classes, shown = len(analysis.case.truth.classes), len(drawn_classes(analysis))
    return f' Drawn are {shown} classes, those with the most objects.' * (shown < classes)


def _threshold(analysis: Analysis, weights: str) -> list[Block]:
    """What the best threshold is, and by which options it is set."""
    best = analysis.curves.best_overall
    value = floored(best.threshold)
    named = zip(analysis.case.truth.classes, analysis.curves.best, strict=True)
    known = [(name, one.threshold) for name, one in named if not math.isnan(one.threshold)]
    of_classes = ','.join([value, *(f'{name}={floored(each)}' for name, each in known[:_NAMED])])
    blocks: list[Block] = [
        Text(
            f'F1 is the best for a score of {best.threshold:.3f} on: {share(best.precision)} of what is kept '
            f'is right, and {share(best.recall)} of the objects are found. Choose a higher one where a false '
            'alarm costs more than an object that is not found, a lower one in the other case. The tables '
            'and pictures below have what this threshold keeps; AP counts all detections, whatever is set.'
        ),
        Code(
            f'mmyolox predict photos/ {weights or "CHECKPOINT"} --score-thr {value}\n'
            f'mmyolox predict photos/ {weights or "CHECKPOINT"} --score-thr {quote(of_classes)}\n'
            f'mmyolox export {weights or "CHECKPOINT"} --score-thr {value}',
            'The commands that take the threshold, and the best of each class',
        ),
        Text(
            f'In a config the key is `model.test_cfg.score_thr={value}`; leave that low where AP is measured.'
        ),
    ]
    return blocks


def floored(threshold: float) -> str:
    """A threshold in three digits, rounded down: rounded up, it would cut off what it still keeps."""
    return f'{math.floor(1000 * threshold) / 1000:.3f}'


def drawn_classes(analysis: Analysis) -> list[int]:
    """The labels of the classes whose curves are drawn, in their order; none without objects.

    Args:
        analysis: The analysis.
    """
    counts = analysis.case.truth.object_counts
    most = np.argsort(-counts, kind='stable')[:_CURVES]
    return sorted(label for label in most.tolist() if counts[label])


def add_confusion(page: Page, analysis: Analysis) -> None:
    """Adds the confusion matrix, and its largest entries off the diagonal.

    Args:
        page: The page.
        analysis: The analysis.
    """
    matrix = analysis.confusion.matrix
    if not matrix.any():
        return
    names = [*analysis.case.truth.classes, 'background']
    rows = [
        [names[row], names[column], int(matrix[row, column]), _of_row(matrix, row, column)]
        for row, column in largest_confusions(analysis)[:_CONFUSIONS]
    ]
    columns = [
        Column('Annotated'),
        Column('Detected'),
        Column('Boxes', 0, is_barred=True),
        Column('Share', 3),
    ]
    page.section(
        'Confusion',
        Text(
            'A row is what was annotated, a column what was detected, at a score of '
            f'{analysis.confusion.threshold:.2f} or more and an IoU of 0.50. The diagonal is right. The '
            'column of background are objects that nothing found; its row are detections where nothing is '
            'annotated.'
        ),
        confusion_chart(analysis),
        Table('The largest confusions', columns, rows),
    )


def confusion_chart(analysis: Analysis) -> Chart:
    """The confusion matrix, with background.

    Args:
        analysis: The analysis.
    """
    matrix, classes = analysis.confusion.matrix, analysis.case.truth.classes
    description = (
        f'{int(np.trace(matrix)):,} of {int(matrix[:-1].sum()):,} objects are found as what they are.'
    )
    if pairs := largest_confusions(analysis):
        row, column = pairs[0]
        described = _described([*classes, 'background'], row, column)
        description += f' The largest number beside them, {int(matrix[row, column]):,}: {described}.'
    return confusion('Confusion matrix', description, matrix, classes)


def largest_confusions(analysis: Analysis) -> list[tuple[int, int]]:
    """The rows and columns of the confusion matrix that are off its diagonal and not 0, the largest first.

    Args:
        analysis: The analysis.
    """
    matrix = analysis.confusion.matrix.copy()
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind='stable')[: int((matrix > 0).sum())]
    rows, columns = np.unravel_index(order, matrix.shape)
    return [*zip(rows.tolist(), columns.tolist(), strict=True)]


def _described(names: Sequence[str], row: int, column: int) -> str:
    last = len(names) - 1
    if column == last:
        return f'objects of {names[row]} that are not found'
    if row == last:
        return f'detections of {names[column]} on background'
    return f'objects of {names[row]} detected as {names[column]}'


def _of_row(matrix: np.ndarray, row: int, column: int) -> float | None:
    """The share of the objects of a class; None for background, which has no number."""
    return None if row == len(matrix) - 1 else float(matrix[row, column] / matrix[row].sum())
