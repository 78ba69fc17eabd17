"""Figures by group, beside pycocotools' areas and plain loops."""

import dataclasses

import numpy as np
import pytest

from mmyolox.analysis.groups import MOST_IMAGE_GROUPS, groupings
from mmyolox.analysis.matching import Matcher
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.coco_loops import evaluated
from tests.analysis.group_loops import RULES, figures_by_loop
from tests.analysis.random_cases import made_case, random_case

THRESHOLD = 0.4


def groups_of(case, image_groups=None):
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    return {
        one.name: one.groups for one in groupings(Matcher(case, overlaps), overlaps, THRESHOLD, image_groups)
    }


@pytest.mark.parametrize('options', [dict(), dict(crowds=0.2), dict(classes=1, step=0.1)])
def test_areas_are_those_of_pycocotools(options):
    case, annotations, results = random_case(11, size=(400, 300), images=40, **options)
    theirs = evaluated(annotations, results, len(case.truth.image_ids), len(case.truth.classes))
    for number, group in enumerate(groups_of(case)['area'], start=1):
        precisions = theirs.eval['precision'][0, :, :, number, -1]
        known = precisions[precisions > -1]
        np.testing.assert_allclose(group.ap50, known.mean() if known.size else np.nan, atol=1e-12)


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize(
    'options', [dict(), dict(crowds=0.25), dict(step=0.2, classes=1), dict(size=(330, 90), objects=9)]
)
def test_figures_are_those_of_a_plain_loop(name, options):
    case, _, _ = random_case(15, images=12, **options)
    expected = figures_by_loop(case, name, THRESHOLD)
    groups = groups_of(case)[name]
    assert {one.name for one in groups} >= {*expected}
    for one in groups:
        found = (one.images, one.objects, one.detections, one.ap50, one.recall, one.precision)
        none = (0, 0, 0, np.nan, np.nan, np.nan)
        np.testing.assert_allclose(found, expected.get(one.name, none), atol=1e-12, err_msg=one.name)


@pytest.mark.parametrize('name', ['area', 'size', 'aspect', 'crowding', 'position', 'border'])
def test_every_object_is_in_one_group(name):
    case, _, _ = random_case(12, crowds=0.1, images=30)
    groups = groups_of(case)[name]
    assert sum(one.objects for one in groups) == (~case.truth.is_crowd).sum()
    assert len({one.name for one in groups}) == len(groups)


@pytest.mark.parametrize(
    ('bbox', 'expected'),
    [
        ([0, 0, 10, 10], dict(area='small', size='below 16 px', aspect='2:3 to 3:2', position='top left')),
        ([90, 45, 20, 30], dict(size='16 to 32 px', position='centre', border='inside')),
        ([100, 0, 90, 10], dict(area='small', aspect='from 3:1', border='at the border')),
        ([150, 90, 10, 30], dict(aspect='1:3 to 2:3', position='bottom right', border='at the border')),
        (
            [0, 0, 200, 120],
            dict(area='large', size='96 to 192 px', position='centre', border='at the border'),
        ),
    ],
)
def test_an_object_is_in_the_group_that_it_belongs_to(bbox, expected):
    thing = dict(id=1, image_id=1, category_id=1, bbox=bbox, area=bbox[2] * bbox[3], iscrowd=0)
    found = groups_of(made_case([thing], [dict(image_id=1, category_id=1, bbox=bbox, score=0.9)]))
    for name, group in expected.items():
        (own,) = (one for one in found[name] if one.objects)
        assert own.name == group
        assert (own.images, own.detections, own.ap50, own.recall, own.precision) == (1, 1, 1.0, 1.0, 1.0)


def test_neighbours_are_counted():
    boxes = [[0, 0, 20, 20], [4, 0, 20, 20], [8, 0, 20, 20], [100, 50, 20, 20]]
    things = [
        dict(id=i + 1, image_id=1, category_id=1 + i % 2, bbox=box, area=400, iscrowd=0)
        for i, box in enumerate(boxes)
    ]
    counts = {one.name: one.objects for one in groups_of(made_case(things, []))['crowding']}
    assert counts == {'alone': 1, '1 neighbour': 0, '2 neighbours': 3, '3 and more': 0}


def test_groups_of_images_are_those_that_are_given():
    case, _, _ = random_case(13, images=12)
    names = ['night' if image % 3 else 'day' for image in range(12)]
    day, night = groups_of(case, names)['image']
    assert (day.name, day.images, night.name, night.images) == ('day', 4, 'night', 8)
    objects = np.bincount(case.truth.images, minlength=12)
    assert day.objects == objects[::3].sum()
    assert day.objects + night.objects == len(case.truth.images)


def test_folders_are_the_groups_by_default_and_one_is_none():
    case, _, _ = random_case(13, images=6)
    assert groups_of(case)['image'] == ()
    paths = [f'{"ab"[image % 2]}/{image}.jpg' for image in range(6)]
    two = dataclasses.replace(case, truth=dataclasses.replace(case.truth, paths=paths))
    assert [(one.name, one.images) for one in groups_of(two)['image']] == [('a', 3), ('b', 3)]


def test_of_many_groups_the_smaller_ones_are_together():
    count = MOST_IMAGE_GROUPS + 5
    case, _, _ = random_case(14, images=count + 1)
    groups = groups_of(case, ['twice', *(f'g{image}' for image in range(count - 1)), 'twice'])['image']
    assert (len(groups), groups[-1].name, groups[-1].images) == (MOST_IMAGE_GROUPS + 1, '5 others', 5)
    assert sum(one.images for one in groups) == count + 1


def test_without_anything_there_are_no_figures():
    for groups in groups_of(made_case([], [])).values():
        for one in groups:
            assert one.objects == one.detections == 0
            assert np.isnan([one.ap50, one.recall, one.precision]).all()
