"""Pages in a real browser: nothing is asked for, nothing fails, all is seen, and can be used and read."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from mmyolox.pages import Page, Text
from tests.pages.browser import launched, needs_browser, opened, wait_for_charts
from tests.pages.sample import all_charts, sample

expect = pytest.importorskip('playwright.sync_api', reason='needs Playwright').expect

pytestmark = needs_browser


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp('page') / 'ré port #1.html'
    sample(list(all_charts().values())).write(path)
    return path


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp('plain') / 'page.html'
    sample().write(path)
    return path


@pytest.fixture(scope='module')
def browser():
    with launched() as browser:
        yield browser


def column(page, caption, index):
    rows = page.locator('table', has=page.locator('caption', has_text=caption)).locator('tbody tr').all()
    return [row.locator('th, td').nth(index).inner_text() for row in rows if row.is_visible()]


def sorter(page, caption, name):
    table = page.locator('table', has=page.locator('caption', has_text=caption))
    return table.get_by_role('columnheader', name=name).get_by_role('button')


def background(page):
    return page.evaluate('getComputedStyle(document.body).backgroundColor')


def test_no_request_leaves_the_file_and_the_console_is_silent(browser, path):
    with opened(browser, path) as found:
        found.page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
        wait_for_charts(found.page)
        found.page.get_by_role('button', name='Dark theme').click()
    asked = [address for address in found.requests if not address.startswith('data:')]
    assert asked == [path.as_uri()]
    assert found.messages == []


def test_a_script_in_a_text_does_not_run(browser, plain):
    dialogs = []
    with opened(browser, plain) as found:
        found.page.on('dialog', lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        assert found.page.title().startswith('Report <script>alert("x")</script>')
        assert found.page.locator('script', has_text='alert("x")').count() == 0
        # Not even one that got in: the policy names those that may.
        found.page.evaluate(
            'document.body.append(Object.assign(document.createElement("script"), {text: "alert(1)"}))'
        )
    assert dialogs == []
    assert 'Content Security Policy' in found.messages[0]


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_every_chart_has_pixels(browser, path, scheme):
    with opened(browser, path, color_scheme=scheme) as found:
        found.page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
        wait_for_charts(found.page)
        charts = found.page.locator('.canvas').all()
        assert len(charts) == 13
        for chart in charts:
            shot = cv2.imdecode(np.frombuffer(chart.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            spread = shot.max(axis=2).astype(int) - shot.min(axis=2)
            assert (spread > 60).sum() > 100, chart.get_attribute(
                'id'
            )  # marks have colours, texts and axes none


def test_charts_follow_the_theme(browser, path):
    with opened(browser, path) as found:
        bar = found.page.locator('.canvas .mark-rect path').first
        before = bar.evaluate('(one) => getComputedStyle(one).fill')
        found.page.get_by_role('button', name='Dark theme').click()
        assert bar.evaluate('(one) => getComputedStyle(one).fill') != before


def test_the_theme_follows_the_system_and_its_button(browser, plain):
    with opened(browser, plain, color_scheme='dark') as found:
        page = found.page
        button = page.get_by_role('button', name='Dark theme')
        assert background(page) == 'rgb(15, 18, 22)'
        assert button.get_attribute('aria-pressed') == 'true'
        page.emulate_media(color_scheme='light')
        assert background(page) == 'rgb(255, 255, 255)'
        expect(button).to_have_attribute('aria-pressed', 'false')
        button.click()
        assert background(page) == 'rgb(15, 18, 22)'
        page.reload()
        for _ in range(
            20
        ):  # What is kept reaches the new process of the page a little later on a busy machine.
            if background(page) == 'rgb(15, 18, 22)':
                break
            page.wait_for_timeout(250)
            page.reload()
        assert background(page) == 'rgb(15, 18, 22)'
        page.emulate_media(media='print')
        assert background(page) == 'rgb(255, 255, 255)'


def test_a_click_sorts_numbers_with_unknown_ones_last(browser, plain):
    with opened(browser, plain) as found:
        sorter(found.page, 'Sorted', 'AP').click()
        assert column(found.page, 'Sorted', 1)[:2] == ['99.5%', '12.2%']
        assert found.page.locator('th[aria-sort=descending]').inner_text().startswith('AP')
        sorter(found.page, 'Sorted', 'AP').click()
        assert column(found.page, 'Sorted', 1) == ['12.2%', '99.5%', '—', '—']
        assert found.page.locator('th[aria-sort=ascending]').count() == 1


def test_keys_sort_texts_as_people_count(browser, plain):
    with opened(browser, plain) as found:
        sorter(found.page, 'Sorted', 'Class').focus()
        found.page.keyboard.press('Enter')
        assert column(found.page, 'Sorted', 0)[1:] == ['class 2', 'class 9', 'class 10']
        found.page.keyboard.press('Space')
        assert column(found.page, 'Sorted', 0)[:3] == ['class 10', 'class 9', 'class 2']


def test_cells_are_sorted_by_their_order(browser, plain):
    with opened(browser, plain) as found:
        sorter(found.page, 'Sorted', 'What').click()
        texts = [text.split()[-1] for text in column(found.page, 'Sorted', 2)]
        assert texts == ['error', 'warning', 'note', 'good']


def test_a_long_table_is_filtered(browser, plain):
    with opened(browser, plain) as found:
        found.page.get_by_label('Filter Many').fill('ROW 2')
        assert column(found.page, 'Many', 0) == ['row 2', *(f'row {index}' for index in range(20, 30))]
        assert found.page.get_by_text('11 of 30 rows').is_visible()


def test_a_menu_highlights_a_class(browser, path):
    with opened(browser, path) as found:
        figure = found.page.locator('figure.chart', has=found.page.get_by_text('Curves', exact=True))
        bold = figure.locator('.mark-line path[stroke="var(--c2)"]')
        before = bold.get_attribute('d')
        figure.get_by_label('Class').select_option('class 5')
        expect(bold).not_to_have_attribute('d', before)
        expect(figure.locator('.role-legend-label text', has_text='class 5')).to_have_count(1)
        assert found.messages == []


def test_keys_reach_the_content_first(browser, plain):
    with opened(browser, plain) as found:
        found.page.keyboard.press('Tab')
        assert found.page.evaluate('document.activeElement.textContent') == 'Skip to content'
        found.page.keyboard.press('Enter')
        assert found.page.evaluate('document.activeElement.id') == 'main'


@pytest.mark.parametrize(('width', 'scheme'), [(1280, 'light'), (1280, 'dark'), (360, 'light')])
def test_axe_finds_nothing_that_hinders(browser, path, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, path, width, color_scheme=scheme) as found:
        found.page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
        wait_for_charts(found.page)
        result = Axe().run(found.page)
    assert result.generate_snapshot() == ''


def test_a_screen_reader_gets_names_and_numbers(browser, path):
    with opened(browser, path) as found:
        page = found.page
        assert page.get_by_role('main').count() == 1
        assert page.get_by_role('navigation', name='Contents').get_by_role('link').count() == 7
        assert page.get_by_role('img', name='Histogram').count() == 1
        assert page.get_by_role(
            'img', name='Annotations on a.jpg: 1 missed, 1 hit, 1 ignored, 1 box'
        ).is_visible()
        levels = page.evaluate(
            '[...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map((one) => +one.tagName[1])'
        )
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert page.get_by_role('table', name='Histogram', include_hidden=True).count() == 1


@pytest.mark.parametrize('width', [360, 480, 1280])
def test_legends_are_seen_whole(browser, path, width):
    with opened(browser, path, width) as found:
        for canvas in found.page.locator('.canvas:visible').all():
            outer = canvas.bounding_box()
            for label in canvas.locator('.role-legend-label text').all():
                inner = label.bounding_box()
                assert inner['y'] >= outer['y']
                assert inner['x'] + inner['width'] <= outer['x'] + outer['width'] + 1


def test_a_phone_scrolls_down_alone(browser, path):
    with opened(browser, path, 360) as found:
        assert found.page.evaluate('document.documentElement.scrollWidth') == 360


def test_without_scripts_there_are_the_tables(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.get_by_text('The charts need JavaScript').is_visible()
    assert page.locator('caption', has_text='Sorted').is_visible()
    assert not page.get_by_role('button', name='Dark theme').is_visible()
    context.close()


def test_a_page_without_charts_brings_no_vega(browser, tmp_path):
    page = Page('Small')
    page.section('One', Text('text'))
    page.write(tmp_path / 'small.html')
    assert (tmp_path / 'small.html').stat().st_size < 40_000
    with opened(browser, tmp_path / 'small.html') as found:
        assert found.page.get_by_text('text').is_visible()
    assert found.messages == []
