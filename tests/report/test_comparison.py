"""The report of several models: what got better and worse."""

import json

import numpy as np
import pytest

from mmyolox.analysis import Case, analyse
from mmyolox.curves import Curves
from mmyolox.errors import UserError
from mmyolox.pages import Chart, Gallery, Part, Table, Text
from mmyolox.report.comparison import comparison_page, signed
from mmyolox.report.run import Run
from tests.report.cases import NAMES, content, make_case, read_truth, results, write_data
from tests.report.test_page import all_of, headings, table


def runs_of(folder, *shares, pictures=True):
    """Runs that find shares of the objects."""
    data = content()
    write_data(folder, data, pictures)
    truth = read_truth(folder)
    runs = []
    for number, found in enumerate(shares):
        path = folder / f'{number}.json'
        path.write_text(json.dumps(results(data, 0, found)))
        case = Case.of_results(truth, path, f'model {number}')
        runs.append(Run(case.name, f'From {number}.', analyse(case), dict(recipe=f'r{number}')))
    return runs


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    return comparison_page(runs_of(tmp_path_factory.mktemp('data'), 0.3, 0.9))


def test_every_section_is_there_once(page, tmp_path):
    assert headings(page) == ['Summary', 'Classes', 'Errors by type', 'Images that changed', 'The trainings']
    assert page.title == 'model 0 and model 1 compared'
    page.write(tmp_path / 'x.html')
    assert (tmp_path / 'x.html').stat().st_size < 2_000_000


def test_figures_stand_beside_each_other_with_their_difference(page):
    row = table(page, "COCO's figures").rows[0]
    name, before, after, difference = row
    assert name == 'AP'
    assert after > before
    assert difference.order == after - before
    assert difference.text.startswith(f'{after - before:+.3f} (')
    assert difference.tone in ('good', '')


def test_classes_have_the_ap_of_both_models(page):
    rows = table(page, 'AP of each class').rows
    assert [row[0] for row in rows] == list(NAMES)
    for _, _, before, after, difference in rows:
        assert difference == pytest.approx(after - before)


def test_images_are_shown_as_both_models_see_them(page):
    parts = [one for one in all_of(page, Part) if one.heading.startswith('Better')]
    [part] = parts
    pictures = [one for block in part.blocks if isinstance(block, Gallery) for one in block.pictures]
    assert pictures
    hits = [sum(box.kind == 'hit' for one in pictures for box in one.panels[side][1]) for side in (0, 1)]
    assert hits[1] > hits[0]
    assert {tuple(name for name, _ in one.panels) for one in pictures} == {('model 0', 'model 1')}


@pytest.mark.parametrize(
    ('count', 'shown', 'hidden'), [(2, (0, 1), ''), (3, (0, 1, 2), ''), (6, (0, 3, 4, 5), 'model 1, model 2')]
)
def test_each_model_has_a_panel_where_there_is_room_for_it(tmp_path, count, shown, hidden):
    page = comparison_page(runs_of(tmp_path, *np.linspace(0.2, 0.9, count)))
    pictures = [one for block in all_of(page, Gallery) for one in block.pictures]
    names = {tuple(name for name, _ in one.panels) for one in pictures}
    assert names == {tuple(f'model {number}' for number in shown)}
    assert all(one.note.count('then') == len(shown) - 1 for one in pictures)
    [text] = [one.text for one in all_of(page, Text) if one.text.startswith('Each panel')]
    assert text.endswith(f'There is no room for {hidden}.') == bool(hidden)
    assert (f'the F1 of model {count - 1} less that of model 0' in text) == (count > 2)
    columns = table(page, 'The images whose F1 changed most').columns
    assert [column.name for column in columns[1:-1]] == [f'model {number}' for number in range(count)]


def test_three_models_are_each_compared_with_the_first(tmp_path):
    page = comparison_page(runs_of(tmp_path, 0.3, 0.6, 0.9, pictures=False))
    assert page.title == '3 models compared'
    names = [column.name for column in table(page, "COCO's figures").columns]
    assert names == [
        'Figure',
        'model 0',
        'model 1',
        'model 1 less model 0',
        'model 2',
        'model 2 less model 0',
    ]
    types = table(page, 'Errors by type')
    assert len(types.columns) == 7
    page.html()


def test_what_is_known_of_each_stands_side_by_side(tmp_path):
    runs = runs_of(tmp_path, 0.3, 0.9, pictures=False)
    known = [runs[0], Run('b', '', runs[1].analysis, dict(lr='1'), curves=Curves(dict(loss={1: 2.0})))]
    page = comparison_page(known)
    assert table(page, 'What is known of each').rows == [['recipe', 'r0', '-'], ['lr', '-', '1']]
    assert any(chart.title == 'Loss' for chart in all_of(page, Chart))


def test_equal_models_have_no_images_that_changed(tmp_path):
    page = comparison_page(runs_of(tmp_path, 0.5, 0.5))
    assert not all_of(page, Part)
    assert table(page, 'The images whose F1 changed most').rows == []
    page.html()


@pytest.mark.parametrize(
    ('value', 'shown'), [(-4e-9, '0.000'), (0.0, '0.000'), (0.0006, '+0.001'), (-0.0006, '-0.001')]
)
def test_a_difference_that_rounds_to_0_has_no_sign(value, shown):
    assert signed(value) == shown


@pytest.mark.parametrize('change', ['classes', 'images'])
def test_models_of_other_data_cannot_be_compared(tmp_path, change):
    data = content()
    if change == 'classes':
        data['categories'][0]['name'] = 'horse'
    else:
        data['images'].pop()
    cases = make_case(tmp_path / 'a'), make_case(tmp_path / 'b', data, [])
    with pytest.raises(UserError, match=f'differ in their {change}'):
        comparison_page([Run('a', '', analyse(case)) for case in cases])


def test_a_model_without_detections_cannot_be_compared(tmp_path):
    with pytest.raises(UserError, match='b: there are no detections to compare'):
        comparison_page([*runs_of(tmp_path, 0.5), Run('b', 'nothing is kept')])


def test_models_without_objects_can_be_compared(tmp_path):
    data = dict(content(), annotations=[])
    case = make_case(tmp_path, data, [])
    page = comparison_page([Run(name, '', analyse(case)) for name in 'ab'])
    assert all(isinstance(one, Table) for one in all_of(page, Table))
    page.html()
