"""A real report in a real browser: it asks for nothing, nothing fails, all charts are drawn, tables sort."""

import cv2
import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.report.build import training_run
from mmyolox.report.comparison import comparison_page
from mmyolox.report.page import report_page
from tests.pages.browser import launched, needs_browser, opened, wait_for_charts
from tests.report.cases import content, make_case, results, write_training
from tests.report.test_comparison import runs_of
from tests.report.test_keypoint_section import pose_case

pytestmark = needs_browser


@pytest.fixture(scope='module')
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope='module', params=['model', 'poses', 'empty', 'comparison'])
def path(request, tmp_path_factory):
    """A page of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == 'comparison':
        page = comparison_page(runs_of(folder, 0.4, 0.9))
    else:
        case = {
            'model': lambda: make_case(folder),
            'poses': lambda: pose_case(folder),
            'empty': lambda: make_case(folder, dict(content(), annotations=[]), []),
        }[request.param]()
        work_dir = write_training(folder / 'a <b>', results(content()))
        page = report_page(training_run(work_dir, analyse(case)))
    page.write(folder / 'report.html')
    return folder / 'report.html'


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_nothing_fails_and_every_chart_has_pixels(browser, path, scheme):
    with opened(browser, path, color_scheme=scheme) as found:
        found.page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
        wait_for_charts(found.page)
        for chart in found.page.locator('.canvas').all():
            shot = cv2.imdecode(np.frombuffer(chart.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert shot.std() > 2, chart.get_attribute('id')
        broken = found.page.evaluate(
            '[...document.querySelectorAll("svg image")].filter((one) => !one.getBBox().width).length'
        )
    assert [address for address in found.requests if not address.startswith('data:')] == [path.as_uri()]
    assert found.messages == []
    assert broken == 0


def test_classes_are_sorted_by_a_click(browser, tmp_path):
    path = tmp_path / 'report.html'
    report_page(training_run(tmp_path, analyse(make_case(tmp_path)))).write(path)
    with opened(browser, path) as found:
        caption = found.page.locator('caption', has_text='Figures of each class')
        table = found.page.locator('table', has=caption)
        table.get_by_role('columnheader', name='Objects').get_by_role('button').click()
        counts = [int(row.locator('th, td').nth(1).inner_text()) for row in table.locator('tbody tr').all()]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == 3


def test_tables_that_are_not_folded_away_need_no_scrolling_at_1280_pixels(browser, tmp_path):
    data = content(classes=('dog', 'cat', 'elephant'))
    path = tmp_path / 'report.html'
    report_page(training_run(tmp_path, analyse(make_case(tmp_path, data, results(data))))).write(path)
    with opened(browser, path) as found:
        wide = found.page.evaluate(
            '[...document.querySelectorAll(".scroll")].filter((one) => one.clientWidth'
            ' && !one.closest("details:not([open])") && one.scrollWidth > one.clientWidth)'
            '.map((one) => one.querySelector("caption").textContent)'
        )
    assert wide == []


def test_texts_on_pictures_stay_on_them(browser, tmp_path):
    path = tmp_path / 'report.html'
    report_page(training_run(tmp_path, analyse(make_case(tmp_path)))).write(path)
    with opened(browser, path) as found:
        beyond = found.page.evaluate(
            '[...document.querySelectorAll("svg text")].filter((one) => one.closest(".panel")).map((one) =>'
            ' one.getBBox().x + one.getBBox().width - one.ownerSVGElement.viewBox.baseVal.x'
            ' - one.ownerSVGElement.viewBox.baseVal.width)'
        )
    assert len(beyond) > 20
    assert max(beyond) <= 0.5
