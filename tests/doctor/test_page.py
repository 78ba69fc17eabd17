"""The page of a diagnosis: everything found is on it, whatever the data are like."""

import re

import numpy as np
import pytest

from mmyolox.doctor.checks import CHECKS
from mmyolox.doctor.diagnosis import Diagnosis, diagnose
from mmyolox.doctor.page import page_of
from tests.doctor.made_data import Made, examined
from tests.doctor.plants import PLANTS
from tests.doctor.small_set import diagnosed, write_set
from tests.pages.browser import launched, needs_browser, opened

pytest.importorskip('jinja2')
ODD = '<b>&"x\'</b> 日本\x07\udcff'
NAN = float('nan')


@pytest.fixture(scope='module')
def faulty(tmp_path_factory):
    """A diagnosis of a data set with many faults."""
    small = write_set(tmp_path_factory.mktemp('faulty') / 'set', keypoints=True)
    for name in ('box-outside', 'keypoint-at-origin', 'image-missing', 'size-differs'):
        PLANTS[name].plant(small)
    with small.annotations() as content:
        content['annotations'][8] |= dict(bbox=[NAN, 1, 2, 3], area=None)
        content['annotations'][9]['bbox'] = [100, 100, -40, -20]
        content['annotations'][12] |= dict(content['annotations'][13], id=13)
        content['categories'][0]['name'] = ' <i>person</i>'
    return diagnosed(small.root)


def test_every_finding_is_there_with_its_advice_and_cases(faulty):
    html = page_of(faulty, 'the footer').html()
    assert len(faulty.findings) > 6
    for finding in faulty.findings:
        assert re.search(f'<h3[^>]*>{finding.check.name}', html)
    assert 'train_01.jpg' in html
    assert 'the footer' in html
    assert '<i>person' not in html
    assert html.count('data:image/jpeg;base64,') > 5
    assert len(html) < 5e6


def test_of_a_small_box_the_part_around_it_is_shown():
    page = page_of(of(Made(['absent.jpg'], [(0, 0, 600, 400, 603, 440)])))
    pictures = gallery(page, 'box-tiny')
    # A quarter of 640 pixels, at the border of the image.
    assert pictures[0].photo.size_wh == (160, 160)
    assert pictures[0].photo.jpeg == ''
    assert pictures[0].panels[0][1][0].xyxy == (120, 80, 123, 120)


def of(split: Made, **options) -> Diagnosis:
    diagnosis = diagnose(examined({'train': split}, **options), CHECKS.values())
    assert not diagnosis.failed
    return diagnosis


def gallery(page, name):
    parts = [block for section in page.sections for block in section.blocks]
    part = next(one for one in parts if getattr(one, 'heading', '') == name)
    return next(block.pictures for block in part.blocks if hasattr(block, 'pictures'))


@pytest.mark.parametrize(
    'split',
    [
        Made([]),
        Made(['a.jpg']),
        Made(['a.jpg'], [(0, 0, NAN, NAN, NAN, NAN)]),
        Made(['a.jpg'], [(0, 0, 1e300, 0, -1e300, 5)]),
        Made(['a.jpg'], [(0, 0, 10, 10, 50, 50)], crowds=[0]),
        Made([ODD], [(0, 0, 10, 10, 50, 50)] * 2, size=(0, 0)),
        Made(['a.jpg'], [(0, 0, 0, 0, 1, 1)], size=(1, 1)),
        Made(['a.jpg'] * 40, [(image, image % 2, 9, 9, 9, 9) for image in range(40)]),
    ],
)
def test_odd_data_have_a_page(split):
    assert '</html>' in page_of(of(split, classes=(ODD, 'dog'))).html()


def test_pictures_are_not_too_many():
    own = [(image, 0, 700, 10, 720, 30) for image in range(40)]
    checks = [CHECKS['box-outside']] * 20
    diagnosis = diagnose(examined({'train': Made(['a.jpg'] * 40, own)}), checks)
    assert page_of(diagnosis).html().count('class="picture') <= 48


def test_histograms_count_every_image_and_object():
    rng = np.random.default_rng(0)
    own = [(int(image), 0, 10, 10, 30, 40) for image in rng.integers(0, 5, 200)]
    data = of(Made(['a.jpg'] * 7, own)).data
    page = page_of(diagnose(data, ()))
    charts = next(one for one in page.sections if one.heading == 'What the data are like').blocks[0].blocks
    totals = {chart.title: sum(row[-1] for row in chart.numbers.rows) for chart in charts}
    assert totals == {
        'Objects of each class': 200,
        "Sizes of objects in the network's input": 200,
        'Objects in an image': 7,
    }


@needs_browser
def test_a_browser_shows_it_without_a_word(faulty, tmp_path):
    page_of(faulty).write(tmp_path / 'doctor.html')
    with launched() as browser, opened(browser, tmp_path / 'doctor.html') as found:
        assert found.page.locator('h2', has_text='Summary').is_visible()
        assert found.page.locator('canvas, svg').count() > 8
    assert found.messages == []
    assert [one for one in found.requests if not one.startswith('data:')] == [
        (tmp_path / 'doctor.html').as_uri()
    ]
