"""The section about keypoints."""

import dataclasses

import numpy as np
import pytest

from mmyolox.analysis import Case, Detections, analyse
from mmyolox.analysis.skeleton import Skeleton
from mmyolox.pages import Callout, Figures, Gallery
from mmyolox.report.page import report_page
from mmyolox.report.run import Run
from tests.report.cases import content, make_case
from tests.report.test_page import all_of, headings, table

SKELETON = Skeleton(('head', 'left', 'right'), (0, 2, 1), (0.1, 0.1, 0.1), ((0, 1), (0, 2)), ((0, 1, 2),) * 3)


def poses_in(bboxes, seed=0, shift=0.0):
    """(n, 3, 3) keypoints in boxes, moved by parts of their sizes."""
    rng = np.random.default_rng(seed)
    places = np.array([[0.5, 0.1], [0.2, 0.8], [0.8, 0.8]]) + rng.normal(0, shift + 1e-9, (len(bboxes), 3, 2))
    points = bboxes[:, None, :2] + places * (bboxes[:, None, 2:] - bboxes[:, None, :2])
    return np.concatenate([points, np.ones((len(bboxes), 3, 1))], axis=2)


def pose_case(folder, shift=0.3, labelled=True, pictures=True):
    case = make_case(folder, pictures=pictures)
    keypoints = poses_in(case.truth.bboxes) * labelled
    truth = dataclasses.replace(case.truth, keypoints=keypoints, skeleton=SKELETON)
    found = case.detections
    columns = (found.images, found.labels, found.bboxes, found.scores)
    return Case(truth, Detections(*columns, poses_in(found.bboxes, 1, shift)), 'poses')


@pytest.fixture(scope='module')
def shown(tmp_path_factory):
    analysis = analyse(pose_case(tmp_path_factory.mktemp('poses')))
    return analysis.keypoints, report_page(Run('poses', '', analysis))


def test_each_joint_has_its_errors(shown):
    errors, page = shown
    rows = table(page, 'Keypoints by joint').rows
    assert [row[0] for row in rows] == ['head', 'left', 'right']
    assert [row[1] for row in rows] == errors.counts.sum(1).tolist()
    assert [row[3:] for row in rows] == errors.counts[:, 1:].tolist()


def test_the_key_figures_are_those_of_keypoints(shown):
    errors, page = shown
    figures = all_of(page, Figures)[1].figures
    assert [figure.value for figure in figures[:2]] == [f'{errors.ap:.3f}', f'{errors.ap_mended:.3f}']


def test_the_worst_poses_are_shown_with_their_limbs(shown):
    errors, page = shown
    pictures = [
        one for block in all_of(page, Gallery) for one in block.pictures if one.note.startswith('OKS')
    ]
    assert len(pictures) == min(12, len(errors.worst(24)))
    for picture in pictures:
        assert picture.limbs == SKELETON.links
        assert [len(boxes[0].keypoints) for _, boxes in picture.panels] == [3, 3]
    page.html()


def test_without_labelled_keypoints_the_section_says_so(tmp_path):
    page = report_page(Run('poses', '', analyse(pose_case(tmp_path, labelled=False))))
    [section] = [section for section in page.sections if section.heading == 'Keypoints']
    assert 'none to compare' in section.blocks[0].text
    page.html()


def test_without_the_images_poses_are_counted_all_the_same(tmp_path):
    page = report_page(Run('poses', '', analyse(pose_case(tmp_path, pictures=False))))
    assert any(callout.title.startswith('No pose can be shown') for callout in all_of(page, Callout))


def test_a_detector_has_no_such_section(tmp_path):
    page = report_page(Run('boxes', '', analyse(make_case(tmp_path, content()))))
    assert 'Keypoints' not in headings(page)


def test_a_model_that_detects_nothing_has_the_section_with_a_line(tmp_path):
    case = pose_case(tmp_path)
    (tmp_path / 'none.bbox.json').write_text('[]')
    (tmp_path / 'none.keypoints.json').write_text('[]')
    files = tmp_path / 'none.bbox.json', 'none', tmp_path / 'none.keypoints.json'
    page = report_page(Run('none', '', analyse(Case.of_results(case.truth, *files))))
    (section,) = (one for one in page.sections if one.heading == 'Keypoints')
    assert [block.text for block in section.blocks] == [
        'No object with labelled keypoints was found, so that there are none to compare.'
    ]
