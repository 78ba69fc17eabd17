"""A page with every kind of block and chart, whose texts are as odd as texts of files can be."""

from collections.abc import Sequence

import numpy as np

from mmyolox.pages import (
    Box,
    Bullets,
    Callout,
    Cell,
    Chart,
    Code,
    Column,
    Facts,
    Figure,
    Figures,
    Fold,
    Gallery,
    Grid,
    Page,
    Part,
    Photo,
    Picture,
    Table,
    Text,
    charts,
    embed,
)
from mmyolox.pages.charts import Axis, Mark, Series

ODD = '<script>alert("x")</script> & \'q\', \udcff \x07 日本 `\u202e'
SHARE = Axis('Recall', (0, 1))


def all_charts(classes: int = 12) -> dict[str, Chart]:
    """A chart of each kind, by its name."""
    rng = np.random.default_rng(0)
    names = [ODD, *(f'class {index}' for index in range(1, classes))]
    x = np.linspace(0, 1, 21)
    curves = [Series(name, x, (1 - x) ** rng.uniform(0.3, 3)) for name in names]
    overall = Series('all classes', x, 1 - x)
    counts = rng.integers(1, 50, classes)
    matrix = rng.poisson(2, (classes + 1, classes + 1)) + np.diag(rng.integers(10, 90, classes + 1))
    marks = [Mark(0.3, f'best {ODD}')]
    return {
        'lines': charts.lines('Lines', ODD, [*curves[:2], overall], SHARE, Axis('Precision'), marks),
        'few curves': charts.class_curves('Few', ODD, overall, curves[:3], SHARE, Axis('Precision')),
        'curves': charts.class_curves(
            'Curves', ODD, overall, curves, SHARE, Axis('Precision', (0, 1)), marks
        ),
        'bars': charts.bars('Bars', ODD, names, counts, Axis('Boxes'), shown=5),
        'grouped bars': charts.grouped_bars(
            'Groups', ODD, names, {ODD: counts, 'b': counts + 3}, Axis('Boxes'), shown=4
        ),
        'stacked bars': charts.stacked_bars(
            'Stacks', ODD, names, {'hit': counts, ODD: counts + 3}, Axis('Boxes')
        ),
        'histogram': charts.histogram(
            'Histogram',
            ODD,
            np.geomspace(1, 100, 6),
            [1, 5, 0, 2, 9],
            Axis('Side', is_logarithmic=True),
            Axis('n'),
        ),
        'heat map': charts.heat_map(
            'Heat map', ODD, [[1, -2], [np.nan, 4]], ['up', ODD], ['left', 'right'], Axis('x'), Axis('y')
        ),
        'confusion': charts.confusion('Confusion', ODD, matrix, names, shown=8),
        'confused with': charts.confused_with('Confused with', ODD, matrix, names),
        'reliability': charts.reliability('Reliability', ODD, x[:5], x[:5] ** 2, [9, 4, 0, 5, 6]),
        'scatter': charts.scatter('Scatter', ODD, counts, counts + 1.5, names, Axis('a'), Axis('b')),
    }


def picture(title: str = 'a.jpg', detections: bool = True) -> Picture:
    """A picture with a box of every kind."""
    photo = embed(np.full((60, 80, 3), (200, 120, 40), np.uint8))
    truth = [
        Box((5, 5, 30, 40), ODD, 'hit', [(10, 10), None, (20, 20)]),
        Box((50, 20, 75, 50), 'cat', 'missed'),
        Box((1, 1, 2, 2), 'dot', 'ignored'),
        Box((10, 10, 90, 20), 'outside', 'truth'),
    ]
    found = [Box((5, 6, 31, 40), 'dog 0.87', 'hit'), Box((float('nan'), 0, 9, 9), 'nan 0.10', 'false')]
    panels = [('Annotations', truth), ('Detections', found)][: 1 + detections]
    return Picture(photo, title, ODD, panels, [(0, 2), (0, 1), (1, 9)])


def sample(drawn: Sequence[Chart] = ()) -> Page:
    """The page, with these charts if there are any."""
    page = Page(f'Report {ODD}', lead=f'About `code` and {ODD}', footer=ODD)
    rows = [
        (ODD, 12.25, Cell('error', 'error', 0), 3),
        ('class 10', None, Cell('good', 'good', 3), 1000),
        ('class 9', 99.5, Cell('note', 'note', 2), 20),
        ('class 2', float('nan'), Cell('warning', 'warning', 1), -1),
    ]
    heads = [
        Column('Class'),
        Column('AP', 1, '%', is_barred=True, note='note'),
        Column('What'),
        Column('n', 0),
    ]
    page.section(
        'Summary',
        Figures([Figure('AP', '25.6', 'of `100`'), Figure(ODD, ODD, ODD, 'warning')]),
        Text(f'{ODD} and `code`'),
        Bullets([ODD, 'b']),
        Code(ODD, 'A command'),
        Facts({ODD: ODD, 'b': '`b`'}),
    )
    page.section(
        'Callouts',
        Callout(ODD, 'error', [Text('x'), Callout('inner', 'good')]),
        Callout('plain', ''),
        Part(ODD, [Text('x'), Fold(ODD, [Table('Folded', heads, rows)])]),
    )
    page.section('Tables', Table('Sorted', heads, rows), Table('Empty', heads, []))
    page.section(
        'Long', Table('Many', [Column('Name'), Column('n', 0)], [(f'row {i}', i) for i in range(30)])
    )
    if drawn:
        page.section('Charts', Grid(drawn[:4]), *drawn[4:], Fold('A folded chart', drawn[:1]))
    page.section('Pictures', Gallery([picture(), picture(ODD), picture('one', detections=False)]))
    page.section('Lost', Gallery([Picture(Photo('', (80, 60)), 'lost.jpg', panels=picture().panels[:1])]))
    return page
