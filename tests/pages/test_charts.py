"""Charts: what is drawn, checked by Vega itself, and the numbers beside it."""

import json
import re

import altair
import cv2
import numpy as np
import pytest
import vl_convert

from mmyolox.pages import charts
from mmyolox.pages.charts import Axis, Series
from mmyolox.pages.vega import CHART_CONFIG
from tests.pages.sample import ODD, all_charts

CHARTS = all_charts()
X, Y = Axis('x'), Axis('y')


def marks(chart, kind):
    """The shapes of a kind of mark in the drawn chart, and those of the texts, with their colours."""
    svg = vl_convert.vegalite_to_svg({**chart.spec, 'width': 400, 'config': CHART_CONFIG})
    groups = re.findall(rf'<g class="mark-{kind} role-mark[^>]*>(.*?)</g>', svg, re.DOTALL)
    return [shape for group in groups for shape in re.findall(r'<(?:path|text|line)[^>]*>', group)]


def rows(chart):
    return [tuple(row) for row in chart.numbers.rows]


@pytest.mark.parametrize('name', CHARTS)
def test_every_chart_is_valid_vega_lite(name):
    altair.Chart.from_dict(CHARTS[name].spec | {'config': CHART_CONFIG})
    vl_convert.vegalite_to_vega(CHARTS[name].spec | {'width': 300, 'config': CHART_CONFIG})


@pytest.mark.parametrize('name', CHARTS)
def test_charts_name_colours_of_the_theme_alone(name):
    assert not re.search(r'#[0-9a-fA-F]{3,8}"', json.dumps([CHARTS[name].spec, CHART_CONFIG]))


@pytest.mark.parametrize('name', CHARTS)
def test_pictures_without_a_browser(name):
    picture = cv2.imdecode(np.frombuffer(charts.chart_png(CHARTS[name], 300, 1), np.uint8), cv2.IMREAD_COLOR)
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert (spread > 60).sum() > 100
    assert (picture[0, 0] == 255).all()


EMPTY = {
    'lines': lambda: charts.lines('t', 'd', [], X, Y),
    'a line without points': lambda: charts.lines('t', 'd', [Series('a', [], [])], X, Y),
    'a line of NaN': lambda: charts.lines('t', 'd', [Series('a', [0, 1], [np.nan, np.inf])], X, Y),
    'curves': lambda: charts.class_curves('t', 'd', None, [], X, Y),
    'many curves without points': lambda: charts.class_curves(
        't', 'd', None, [Series(f'{index}', [], []) for index in range(9)], X, Y
    ),
    'bars': lambda: charts.bars('t', 'd', [], [], X),
    'a bar of NaN': lambda: charts.bars('t', 'd', ['a'], [np.nan], X),
    'grouped bars': lambda: charts.grouped_bars('t', 'd', [], {'a': []}, X),
    'stacked bars': lambda: charts.stacked_bars('t', 'd', [], {'a': [], 'b': []}, X),
    'histogram': lambda: charts.histogram('t', 'd', [0], [], X, Y),
    'heat map': lambda: charts.heat_map('t', 'd', np.full((1, 1), np.nan), ['a'], ['b'], X, Y),
    'confusion of nothing': lambda: charts.confusion('t', 'd', np.zeros((2, 2)), ['a']),
    'confusion of no class': lambda: charts.confusion('t', 'd', np.zeros((1, 1)), []),
    'confused with': lambda: charts.confused_with('t', 'd', np.zeros((2, 2)), ['a']),
    'confused with no class': lambda: charts.confused_with('t', 'd', np.zeros((1, 1)), []),
    'reliability': lambda: charts.reliability('t', 'd', [np.nan], [np.nan], [0]),
    'scatter': lambda: charts.scatter('t', 'd', [], [], [], X, Y),
}


@pytest.mark.parametrize('name', EMPTY)
def test_charts_of_nothing_are_drawn(name):
    assert charts.chart_png(EMPTY[name](), 200, 1)[:4] == b'\x89PNG'


def test_a_line_has_a_gap_where_there_is_no_value():
    [path] = marks(charts.lines('t', 'd', [Series('a', range(5), [1, 2, np.nan, 2, 1])], X, Y), 'line')
    assert path.split('d="')[1].split('"')[0].count('M') == 2


def test_the_table_of_lines_has_all_positions():
    chart = charts.lines('t', 'd', [Series('a', [1, 2], [5, 6]), Series('b', [2, 3], [7, np.nan])], X, Y)
    assert [column.name for column in chart.numbers.columns] == ['x', 'a', 'b']
    assert rows(chart)[:2] == [(1, 5, None), (2, 6, 7)]


def test_a_long_table_of_lines_is_thinned_with_both_ends():
    chart = charts.lines('t', 'd', [Series('a', range(1000), range(1000))], X, Y)
    assert len(rows(chart)) == 50
    assert (rows(chart)[0], rows(chart)[-1]) == ((0, 0), (999, 999))
    assert '50 of 1000' in chart.numbers.caption


def test_the_table_of_curves_has_values_at_eleven_positions():
    chart = charts.class_curves('t', 'd', None, [Series('a', [0, 0.5], [1, 0])], Axis('Recall', (0, 1)), Y)
    [(name, *values)] = rows(chart)
    assert name == 'a'
    np.testing.assert_allclose(values, [1, 0.8, 0.6, 0.4, 0.2, 0, *[np.nan] * 5], atol=1e-12)


@pytest.mark.parametrize(('classes', 'menus'), [(1, 0), (7, 0), (8, 1), (80, 1)])
def test_curves_of_many_classes_have_a_menu(classes, menus):
    series = [Series(f'{index}', [0, 1], [1, 0]) for index in range(classes)]
    chart = charts.class_curves('t', 'd', Series('all', [0, 1], [1, 0]), series, X, Y)
    assert len(chart.spec.get('params', [])) == menus
    assert len(rows(chart)) == classes + 1


def test_the_menu_has_the_names_of_the_data():
    chart = CHARTS['curves']
    [menu] = chart.spec['params']
    groups = next(data for data in chart.spec['datasets'].values() if len(data) == 12)
    assert menu['bind']['options'] == [group['name'] for group in groups]
    assert menu['value'] == groups[0]['name'] != ODD


def test_bars_stand_in_the_order_given():
    chart = charts.bars('t', 'd', ['b', 'a', 'c', 'rest'], [1, 3.14159, 2, 9], X, shown=3)
    widths = [float(re.search(r'h([\d.]+)', path)[1]) for path in marks(chart, 'rect')]
    np.testing.assert_allclose(np.array(widths) / widths[0], [1, 3.14159, 2], rtol=1e-3)
    assert len(rows(chart)) == 4
    assert chart.note == '3 of 4 bars are drawn; the table has all.'


def test_pieces_of_bars_stand_in_the_order_given():
    chart = charts.stacked_bars('t', 'd', ['x'], {'z': [1], 'a': [2]}, X)
    colours = re.findall(r'd="M([\d.]+).*?fill="var\(--(c\d)\)"', ''.join(marks(chart, 'rect')))
    assert [colour for _, colour in sorted(colours, key=lambda one: float(one[0]))] == ['c1', 'c2']


def test_a_histogram_has_a_bar_for_each_count():
    chart = charts.histogram('t', 'd', [0, 1, 2, 4], [3, 0, 1], X, Y)
    assert len(marks(chart, 'rect')) == 3
    assert rows(chart) == [(0, 1, 3), (1, 2, 0), (2, 4, 1)]


def test_cells_of_a_heat_map():
    chart = charts.heat_map('t', 'd', [[1, -2], [np.nan, 4]], ['p', 'q'], ['r', 's'], X, Y)
    cells = marks(chart, 'rect')
    assert ['--c2' in cell for cell in cells] == [False, True, False]
    opacity = [float(re.search(r'fill-opacity="([\d.]+)"', cell + ' fill-opacity="1"')[1]) for cell in cells]
    np.testing.assert_allclose(opacity, [0.295, 0.53, 1], atol=1e-3)
    assert len(marks(chart, 'text')) == 3


def test_confusion_draws_the_classes_that_are_confused_most():
    counts = np.diag([50, 50, 50, 50, 0])
    counts[1, 3], counts[0, 4], counts[4, 2] = 9, 2, 1
    chart = charts.confusion('t', 'd', counts, ['a', 'b', 'c', 'd'], shown=2)
    [group] = next(iter(chart.spec['datasets'].values()))
    assert list(dict.fromkeys(group['row'])) == ['b', 'd', 'background']
    assert group['column'][:3] == ['b', 'd', 'background']
    assert group['value'] == [50, 9, None, None, 50, None, None, None, None]
    assert group['is_other'] == [0, 1, 1, 1, 0, 1, 1, 1, 0]
    assert chart.note == 'The 2 classes of 4 that are confused most.'
    assert rows(chart)[4] == ('b', 'd', 9, pytest.approx(100 * 9 / 59))


def test_a_class_may_be_called_background():
    chart = charts.confusion('t', 'd', np.diag([1, 0]), ['background'])
    assert rows(chart) == [('background (class)', 'background (class)', 1, 100)]


def test_the_class_that_is_confused_most_is_shown_first():
    counts = np.zeros((4, 4), int)
    counts[2, 0], counts[3, 1] = 5, 90
    chart = charts.confused_with('t', 'd', counts, ['a', 'b', 'c'])
    assert chart.spec['params'][0]['value'] == 'c'


def test_empty_bins_of_a_reliability_diagram_are_left_out():
    chart = charts.reliability('t', 'd', [0.1, np.nan, 0.9], [0.2, np.nan, 0.7], [5, 0, 9])
    assert rows(chart) == [(0.1, 0.2, 5), (0.9, 0.7, 9)]


def test_many_points_are_thinned():
    chart = charts.scatter('t', 'd', range(5000), range(5000), [f'{index}' for index in range(5000)], X, Y)
    [group] = next(iter(chart.spec['datasets'].values()))
    assert (len(group['x']), group['name'][0], group['name'][-1]) == (1000, '0', '4999')
    assert '1000 of 5000' in chart.note


def test_data_of_eighty_classes_are_small():
    x = np.linspace(0, 1, 101)
    series = [Series(f'class {index}', x, np.sqrt(x) / (index + 1)) for index in range(80)]
    chart = charts.class_curves('t', 'd', None, series, X, Y)
    assert len(json.dumps(chart.spec)) < 150_000


def test_lines_of_one_point_have_lines_as_their_signs():
    chart = charts.lines('Lines', '', [Series('a', [4], [0.2]), Series('b', [4], [0.4])], X, Y)
    svg = vl_convert.vegalite_to_svg({**chart.spec, 'width': 400, 'config': CHART_CONFIG})
    signs = re.findall(r'role-legend-symbol.*?<path[^>]* d="([^"]*)"', svg, re.DOTALL)
    assert len(signs) == 2
    assert not any('A' in sign for sign in signs)  # an arc of a circle
