"""The report of one model: its sections, also where something is missing."""

import dataclasses
import json
import re
import shlex

import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.analysis.error_types import TYPES
from mmyolox.apis.thresholds import Thresholds
from mmyolox.pages import Callout, Chart, Code, Figures, Fold, Gallery, Grid, Part, Table
from mmyolox.report.page import report_page
from mmyolox.report.run import Run
from tests.report.cases import NAMES, content, make_case, result, results

EVERY = [
    'Summary',
    'Classes',
    'Precision and recall',
    'Confusion',
    'Errors by type',
    'Where it fails',
    'Scores',
    'Worst images',
    'Likely label errors',
    'The model',
]


def page_of(folder, data=None, found=None, **options):
    case = make_case(folder, data, found, **options)
    return report_page(Run('a <model>', 'From `here`.', analyse(case), weights='best.pth'))


def blocks_of(page):
    """All blocks of a page, those within others too."""
    waiting = [block for section in page.sections for block in section.blocks]
    while waiting:
        block = waiting.pop(0)
        yield block
        waiting += getattr(block, 'blocks', [])


def all_of(page, kind):
    return [block for block in blocks_of(page) if isinstance(block, kind)]


def table(page, caption):
    [found] = [one for one in all_of(page, Table) if one.caption == caption]
    return found


def headings(page):
    return [section.heading for section in page.sections]


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp('data'))


def test_every_section_is_there_once(page):
    assert headings(page) == EVERY


def test_the_page_can_be_written_and_is_small(page, tmp_path):
    page.write(tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert len(text) < 2_000_000
    assert '<b>cat</b>' not in text
    assert 'a &lt;model&gt;' in text


def test_the_key_figures_are_those_of_the_analysis(tmp_path):
    case = make_case(tmp_path)
    analysis = analyse(case)
    [figures] = all_of(report_page(Run('a', '', analysis)), Figures)
    shown = {figure.label: figure for figure in figures.figures}
    assert shown['AP'].value == f'{analysis.figures.overall["AP"]:.3f}'
    missed, objects = int(analysis.images.false_negatives.sum()), int(case.truth.is_object.sum())
    assert shown['Recall'].note == f'{missed} of {objects} objects missed'
    assert float(shown['Recall'].value) == pytest.approx(1 - missed / objects, abs=1e-3)


def test_the_threshold_is_given_with_the_commands_that_take_it(page):
    [code] = all_of(page, Code)
    line, _, _ = code.text.splitlines()
    threshold = line.rpartition(' ')[2]
    assert line == f'mmyolox predict photos/ best.pth --score-thr {threshold}'
    assert 0 < float(threshold) < 1


def test_a_command_gives_each_class_its_own_threshold(tmp_path):
    analysis = analyse(make_case(tmp_path))
    [code] = all_of(report_page(Run('a', '', analysis)), Code)
    words = shlex.split(code.text.splitlines()[1])
    thresholds = Thresholds.parse(words[words.index('--score-thr') + 1]).of(analysis.case.truth.classes)
    best = np.array([one.threshold for one in analysis.curves.best])
    assert len({*best.tolist()}) == len(best)
    assert ((best - 0.001 < thresholds) & (thresholds <= best)).all()


def test_the_threshold_of_the_commands_keeps_what_the_best_one_keeps(tmp_path):
    analysis = analyse(make_case(tmp_path))
    best = analysis.curves.best_overall._replace(threshold=0.3478)
    curves = dataclasses.replace(analysis.curves, best_overall=best)
    analysis = dataclasses.replace(analysis, curves=curves)
    [code] = all_of(report_page(Run('a', '', analysis)), Code)
    for_all, of_classes, export = code.text.splitlines()
    assert for_all.endswith('--score-thr 0.347')
    assert "--score-thr '0.347,dog=" in of_classes
    assert export.endswith('--score-thr 0.347')


def test_errors_are_counted_at_any_score_and_from_the_threshold_on(tmp_path):
    analysis = analyse(make_case(tmp_path))
    shown = table(report_page(Run('a', '', analysis)), 'Errors by type')
    is_shown = analysis.case.detections.scores >= analysis.threshold
    types = analysis.errors.of_detections
    for name, every, counted, *_ in shown.rows:
        if name != 'missed':
            assert every == (types == TYPES.index(name)).sum()
            assert counted == (types[is_shown] == TYPES.index(name)).sum()
    assert sum(row[1] for row in shown.rows) > sum(row[2] for row in shown.rows)


def test_the_table_of_classes_has_the_figures_of_each(tmp_path):
    case = make_case(tmp_path)
    analysis = analyse(case)
    shown = table(report_page(Run('a', '', analysis)), 'Figures of each class')
    assert [row[0] for row in shown.rows] == list(NAMES)
    assert [row[1] for row in shown.rows] == case.truth.object_counts.tolist()
    np.testing.assert_allclose([row[2] for row in shown.rows], analysis.figures.ap)
    places = {column.name: place for place, column in enumerate(shown.columns)}
    for label, row in enumerate(shown.rows):
        best = analysis.curves.best[label]
        assert (row[places['F1']], row[places['Score']]) == (best.f1, best.threshold)
        matrix = analysis.confusion.matrix
        assert (row[places['Missed']], row[places['False']]) == (matrix[label, 3], matrix[3, label])


def test_every_section_says_how_to_read_it(page):
    for section in page.sections:
        assert type(section.blocks[0]).__name__ in ('Text', 'Facts'), section.heading


def test_the_largest_confusions_come_first_and_none_is_right(page):
    rows = table(page, 'The largest confusions').rows
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    assert all(row[0] != row[1] for row in rows)
    for row in rows:
        assert (row[3] is None) == (row[0] == 'background')


def test_images_are_shown_with_annotations_and_detections(page):
    pictures = [one for block in all_of(page, Gallery) for one in block.pictures]
    assert pictures
    worst = pictures[0]
    assert worst.photo.size_wh == (120, 90)
    assert {box.kind for picture in pictures for box in picture.panels[0][1]} >= {
        'truth',
        'missed',
        'ignored',
    }
    assert {box.kind for picture in pictures for _, boxes in picture.panels[1:] for box in boxes} >= {
        'hit',
        'false',
    }


def test_without_the_images_the_page_says_so(tmp_path):
    page = page_of(tmp_path, pictures=False)
    assert not all_of(page, Gallery)
    said = [callout.title for callout in all_of(page, Callout)]
    assert 'No image can be shown: their files are not at hand.' in said
    assert headings(page) == EVERY
    page.html()


def test_without_detections_the_page_says_so(tmp_path):
    page = page_of(tmp_path, found=[])
    assert any('no detection' in callout.title for callout in all_of(page, Callout))
    assert [row[8] for row in table(page, 'Figures of each class').rows] == [
        row[1] for row in table(page, 'Figures of each class').rows
    ]
    assert 'nan' not in re.sub('<script.*?</script>', '', page.html(), flags=re.DOTALL).lower()


def test_where_no_detection_is_right_there_is_no_threshold_to_set(tmp_path):
    page = page_of(tmp_path, found=[result(1, 1, [0, 0, 2, 2], 0.9)])
    assert not all_of(page, Code)
    (section,) = (one for one in page.sections if one.heading == 'Precision and recall')
    assert section.blocks[0].text.startswith('No detection is right')


@pytest.mark.parametrize('found', [0, 6])
def test_without_objects_the_page_says_so(tmp_path, found):
    data = dict(content(), annotations=[])
    entries = [result(number + 1, 1, [5, 5, 20, 20], 0.9) for number in range(found)]
    page = page_of(tmp_path, data, entries)
    assert any('no object to find' in callout.title for callout in all_of(page, Callout))
    assert 'Precision and recall' not in headings(page)
    page.html()


def test_one_class_and_one_image_are_enough(tmp_path):
    data = content(images=2, classes=('dog',))
    page_of(tmp_path, data, results(data)).html()


def test_boxes_of_a_pixel_and_outside_of_the_image_can_be_drawn(tmp_path):
    data = content(images=2)
    data['annotations'][0]['bbox'] = [0, 0, 1, 1]
    data['annotations'][1]['bbox'] = [119, 89, 1, 1]
    found = [result(1, 1, box, 0.9) for box in ([-50, -50, 20, 20], [500, 500, 9, 9], [0, 0, 1, 1])]
    page_of(tmp_path, data, found).html()


def test_many_classes_stay_below_five_megabytes(tmp_path):
    data = content(images=60, classes=[f'class {number}' for number in range(80)], objects=20)
    page = page_of(tmp_path, data, results(data))
    assert len(page.html().encode()) < 4_000_000


def test_a_model_that_finds_everything_has_a_report(tmp_path):
    data = content()
    found = [result(one['image_id'], one['category_id'], one['bbox'], 0.9) for one in data['annotations']]
    page = page_of(tmp_path, data, found)
    [figures] = all_of(page, Figures)
    assert figures.figures[0].value == '1.000'
    assert 'Worst images' not in headings(page)
    page.html()


def test_charts_have_no_numbers_that_are_none(page):
    for chart in all_of(page, Chart):
        json.dumps(chart.spec, allow_nan=False)


def test_groups_of_one_kind_alone_have_no_chart(page):
    grids = [
        block for section in page.sections if section.heading == 'Where it fails' for block in section.blocks
    ]
    [grid] = [block for block in grids if isinstance(block, Grid)]
    [fold] = [block for block in grids if isinstance(block, Fold)]
    titles = [chart.title for chart in grid.blocks]
    assert titles[0] == 'By size'
    assert 'By group of images' in titles
    assert {row[1] for row in fold.blocks[0].rows} == {*titles, "By COCO's areas"}


def test_steps_are_shown_with_their_figures(tmp_path):
    analysis = analyse(make_case(tmp_path))
    page = report_page(Run('a', '', analysis))
    [part] = [one for one in all_of(page, Part) if one.heading == 'What is likely to help']
    callouts = [one for one in part.blocks if isinstance(one, Callout)]
    assert [one.title for one in callouts] == [
        f'{number}. {advice.step}' for number, advice in enumerate(analysis.advice, 1)
    ]
    without = dataclasses.replace(analysis, advice=())
    assert 'Nothing stands out' in report_page(Run('a', '', without)).html()
