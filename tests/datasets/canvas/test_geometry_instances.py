"""Arrays that follow their instances: kept with them, appended with them, and moved as they say."""

import numpy as np
import pytest

from mmyolox.datasets.canvas.geometry import (
    add_instances,
    clip_bboxes,
    keep_instances,
    map_instances,
    scaling,
    transform_bboxes,
)
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    LoadAnnotations,
    Mosaic,
    RandomAffine,
    RandomFlip,
    RecentSamples,
    Sample,
    YOLOXMixUp,
    begin_scene,
)
from tests.datasets.transforms.mixtures import SCALE
from tests.datasets.transforms.pictures import Album, load, smooth


def move_boxes(boxes, matrix, size):
    return clip_bboxes(transform_bboxes(boxes, matrix), size)


class LoadTwice(LoadAnnotations):
    """Loads boxes a second time, under another key."""

    def transform(self, results):
        results['instance_maps'] = dict(gt_copies=move_boxes)
        return super().transform(results)

    def load_instances(self, results):
        return super().load_instances(results) | dict(
            gt_copies=results['bboxes'].copy(), gt_rows=np.arange(len(results['bboxes']))
        )


def load_twice(results):
    return LoadTwice()(begin_scene(results, results['pixels']))


class Source(Album):
    draw_key = (0, 0)

    def __init__(self):
        sizes = [(70, 40), (30, 90), (64, 64), (120, 50), (20, 20)]
        super().__init__([smooth(size, seed) for seed, size in enumerate(sizes)], [6, 5, 0, 7, 3])


def instance(boxes, **more):
    return dict(gt_bboxes=np.array(boxes, np.float32), **more)


def test_an_instance_keeps_its_rows():
    results = instance([(0, 0, 1, 1), (0, 0, 2, 2), (0, 0, 3, 3)], gt_names=np.array(['a', 'b', 'c']), rest=5)
    keep_instances(results, np.array([True, False, True]))
    assert results['gt_names'].tolist() == ['a', 'c']
    add_instances(results, [instance([(0, 0, 4, 4)], gt_names=np.array(['d']), rest=6)])
    assert results['gt_names'].tolist() == ['a', 'c', 'd']
    assert results['gt_bboxes'][:, 2].tolist() == [1, 3, 4]
    assert results['rest'] == 5


def test_maps_move_what_is_kept():
    calls = []

    def double(values, matrix, size):
        calls.append((matrix.tolist(), size))
        return values * 2

    results = instance(
        [(0, 0, 5, 5), (40, 0, 50, 5), (9, 9, 19, 19)],
        gt_lengths=np.arange(1.0, 4),
        gt_names=np.array(['a', 'b', 'c']),
        instance_maps=dict(gt_lengths=double),
    )
    map_instances(results, scaling(2, 2), (30, 30))
    assert results['gt_bboxes'].tolist() == [[0, 0, 10, 10], [18, 18, 30, 30]]
    assert results['gt_lengths'].tolist() == [2, 6]
    assert results['gt_names'].tolist() == ['a', 'c']
    assert calls == [(scaling(2, 2).tolist(), (30, 30))]


@pytest.mark.parametrize('recent', [False, True])
def test_every_transform_moves_along(recent):
    source = Source()
    cache = RecentSamples(max_images=4)
    steps = [
        *([cache] if recent else []),
        Mosaic([load_twice]),
        RandomAffine(),
        YOLOXMixUp([load_twice]),
        RandomFlip(0.5),
        Letterbox(1.5),
        FilterAnnotations(keep_empty=True),
    ]
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sample = Sample(source.get_data_info(seed % 5), dataset=source, rng=rng, img_scale=SCALE)
        sample = load_twice(sample)
        for step in steps:
            sample = step(sample)
        np.testing.assert_array_equal(sample['gt_copies'], sample['gt_bboxes'])
        assert sample['gt_rows'].tolist() == (sample['gt_bboxes_labels'] % 10).tolist()
        found += len(sample['gt_rows'])
    assert found > 200


@pytest.mark.parametrize(('ignore_crowd', 'rows'), [(False, [0, 2]), (True, [0, 1, 2])])
def test_crowds_keep_or_lose_their_arrays(ignore_crowd, rows):
    entry = dict(bboxes=np.ones((3, 4)), labels=np.arange(3), is_crowd=np.array([False, True, False]))
    assert LoadTwice(ignore_crowd)(entry)['gt_rows'].tolist() == rows


def test_the_plain_steps_need_no_maps():
    assert 'instance_maps' not in load(Source().get_data_info(0))
