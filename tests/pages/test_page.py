"""Pages as text: what they hold, and that no text of a user is more than a text."""

import re
import sys

import pytest

from mmyolox.errors import TURNS, UserError
from mmyolox.pages import (
    Block,
    Bullets,
    Cell,
    Column,
    Page,
    Table,
    Text,
    charts,
    page as page_module,
    require_packages,
)
from mmyolox.pages.rendering import Rendering, json_text, prose
from mmyolox.pages.tables import largest_of, letters_of, shown
from tests.pages.sample import ODD, all_charts, sample

AXIS = charts.Axis('x')


@pytest.fixture(scope='module')
def html():
    return sample(list(all_charts().values())).html()


def test_a_page_is_one_small_file_in_utf8(html, tmp_path):
    sample(list(all_charts().values())).write(tmp_path / 'page.html')
    content = (tmp_path / 'page.html').read_bytes()
    assert content.decode() == html
    assert len(content) < 1_500_000
    assert [path.name for path in tmp_path.iterdir()] == ['page.html']


def test_addresses_are_only_names_of_formats(html):
    in_tags = re.findall(
        r'<[^>]*\b(?:src|href)="([^"]*)"', re.sub(r'<script>.*?</script>', '', html, flags=re.DOTALL)
    )
    assert in_tags
    assert all(address.startswith(('data:', '#')) for address in in_tags)


def test_texts_are_escaped_and_what_no_file_holds_is_visible(html):
    assert '<script>alert' not in html
    assert html.count('&lt;script&gt;alert') > 20
    assert '\\udcff \u2407 日本' in html


def test_every_id_is_there_once(html):
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    named = re.findall(r'(?:aria-labelledby|aria-describedby)="([^"]*)"', html)
    assert set(named) <= set(ids)


def test_headings_that_are_alike_get_other_ids():
    page = Page('t')
    for heading in ('A b', 'a-B', '日本', '<>'):
        page.section(heading)
    assert re.findall(r'<section id="([^"]*)"', page.html()) == ['a-b', 'a-b-2', 'section', 'section-2']


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('plain', 'plain'),
        ('set `a<b` now', 'set <code>a&lt;b</code> now'),
        ('one ` alone', 'one ` alone'),
        ('``', '``'),
        ('`a` `b`', '<code>a</code> <code>b</code>'),
    ],
)
def test_backticks_make_code(text, expected):
    assert prose(text) == expected


def test_json_ends_no_script():
    assert json_text({'a': '</script><!--&'}) == '{"a":"\\u003c/script\\u003e\\u003c!--\\u0026"}'


def test_a_block_of_others_is_a_template(tmp_path, monkeypatch):
    class Shout(Block):
        template = 'text.html'
        text = 'loud'

    page = Page('t')
    page.section('s', Shout())
    assert '<p>loud</p>' in page.html()


@pytest.mark.parametrize(
    ('value', 'digits', 'unit', 'text', 'order'),
    [
        ('a', None, '', 'a', 'a'),
        (1234.56, 1, '', '1,234.6', 1234.56),
        (3, 0, ' px', '3 px', 3.0),
        (-0.01, 1, '', '0.0', -0.01),
        (-0.06, 1, '%', '-0.1%', -0.06),
        (None, 1, '%', '—', None),
        (float('nan'), 1, '', '—', None),
        (float('inf'), 1, '', '—', None),
        (Cell('high', 'error', 2), None, '', 'high', 2.0),
        (Cell('text'), None, '', 'text', 'text'),
    ],
)
def test_cells(value, digits, unit, text, order):
    cell = shown(value, Column('c', digits, unit))
    assert (cell.text, cell.order) == (text, order)
    assert cell.key == ('' if order is None else f'{order:.7g}' if isinstance(order, float) else order)


def test_columns_of_texts_have_room():
    columns = [Column('path'), Column('n', 1), Column('kind'), Column('empty')]
    rows = [('images/000000530836.jpg' * 3, 1.5, 'cat', None), ('a', 2.5, Cell('kitten'), None)]
    assert letters_of(Table('t', columns, rows)) == [24, 0, 6, 1]
    assert letters_of(Table('t', columns, [])) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ('values', 'shares'),
    [([1.0, 4.0, -1.0, None], [0.25, 1, 0, 0]), ([-2.0, -1.0], [0, 0]), ([0, 0], [0, 0]), ([], [])],
)
def test_bars_are_shares_of_the_largest_number(values, shares):
    column = Column('c', 1, is_barred=True)
    [largest] = largest_of(Table('t', [column], [(value,) for value in values]))
    assert [shown(value, column).share(largest) for value in values] == shares


@pytest.mark.parametrize(
    ('module', 'use', 'word'),
    [
        ('jinja2', lambda: Page('t').html(), 'Jinja2'),
        ('altair', lambda: charts.bars('t', 'd', ['a'], [1], AXIS), 'Altair'),
        ('vl_convert', lambda: charts.chart_png(charts.bars('t', 'd', ['a'], [1], AXIS)), 'vl-convert'),
    ],
)
def test_what_is_not_installed_is_named(module, use, word, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf'{word}: pip install "mmyolox\[report\]"'):
        use()


def test_nothing_turns_the_text_behind_it(html):
    assert not set(TURNS) & set(html)
    assert html.count(r'\u202e') > 50


def test_lists_and_texts_in_order():
    page = Page(ODD)
    page.section('s', Text('first'), Bullets(['second', 'third']))
    html = page.html()
    assert html.index('first') < html.index('second') < html.index('third')


def test_rendering_gives_each_number_once():
    rendering = Rendering()
    assert [rendering.number(), rendering.number()] == [1, 2]


def test_what_is_missing_is_named(monkeypatch):
    require_packages('hotcoco')
    absent = ('hotcoco', 'vl_convert')
    monkeypatch.setattr(page_module, 'find_spec', lambda name: None if name in absent else 1)
    with pytest.raises(UserError) as caught:
        require_packages('hotcoco')
    assert str(caught.value) == (
        'a page needs hotcoco, vl-convert-python, not installed here: pip install "mmyolox[report]"'
    )
    with pytest.raises(UserError, match=r'^a page needs vl-convert-python, '):
        require_packages()
