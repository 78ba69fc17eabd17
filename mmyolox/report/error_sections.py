"""The sections of a report about errors: by type, by what objects and images are like, and of the scores."""

import math
from collections.abc import Sequence

import numpy as np

from mmyolox.analysis import Analysis
from mmyolox.analysis.error_types import TYPES
from mmyolox.analysis.groups import Grouping
from mmyolox.pages import Block, Cell, Chart, Column, Fold, Grid, Page, Table, Text
from mmyolox.pages.charts import Axis, bars, grouped_bars, reliability, stacked_bars

from .run import share

MEANINGS = {
    'class': (
        'An object is found, but as another class.',
        'Look at the confusions; merge or redefine classes that people mix up too.',
    ),
    'place': (
        'The class is right, the box overlaps the object too little (IoU 0.1 to 0.5).',
        'Check how tight the annotated boxes are; train longer, or with a larger input.',
    ),
    'both': (
        'Another class, and the box overlaps the object too little.',
        'Usually mended with the two above.',
    ),
    'duplicate': (
        'A second detection of an object that a surer one has found.',
        'Lower the IoU threshold of the suppression (model.test_cfg.nms.iou_threshold).',
    ),
    'background': (
        'A detection where nothing is annotated.',
        'Look at the likely label errors; add images without objects; raise the threshold.',
    ),
    'missed': (
        'An object that nothing is found of, at any score.',
        'Add objects like those, or enlarge the input where they are small.',
    ),
}
"""What each type of error is, and what mends it."""

_HEADINGS = dict(
    area="By COCO's areas",
    size='By size',
    aspect='By aspect ratio',
    crowding='By crowding',
    position='By position in the image',
    border='At the border',
    image='By group of images',
)
_COCO = 'area'
"""The grouping that has no chart: sizes are told apart more finely by another one."""
_CLASSES = 30
"""For how many classes errors are drawn."""


def add_error_types(page: Page, analysis: Analysis) -> None:
    """Adds how many errors there are of each type, and what they cost.

    Args:
        page: The page.
        analysis: The analysis.
    """
    errors = analysis.errors
    if math.isnan(errors.ap50):
        return
    order = np.argsort(-np.nan_to_num(errors.costs), kind='stable')
    worst = TYPES[order[0]]
    chart = bars(
        'What each type of error costs',
        f'The AP50 is {share(errors.ap50)}. The dearest type is {worst}: without these errors it would be '
        f'{share(float(errors.costs[order[0]]))} higher.',
        [TYPES[index] for index in order],
        errors.costs[order],
        Axis('rise of AP50 without these errors'),
    )
    by_class = errors.counts_by_class
    labels = np.argsort(-by_class.sum(1), kind='stable')
    labels = labels[by_class[labels].sum(1) > 0]
    names = [analysis.case.truth.classes[label] for label in labels]
    blocks: list[Block] = [
        Text(
            'Every detection that is wrong, at any score, and every object that is missed is of one type. '
            'The cost is by how much AP50 would rise if all errors of this type were mended and no other: '
            'mend the dearest one first. Costs do not add up.'
        ),
        chart,
        type_table(analysis, order.tolist()),
        Text(
            f'Without all wrong detections AP50 would rise by {share(errors.false_positives)}, with all '
            f'objects found by {share(errors.false_negatives)}.'
        ),
    ]
    if names:
        blocks.append(
            stacked_bars(
                'Errors of each class',
                f'{names[0]} has the most errors, {int(by_class[labels[0]].sum()):,}.',
                names,
                {name: by_class[labels, index] for index, name in enumerate(TYPES)},
                Axis('errors'),
                shown=_CLASSES,
            )
        )
    page.section('Errors by type', *blocks)


def type_table(analysis: Analysis, order: Sequence[int]) -> Table:
    """How many errors there are of each type, what they cost and what may help.

    Args:
        analysis: The analysis.
        order: The types in the order of the rows, as indices.
    """
    errors, shown = analysis.errors, analysis.images.type_counts.sum(0)
    rows: list[Sequence[str | float | Cell | None]] = [
        [
            TYPES[index],
            int(errors.counts[index]),
            int(shown[index]),
            float(errors.costs[index]),
            *MEANINGS[TYPES[index]],
        ]
        for index in order
    ]
    columns = [
        Column('Type'),
        Column('Errors', 0, note='of any score'),
        Column('Shown', 0, note=f'from {analysis.threshold:.2f} on'),
        Column('Cost', 3, is_barred=True, note='in AP50'),
        Column('What it is'),
        Column('What may help'),
    ]
    return Table('Errors by type', columns, rows)


def add_groups(page: Page, analysis: Analysis) -> None:
    """Adds figures by what objects and images are like.

    Args:
        page: The page.
        analysis: The analysis.
    """
    groupings = [one for one in analysis.groupings if sum(group.objects > 0 for group in one.groups) > 1]
    if not groupings:
        return
    rows: list[Sequence[str | float | Cell | None]] = [
        [
            group.name,
            _HEADINGS[grouping.name],
            group.images,
            group.objects,
            group.detections,
            group.ap50,
            group.recall,
            group.precision,
        ]
        for grouping in groupings
        for group in grouping.groups
    ]
    columns = [
        Column('Group'),
        Column('Of'),
        Column('Images', 0),
        Column('Objects', 0),
        Column('Detections', 0),
        Column('AP50', 3, is_barred=True),
        Column('Recall', 3),
        Column('Precision', 3),
    ]
    page.section(
        'Where it fails',
        Text(
            'Objects, or images, are divided by what they are like. A group with a low recall is what the '
            'model does not see: more images of that kind are the cure, and for small objects a larger input '
            f'(`img_scale`). Precision and recall are those at a score of {analysis.threshold:.2f}. With few '
            'objects a figure says little; the table has their numbers.'
        ),
        Grid([_grouping(grouping) for grouping in groupings if grouping.name != _COCO]),
        Fold(
            'All groups in a table, with the numbers of objects', [Table('Figures by group', columns, rows)]
        ),
    )


def _grouping(grouping: Grouping) -> Chart:
    groups = [group for group in grouping.groups if group.objects]
    worst, best = min(groups, key=lambda one: one.recall), max(groups, key=lambda one: one.recall)
    return grouped_bars(
        _HEADINGS[grouping.name],
        f'{grouping.description} Recall is lowest for {worst.name} ({share(worst.recall, 2)} of '
        f'{worst.objects:,}) and highest for {best.name} ({share(best.recall, 2)} of {best.objects:,}).',
        [group.name for group in groups],
        {
            'AP50': [group.ap50 for group in groups],
            'recall': [group.recall for group in groups],
            'precision': [group.precision for group in groups],
        },
        Axis('share', (0, 1)),
    )


def add_calibration(page: Page, analysis: Analysis) -> None:
    """Adds whether scores are what they seem.

    Args:
        page: The page.
        analysis: The analysis.
    """
    calibration = analysis.calibration
    if math.isnan(calibration.error):
        return
    counts = calibration.counts
    filled = counts > 0
    distance = float(
        np.average((calibration.precisions - calibration.mean_scores)[filled], weights=counts[filled])
    )
    is_low = distance > 0
    description = (
        f'The expected calibration error is {share(calibration.error)}: so far is the mean score from the '
        f'share of right detections. Scores are {"lower" if is_low else "higher"} than that share on the '
        'whole.'
    )
    page.section(
        'Scores',
        Text(
            'Of detections with a score of 0.7, seven in ten should be right: then the points lie on the '
            'diagonal. Above it detections are right more often than their scores say, below it less often. '
            'AP does not depend on that; whoever takes scores for probabilities does.'
        ),
        reliability(
            'How often detections of a score are right',
            description,
            calibration.mean_scores,
            calibration.precisions,
            counts,
        ),
    )
