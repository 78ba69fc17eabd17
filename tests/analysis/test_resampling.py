"""COCO's figures of many samples of the images at once, beside an evaluation of each sample by itself."""

import dataclasses

import numpy as np
import pytest

from mmyolox.analysis import Case
from mmyolox.analysis.coco_figures import coco_figures
from mmyolox.analysis.matching import Matcher
from mmyolox.analysis.overlaps import Overlaps
from mmyolox.analysis.resampling import draw_images, resampled_figures
from tests.analysis.random_cases import made_case, random_case


def matcher_of(case):
    return Matcher(case, Overlaps.of(case.detections.images, case.detections.bboxes, case.truth))


def repeated(case, draws):
    """A case of a data set that has each image as often as it was drawn."""
    truth, found = case.truth, case.detections
    images = np.repeat(np.arange(len(draws)), draws)
    objects = [np.flatnonzero(truth.images == image) for image in images]
    detections = [np.flatnonzero(found.images == image) for image in images]
    of_object, of_detection = (np.concatenate([*parts, []]).astype(int) for parts in (objects, detections))
    return Case(
        dataclasses.replace(
            truth,
            image_ids=[*range(len(images))],
            paths=[''] * len(images),
            sizes=truth.sizes[images],
            ids=[*range(len(of_object))],
            images=np.repeat(np.arange(len(images)), [*map(len, objects)]),
            **{name: getattr(truth, name)[of_object] for name in ('labels', 'bboxes', 'is_crowd', 'areas')},
        ),
        dataclasses.replace(
            found,
            images=np.repeat(np.arange(len(images)), [*map(len, detections)]),
            **{name: getattr(found, name)[of_detection] for name in ('labels', 'bboxes', 'scores')},
        ),
    )


CASES = {
    'plain': dict(),
    'crowds': dict(crowds=0.3),
    'all sizes': dict(size=(400, 300), wrong=20),
    'more than count': dict(images=3, classes=1, wrong=300),
    'many classes': dict(classes=10, images=6),
}


@pytest.mark.parametrize('options', CASES.values(), ids=CASES)
def test_each_sample_has_the_figures_of_a_data_set_of_its_images(options):
    case, _, _ = random_case(7, **options)
    large = case.truth.areas * np.random.default_rng(0).choice([0.1, 1, 9], len(case.truth.areas))
    case = dataclasses.replace(case, truth=dataclasses.replace(case.truth, areas=large))
    draws = draw_images(len(case.truth.image_ids), 6)
    figures = resampled_figures(matcher_of(case), draws)
    assert len({*figures['AP'].tolist()}) > 1 or len(draws) < 4
    for sample in range(draws.shape[1]):
        expected = coco_figures(repeated(case, draws[:, sample])).overall
        assert figures.keys() == expected.keys()
        for name, value in expected.items():
            assert figures[name][sample] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_the_sample_of_each_image_once_is_the_data_set():
    case, _, _ = random_case(8, images=40, crowds=0.1, step=0.05)
    figures = resampled_figures(matcher_of(case), np.ones((40, 1), np.uint16))
    for name, value in coco_figures(case).overall.items():
        assert figures[name] == pytest.approx([value], abs=1e-12, nan_ok=True)


def test_parts_of_the_samples_are_measured_as_all(monkeypatch):
    case, _, _ = random_case(9)
    draws = draw_images(20, 9)
    whole = resampled_figures(matcher_of(case), draws)
    monkeypatch.setattr('mmyolox.analysis.resampling._BLOCK', 100)
    for name, values in resampled_figures(matcher_of(case), draws).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)


def test_images_are_drawn_with_replacement():
    draws = draw_images(500, 40)
    assert draws.shape == (500, 40)
    assert (draws.sum(0) == 500).all()
    assert (draws > 0).mean() == pytest.approx(1 - 1 / np.e, abs=0.01)
    np.testing.assert_array_equal(draws, draw_images(500, 40))


def test_without_objects_there_are_no_figures():
    case = made_case([], [dict(image_id=1, category_id=1, bbox=[0, 0, 5, 5], score=1.0)])
    figures = resampled_figures(matcher_of(case), draw_images(1, 3))
    assert np.isnan([*figures.values()]).all()


def test_without_detections_all_figures_are_zero():
    thing = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20], area=400, iscrowd=0)
    figures = resampled_figures(matcher_of(made_case([thing], [])), draw_images(1, 2))
    assert figures['AP'].tolist() == figures['ARs'].tolist() == [0, 0]
    assert np.isnan(figures['APl']).all()
