"""Partners that come from the cache: how many are read, what they are, and how long they are kept."""

import numpy as np
import pytest

from mmyolox.datasets.transforms import Mosaic, RandomAffine, RandomFlip, RecentSamples, Sample, YOLOXMixUp
from mmyolox.errors import UserError
from tests.datasets.transforms.mixtures import SCALE
from tests.datasets.transforms.pictures import Album, load, smooth


class Source(Album):
    """An album that counts what is loaded."""

    draw_key = (0, 0)

    def __init__(self, count=30, objects=1):
        super().__init__([smooth((40 + i, 30), i) for i in range(count)], [objects] * count)
        self.loaded = []

    def load(self, results):
        """The loading steps."""
        self.loaded.append(int(results['labels'][0]) // 10 if len(results['labels']) else -1)
        return load(results)


@pytest.fixture
def source():
    return Source()


def run(source, recent, idx, seed=None):
    """A sample after all steps of a cached pipeline."""
    rng = np.random.default_rng(idx if seed is None else seed)
    sample = Sample(source.get_data_info(idx), dataset=source, rng=rng, img_scale=SCALE)
    steps = [source.load, recent, Mosaic([source.load]), RandomAffine(), YOLOXMixUp([source.load])]
    for step in [*steps, RandomFlip(0.5)]:
        sample = step(sample)
    return sample


def test_one_image_a_sample_is_loaded(source):
    recent = RecentSamples()
    for idx in range(20):
        run(source, recent, idx)
    # Before there are four to choose from, three partners of the mosaic and one of the mixup are loaded too.
    assert len(source.loaded) == 4 * 5 + 16
    assert source.loaded[-16:] == list(range(4, 20))


def test_partners_are_the_cached_ones(source):
    recent = RecentSamples(max_images=6)
    for idx in range(20):
        run(source, recent, idx)
    held = {int(sample['labels'][0]) // 10 for sample in recent._samples}
    assert len(held) == 6
    labels = [run(source, recent, 20, seed)['gt_bboxes_labels'] // 10 for seed in range(40)]
    held |= {int(sample['labels'][0]) // 10 for sample in recent._samples}
    partners = {int(label) for drawn in labels for label in drawn} - {20}
    assert len(partners) > 3
    assert partners <= held | set(range(20))


def test_a_partner_is_not_changed_by_its_uses(source):
    recent = RecentSamples(max_images=5)
    for idx in range(25):
        run(source, recent, idx)
    for sample in recent._samples:
        idx = int(sample['labels'][0]) // 10
        fresh = load(Sample(source.get_data_info(idx)))
        np.testing.assert_array_equal(sample['scene'].render(), fresh['img'])
        np.testing.assert_array_equal(sample['gt_bboxes'], fresh['gt_bboxes'])
        assert sample['img_shape'] == fresh['img_shape']


def test_same_as_loading_the_same_partner(source):
    """A remembered partner makes the same mixture as the one that was just loaded."""
    recent = RecentSamples()
    for idx in (3, 3, 3, 3):
        run(source, recent, idx)
    cached = run(source, recent, 7, seed=5)
    only = Source()
    only.get_data_info = lambda idx: dict(only[7 if idx == 7 else 3])
    loaded = run(only, lambda results: results, 7, seed=5)
    np.testing.assert_array_equal(cached['img'], loaded['img'])
    np.testing.assert_array_equal(cached['gt_bboxes'], loaded['gt_bboxes'])


@pytest.mark.parametrize(('images', 'megabytes', 'held'), [(40, 256, 30), (10, 256, 10), (40, 1, 9)])
def test_bounds(images, megabytes, held):
    source = Source()
    for i, entry in enumerate(source):
        entry['pixels'] = smooth((200 + i % 2, 180), i)  # about 108 kB
    recent = RecentSamples(images, megabytes)
    for idx in range(30):
        run(source, recent, idx)
        assert recent.num_bytes <= megabytes * 1e6
    assert len(recent._samples) == held


def test_image_larger_than_the_bound_is_not_held():
    source = Source(8)
    for entry in source:
        entry['pixels'] = smooth((700, 700))
    recent = RecentSamples(max_megabytes=1)
    for idx in range(8):
        run(source, recent, idx)
    assert recent.num_bytes == 0
    assert len(source.loaded) == 40


@pytest.mark.parametrize('key', [(0, 1), (1, 0)])
def test_an_epoch_begins_without_memory(source, key):
    recent = RecentSamples()
    for idx in range(9):
        run(source, recent, idx)
    source.draw_key = key
    again = RecentSamples()
    for idx in (11, 12, 13, 14, 15):
        ours, fresh = run(source, recent, idx), run(source, again, idx)
        np.testing.assert_array_equal(ours['img'], fresh['img'])


def test_a_partner_with_objects_is_looked_for():
    cached = [dict(labels=np.zeros(count)) for count in (0, 0, 1, 0)]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        results = Sample(dataset=None, rng=rng, img_scale=SCALE, cached_samples=cached)
        assert len(YOLOXMixUp([]).load_partner(results, tries=50)['labels']) == 1


@pytest.mark.parametrize('options', [dict(max_images=3), dict(max_megabytes=0), dict(max_megabytes=10**9)])
def test_bounds_are_checked(options):
    ((name, value),) = options.items()
    with pytest.raises(UserError, match=f'{name}={value}'):
        RecentSamples(**options)
