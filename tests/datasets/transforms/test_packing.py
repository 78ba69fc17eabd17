"""The last steps: filtering of boxes, and the packed sample."""

import numpy as np
import pytest
from mmdet.datasets.transforms import FilterAnnotations as PeerFilter

from mmyolox.datasets.canvas.geometry import transform_bboxes
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    PackDetInputs,
    RandomFlip,
    Sample,
    begin_scene,
)
from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.pictures import boxes_in, for_peer, smooth


def make(gt_bboxes, gt_labels, size=(40, 30), **extra):
    instances = dict(
        gt_bboxes=np.array(gt_bboxes, np.float32).reshape(-1, 4),
        gt_bboxes_labels=np.array(gt_labels, np.int64),
    )
    return begin_scene(Sample(instances, **extra), smooth(size))


# FilterAnnotations


@pytest.mark.parametrize('min_size', [(1, 1), (5, 1), (1, 8), (100, 1)])
@pytest.mark.parametrize('keep_empty', [False, True])
def test_filter_equals_mmdet(min_size, keep_empty):
    boxes, labels = boxes_in((40, 30), 30), np.arange(30)
    results = FilterAnnotations(min_size, keep_empty)(make(boxes, labels))
    entry = dict(pixels=smooth((40, 30)), bboxes=boxes, labels=labels, is_crowd=np.zeros(30, bool))
    reference = PeerFilter(min_size, keep_empty=not keep_empty)(for_peer(entry))  # mmdet means the opposite
    assert (results is None) == (reference is None)
    if results is not None and reference['gt_bboxes'].shape[0]:
        np.testing.assert_array_equal(results['gt_bboxes'], reference['gt_bboxes'].tensor)
        np.testing.assert_array_equal(results['gt_bboxes_labels'], reference['gt_bboxes_labels'])


@pytest.mark.parametrize(
    ('box', 'kept'),
    [
        ((0, 0, 2, 2.5), False),  # as wide as the limit is too small
        ((0, 0, 2.01, 3.01), True),
        ((5, 5, 5, 5), False),
        ((0, 0, 30, 3), False),
        ((0, 0, 40, 30), True),
    ],
)
def test_both_sides_must_exceed_the_limits(box, kept):
    results = FilterAnnotations((2, 3), keep_empty=True)(make([box, (0, 0, 9, 9)], [4, 5]))
    assert results['gt_bboxes_labels'].tolist() == [4, 5][1 - kept :]


@pytest.mark.parametrize(
    ('labels', 'has_objects'), [([], False), ([-1], False), ([-1, -1], False), ([0], True), ([-1, 0], True)]
)
def test_keep_empty(labels, has_objects):
    boxes = [(1, 1, 20, 20)] * len(labels)
    assert (FilterAnnotations()(make(boxes, labels)) is not None) == has_objects
    kept = FilterAnnotations(keep_empty=True)(make(boxes, labels))
    assert kept['gt_bboxes_labels'].tolist() == labels


def test_filter_keeps_arrays_together():
    results = make(
        [(0, 0, 9, 9), (0, 0, 0.5, 9), (1, 1, 9, 9)], [1, 2, 3], gt_names=np.array(['a', 'b', 'c'])
    )
    results = FilterAnnotations()(results)
    assert results['gt_names'].tolist() == ['a', 'c']
    assert results['gt_bboxes_labels'].tolist() == [1, 3]


# PackDetInputs


def test_packed_form():
    results = make([(1, 2, 11, 12), (0, 0, 40, 30), (3, 3, 9, 9)], [7, -1, 0], img_id=5, img_path='a.jpg')
    packed = PackDetInputs()(results)
    data = packed['data_samples']
    assert packed.keys() == {'inputs', 'data_samples'}
    assert data.keys() == {'bboxes', 'labels', 'ignored_bboxes', 'meta'}
    assert packed['inputs'].dtype == np.uint8
    np.testing.assert_array_equal(packed['inputs'], smooth((40, 30)).transpose(2, 0, 1))
    assert data['bboxes'].tolist() == [[1, 2, 11, 12], [3, 3, 9, 9]]
    assert data['labels'].tolist() == [7, 0]
    assert data['ignored_bboxes'].tolist() == [[0, 0, 40, 30]]
    assert data['bboxes'].dtype == data['ignored_bboxes'].dtype == np.float32
    assert data['labels'].dtype == np.int64
    assert data['meta'].keys() == {'img_id', 'img_path', 'ori_shape', 'img_shape', 'matrix'}
    assert (data['meta']['img_id'], data['meta']['img_path']) == (5, 'a.jpg')


@pytest.mark.parametrize('labels', [None, [], [-1]])
def test_without_objects(labels):
    results = make([(1, 1, 9, 9)] * len(labels or []), labels or [])
    if labels is None:
        del results['gt_bboxes'], results['gt_bboxes_labels']
    data = PackDetInputs()(results)['data_samples']
    assert (data['bboxes'].shape, data['bboxes'].dtype) == ((0, 4), np.float32)
    assert (data['labels'].shape, data['labels'].dtype) == ((0,), np.int64)
    assert (data['ignored_bboxes'].shape, data['ignored_bboxes'].dtype) == (
        (len(labels or []), 4),
        np.float32,
    )


@pytest.mark.parametrize('flip', [0.0, 1.0])
@pytest.mark.parametrize('size', [(40, 30), (33, 77), (500, 3)])
def test_meta_leads_back_to_the_original(flip, size):
    boxes = boxes_in(size, 6)
    untouched = dict(bboxes=boxes, labels=np.arange(6), is_crowd=np.arange(6) == 2)
    rng = np.random.default_rng(0)
    results = make(boxes, range(6), size, img_scale=Size(96, 64), rng=rng, **untouched)
    packed = PackDetInputs()(RandomFlip(flip)(Letterbox()(results)))
    meta = packed['data_samples']['meta']
    assert meta['ori_shape'] == size[::-1]
    assert meta['img_shape'] == (64, 96) == tuple(packed['inputs'].shape[1:])
    moved = packed['data_samples']['bboxes']
    # float32 boxes of the input, scaled up again: relative precision times the original's side.
    back = transform_bboxes(moved.astype(float), np.linalg.inv(meta['matrix']))
    np.testing.assert_allclose(back, boxes, atol=1e-6 * max(size) * max(1, max(size) / 64))
    np.testing.assert_array_equal(meta['gt_bboxes'], boxes)
    np.testing.assert_array_equal(meta['gt_labels'], np.arange(6))
    np.testing.assert_array_equal(meta['gt_ignored'], np.arange(6) == 2)


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_channels(channels):
    results = begin_scene(Sample(), smooth((40, 30), channels=channels))
    assert PackDetInputs()(results)['inputs'].shape == (channels, 30, 40)


def test_mirrored_pictures_of_others_are_packed():
    # torch takes no arrays with negative strides.
    image = smooth((40, 30))[:, ::-1]
    packed = PackDetInputs()(Sample(img=image))
    np.testing.assert_array_equal(packed['inputs'], image.transpose(2, 0, 1))


def test_more_can_be_packed():
    class WithNames(PackDetInputs):
        def pack_instances(self, results):
            return super().pack_instances(results) | dict(names=results['gt_names'])

        def pack_meta(self, results):
            return super().pack_meta(results) | dict(camera=results['camera'])

    results = make(
        [(1, 1, 9, 9), (2, 2, 8, 8)], [3, 4], gt_names=np.array(['a', 'b']), camera='left', img_id=5
    )
    data = WithNames()(results)['data_samples']
    assert data.keys() == {'bboxes', 'labels', 'ignored_bboxes', 'names', 'meta'}
    assert data['names'].tolist() == ['a', 'b']
    assert (data['meta']['camera'], data['meta']['img_id']) == ('left', 5)
