"""The report of several models over the same images: what got better and worse."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from mmyolox.analysis import Analysis
from mmyolox.analysis.compare import Change, Comparison, compare
from mmyolox.analysis.error_types import TYPES
from mmyolox.errors import UserError, counted, first_few
from mmyolox.pages import (
    Block,
    Bullets,
    Cell,
    Column,
    Figure,
    Figures,
    Grid,
    Page,
    Part,
    Picture,
    Table,
    Text,
    embed,
)
from mmyolox.pages.blocks import Tone
from mmyolox.pages.charts import Axis, Series, bars, grouped_bars, lines

from .photos import BoxesOfImages, gallery, pixels_of, shown_names, within
from .run import UNKNOWN, Run, footer, share
from .training import compared_curve_charts

_ROOM, _PICTURES, _TRIED, _LONGEST = 1_100_000, 16, 4, 480
"""Of the images that got better, and of those that got worse: see :mod:`.picture_sections`."""
_MODELS = 4
"""How many models have a panel in a picture: the first, and the last ones."""
_CLASSES = 30
"""How many classes a chart has, those whose AP changed most."""
_ROWS = 200


def comparison_page(runs: Sequence[Run]) -> Page:
    """Compares models: each with the first one.

    Args:
        runs: Two or more, all with an analysis of the same data.

    Raises:
        UserError: One has no detections, or they are of other data.
    """
    without = [run.name for run in runs if run.analysis is None]
    if without:
        raise UserError(f'{first_few(without)}: there are no detections to compare')
    analyses = [run.analysis for run in runs if run.analysis is not None]
    comparisons = compare(analyses)
    truth = analyses[0].case.truth
    page = Page(
        f'{" and ".join(run.name for run in runs[:2])} compared'
        if len(runs) == 2
        else f'{len(runs)} models compared',
        f'{counted(len(truth.image_ids), "image")}, {counted(int(truth.is_object.sum()), "object")}, '
        f'{counted(len(truth.classes), "class")} of {truth.path}.',
        footer(),
    )
    add_changes(page, runs, comparisons)
    add_class_changes(page, analyses, comparisons)
    add_error_changes(page, comparisons)
    add_image_changes(page, analyses, comparisons[-1])
    add_trainings(page, runs)
    return page


def add_changes(page: Page, runs: Sequence[Run], comparisons: Sequence[Comparison]) -> None:
    """Adds COCO's figures of all models, and how sure the differences are."""
    first, last = comparisons[0].names[0], comparisons[-1]
    key = [
        Figure(name, share(change.after), f'{share(change.before)} before', _tone(change))
        for name, change in last.figures.items()
        if name in ('AP', 'AP50', 'AP75')
    ]
    gained, lost = int(last.gained.sum()), int(last.lost.sum())
    key.append(Figure('Found anew', f'{gained:,}', 'objects', 'good' if gained > lost else ''))
    key.append(Figure('No more found', f'{lost:,}', 'objects', 'error' if lost > gained else ''))
    rows: list[list[str | float | Cell | None]] = []
    for name in last.figures:
        row: list[str | float | Cell | None] = [name, comparisons[0].figures[name].before]
        for one in comparisons:
            change = one.figures[name]
            row += [
                change.after,
                Cell(_difference(change), _tone(change), _order(change.after - change.before)),
            ]
        rows.append(row)
    columns = [Column('Figure'), Column(first, 3)]
    for one in comparisons:
        columns += [
            Column(one.names[1], 3),
            Column(f'{one.names[1]} less {first}', note='with its interval of 95%'),
        ]
    page.section(
        'Summary',
        Figures(key),
        Text(
            f'The figures are those of {last.names[1]}, the differences those to {first}. In brackets is '
            'where the difference lies with 95% certainty, by drawing the images anew: where that reaches '
            'over 0, the difference may be chance.'
        ),
        Table("COCO's figures", columns, rows, is_sortable=False),
        Bullets([f'{run.name}: {run.origin}' for run in runs]),
    )


def _difference(change: Change) -> str:
    """The difference of a figure, such as ``+0.031 (0.010 to 0.052)``."""
    difference = change.after - change.before
    if math.isnan(difference):
        return UNKNOWN
    ends = [signed(value) for value in (change.lower, change.upper)]
    return signed(difference) + ('' if math.isnan(change.lower) else f' ({ends[0]} to {ends[1]})')


def signed(value: float) -> str:
    """A difference with its sign, such as ``+0.031``; what rounds to 0 has none."""
    return f'{value:+.3f}' if round(value, 3) else '0.000'


def _tone(change: Change) -> Tone:
    """Good or bad where the difference is sure."""
    return 'good' if change.lower > 0 else 'error' if change.upper < 0 else ''


def _order(value: float) -> float | None:
    return None if math.isnan(value) else value


def add_class_changes(page: Page, analyses: Sequence[Analysis], comparisons: Sequence[Comparison]) -> None:
    """Adds the AP of each class by each model."""
    truth, last = analyses[0].case.truth, comparisons[-1]
    counts = truth.object_counts
    rows: list[list[str | float | Cell | None]] = []
    for label, name in enumerate(truth.classes):
        row: list[str | float | Cell | None] = [name, int(counts[label]), float(comparisons[0].ap[0, label])]
        for one in comparisons:
            before, after = one.ap[:, label].tolist()
            row += [after, after - before]
        rows.append(row)
    columns = [Column('Class'), Column('Objects', 0), Column(last.names[0], 3, note='AP')]
    for one in comparisons:
        columns += [
            Column(one.names[1], 3, note='AP'),
            Column(f'{one.names[1]} less {one.names[0]}', 3, note='AP'),
        ]
    change = last.ap[1] - last.ap[0]
    known = np.flatnonzero(~np.isnan(change))
    most = known[np.argsort(-np.abs(change[known]), kind='stable')][:_CLASSES]
    shown = most[np.argsort(-change[most], kind='stable')]
    blocks: list[Block] = [
        Text('Classes that got better have a difference above 0. With few objects a difference means little.')
    ]
    if len(shown):
        best, worst = truth.classes[shown[0]], truth.classes[shown[-1]]
        description = (
            f'The most for {best} ({signed(float(change[shown[0]]))}), '
            f'the least for {worst} ({signed(float(change[shown[-1]]))}).'
        )
        names = [truth.classes[label] for label in shown]
        title = f'AP of {last.names[1]} less that of {last.names[0]}'
        blocks.append(
            bars(title, description, names, change[shown], Axis('difference of AP'), shown=_CLASSES)
        )
    blocks.append(_mean_curves(analyses))
    blocks.append(Table('AP of each class', columns, rows))
    page.section('Classes', *blocks)


def _mean_curves(analyses: Sequence[Analysis]) -> Block:
    """The mean precision over recall of each model."""
    said = '; '.join(
        f'{one.case.name} has an area of {share(one.figures.overall["AP50"])}' for one in analyses
    )
    return lines(
        'Precision over recall, mean of all classes',
        f'At an IoU of 0.50: {said}.',
        [Series(one.case.name, one.curves.recalls, one.curves.mean_precisions[0]) for one in analyses][:8],
        Axis('recall', (0, 1)),
        Axis('precision', (0, 1)),
    )


def add_error_changes(page: Page, comparisons: Sequence[Comparison]) -> None:
    """Adds the errors by type of each model."""
    first = comparisons[0]
    costs = {first.names[0]: first.costs[0]} | {one.names[1]: one.costs[1] for one in comparisons}
    counts = {first.names[0]: first.counts[0]} | {one.names[1]: one.counts[1] for one in comparisons}
    falls = first.costs[0] - comparisons[-1].costs[1]
    description = 'Nothing is to be found.'
    if not np.isnan(falls).all():
        best = int(np.nanargmax(falls))
        description = (
            f'From {first.names[0]} to {comparisons[-1].names[1]} the cost of {TYPES[best]} falls most, '
            f'by {falls[best]:.3f}.'
        )
    columns = [Column('Type')]
    for name in costs:
        columns += [Column(name, 0, note='errors'), Column(name, 3, note='cost in AP50')]
    rows: list[list[str | float]] = []
    for index, kind in enumerate(TYPES):
        row: list[str | float] = [kind]
        for name in costs:
            row += [int(counts[name][index]), float(costs[name][index])]
        rows.append(row)
    page.section(
        'Errors by type',
        Text('A cost is by how much AP50 would rise without the errors of a type: less is better.'),
        grouped_bars(
            'What each type of error costs',
            description,
            TYPES,
            costs,
            Axis('rise of AP50 without these errors'),
        ),
        Table('Errors by type', columns, rows),
    )


def add_image_changes(page: Page, analyses: Sequence[Analysis], comparison: Comparison) -> None:
    """Adds the images that changed most from the first model to the last, and a table of them.

    Args:
        page: The page.
        analyses: Those of all models.
        comparison: That of the first and the last.
    """
    truth = analyses[0].case.truth
    names = shown_names(truth.paths)
    shown = [analyses[0], *analyses[1:][-(_MODELS - 1) :]]
    parts: list[Block] = []
    for heading, images in (('Better', comparison.better), ('Worse', comparison.worse)):
        if len(images):
            pictures = within(_changed(shown, images.tolist(), names), _ROOM, _PICTURES)
            blocks = gallery(pictures, 'The files of the images are not at hand.')
            parts.append(Part(f'{heading}: {counted(len(images), "image")}', blocks))
    change = comparison.f1[1] - comparison.f1[0]
    size = np.abs(np.nan_to_num(change))
    order = np.argsort(-size, kind='stable')[: min(_ROWS, int((size > 0).sum()))]
    rows = [
        [names[image], *(float(one.images.f1[image]) for one in analyses), float(change[image])]
        for image in order.tolist()
    ]
    first, last = comparison.names
    columns = [
        Column('Image'),
        *(Column(one.case.name, 3, note='F1') for one in analyses),
        Column('Difference', 3, note='' if len(analyses) == 2 else f'{last} less {first}'),
    ]
    page.section(
        'Images that changed',
        Text(_pictures_explained(analyses, shown)),
        *parts,
        Table('The images whose F1 changed most', columns, rows),
    )


def _pictures_explained(analyses: Sequence[Analysis], shown: Sequence[Analysis]) -> str:
    """What the pictures are of."""
    thresholds = ', '.join(f'{one.case.name} ({one.threshold:.2f})' for one in shown)
    text = (
        'Each panel has the detections of a model from its own best threshold on, and the objects that it '
        f'does not find: {thresholds}.'
    )
    if len(analyses) > 2:
        first, last = analyses[0].case.name, analyses[-1].case.name
        text += f' Better and worse are the images by the F1 of {last} less that of {first}, in this order.'
    if len(shown) < len(analyses):
        hidden = ', '.join(one.case.name for one in analyses[1 : 1 - _MODELS])
        text += f' There is no room for {hidden}.'
    return text


def _changed(shown: Sequence[Analysis], images: Sequence[int], names: Sequence[str]) -> Iterator[Picture]:
    """Pictures of images with what each model detected, and did not find."""
    boxes = [BoxesOfImages(one) for one in shown]
    for image in islice(images, _TRIED * _PICTURES):
        pixels = pixels_of(shown[0].case.truth, image)
        if pixels is None:
            continue
        panels = []
        for one, own in zip(shown, boxes, strict=True):
            drawn = own.of(image)
            panels.append((one.case.name, [*drawn.not_found, *drawn.detections]))
        scores = ', then '.join(share(float(one.images.f1[image])) for one in shown)
        yield Picture(embed(pixels, longest=_LONGEST), names[image], f'F1 {scores}', panels)


def add_trainings(page: Page, runs: Sequence[Run]) -> None:
    """Adds what is known of each training, side by side."""
    facts = dict.fromkeys(name for run in runs for name in (*run.facts, *run.environment))
    known = [{**run.facts, **run.environment} for run in runs]
    rows = [[name, *(one.get(name, UNKNOWN) for one in known)] for name in facts]
    charts = compared_curve_charts({run.name: run.curves for run in runs if run.curves is not None})
    table = Table(
        'What is known of each', [Column(''), *(Column(run.name) for run in runs)], rows, is_sortable=False
    )
    page.section('The trainings', *([Grid(charts)] if charts else []), *([table] if rows else []))
