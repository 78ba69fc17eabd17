"""Keypoints from loading to packed samples and batches."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmyolox.datasets import SeededSampler, tta_collate, yolox_collate
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    LoadImage,
    Mosaic,
    RandomAffine,
    RandomFlip,
    YOLOXMixUp,
)
from mmyolox.deploy.letterbox import Size
from mmyolox.projects.yolox_pose.tests.files import (
    SWAPPED,
    PoseAlbum,
    open_pose,
    pose_sample,
    random_content,
    write_pose,
)
from mmyolox.projects.yolox_pose.transforms import LoadPoseAnnotations, PackPoseInputs
from mmyolox.registry import TRANSFORMS

SCALE = Size(96, 64)
SIZES = ((70, 40), (30, 90), (64, 64), (120, 50))
COUNTS = (4, 3, 0, 5)


# Loading


def test_annotations_are_copied():
    album = PoseAlbum(SIZES[:1], [3])
    results = pose_sample(album)
    results['gt_keypoints'][:] = -1
    results['gt_areas'][:] = -1
    assert album[0]['keypoints'].min() >= 0
    assert album[0]['areas'].min() > 0


def with_crowd(is_crowd):
    album = PoseAlbum([], [])
    boxes = np.arange(1, 3)[:, None] * (1, 2, 20, 25)
    album.add(SCALE, boxes, np.arange(1, 3).repeat(15).reshape(2, 5, 3), is_crowd=is_crowd)
    return album


@pytest.mark.parametrize(('ignore_crowd', 'labels'), [(False, [0]), (True, [-1, 0])])
def test_crowds_are_ignored_regions_or_dropped(ignore_crowd, labels):
    results = pose_sample(with_crowd([True, False]), ignore_crowd=ignore_crowd)
    assert results['gt_bboxes_labels'].tolist() == labels
    assert len(results['gt_keypoints']) == len(results['gt_areas']) == len(labels)
    packed = PackPoseInputs()(results)['data_samples']
    assert packed['ignored_bboxes'].tolist() == [[1, 2, 20, 25]] * ignore_crowd
    assert packed['bboxes'].tolist() == [[2, 4, 40, 50]]
    assert packed['keypoints'][:, 0, 0].tolist() == [2]
    assert packed['areas'].tolist() == [0.5 * 38 * 46]


@pytest.mark.parametrize('ignore_crowd', [False, True])
def test_nothing_but_a_crowd(ignore_crowd):
    packed = PackPoseInputs()(pose_sample(with_crowd([True, True]), ignore_crowd=ignore_crowd))[
        'data_samples'
    ]
    assert len(packed['ignored_bboxes']) == 2 * ignore_crowd
    assert packed['keypoints'].shape == (0, 5, 3)
    assert packed['areas'].shape == (0,)


# Packed samples and batches


def test_packed_form():
    album = PoseAlbum(SIZES, COUNTS)
    results = Letterbox()(pose_sample(album))
    moved = results['gt_keypoints'].copy()
    packed = PackPoseInputs()(results)
    data = packed['data_samples']
    assert data.keys() == {'bboxes', 'labels', 'ignored_bboxes', 'keypoints', 'areas', 'meta'}
    np.testing.assert_array_equal(data['keypoints'], moved)
    assert data['keypoints'].dtype == data['areas'].dtype == np.float32
    np.testing.assert_array_equal(data['meta']['gt_keypoints'], album[0]['keypoints'])
    assert data['meta']['id'] == [0, 1, 2, 3]
    assert all(isinstance(data[key], np.ndarray) for key in data.keys() - {'meta'})


def test_packing_without_annotations():
    album = PoseAlbum(SIZES, COUNTS)
    results = pose_sample(album)
    for key in (
        'gt_bboxes',
        'gt_bboxes_labels',
        'gt_keypoints',
        'gt_areas',
        'instance_maps',
        'keypoints',
        'bboxes',
    ):
        del results[key]
    data = PackPoseInputs()(results)['data_samples']
    assert data.keys() == {'bboxes', 'labels', 'ignored_bboxes', 'meta'}
    assert 'gt_keypoints' not in data['meta']


def test_batch_is_padded():
    album = PoseAlbum(SIZES, COUNTS)
    batch = yolox_collate([PackPoseInputs()(Letterbox()(pose_sample(album, idx))) for idx in range(4)])
    data = batch['data_samples']
    assert data['keypoints'].shape == (4, 5, 5, 3)
    assert data['areas'].shape == (4, 5)
    for idx, count in enumerate(COUNTS[:4]):
        assert not data['keypoints'][idx, count:].any()
        assert not data['areas'][idx, count:].any()
        assert (data['areas'][idx, :count] > 0).all()


TRAINING = [
    LoadImage(),
    LoadPoseAnnotations(ignore_crowd=True),
    Mosaic([LoadImage(), LoadPoseAnnotations(ignore_crowd=True)]),
    RandomAffine(),
    YOLOXMixUp([LoadImage(), LoadPoseAnnotations(ignore_crowd=True)]),
    RandomFlip(),
    FilterAnnotations(),
    PackPoseInputs(),
]


def batches(root, num_workers):
    dataset = open_pose(root, TRAINING)
    sampler = SeededSampler(dataset, seed=3)
    sampler.set_epoch(1)
    loader = DataLoader(
        dataset, batch_size=4, sampler=sampler, collate_fn=yolox_collate, num_workers=num_workers
    )
    return list(loader)


def test_batches_do_not_depend_on_workers(tmp_path):
    root = write_pose(tmp_path, random_content(10))
    alone, by_workers = batches(root, 0), batches(root, 2)
    assert len(alone) == len(by_workers) == 3
    for one_batch, other in zip(alone, by_workers, strict=True):
        assert (one_batch['inputs'] == other['inputs']).all()
        for key in ('bboxes', 'labels', 'ignored_bboxes', 'keypoints', 'areas'):
            assert one_batch['data_samples'][key].shape == other['data_samples'][key].shape
            assert (one_batch['data_samples'][key] == other['data_samples'][key]).all()
    assert sum(int((b['data_samples']['keypoints'][..., 2] > 0).sum()) for b in alone) > 50


def test_views_of_one_picture(tmp_path):
    steps = [[Letterbox()], [RandomFlip(0.0), RandomFlip(1.0)], [PackPoseInputs()]]
    augment = TRANSFORMS.get('TestTimeAug')(transforms=steps)
    dataset = open_pose(
        write_pose(tmp_path, random_content(3, seed=1)), [LoadImage(), LoadPoseAnnotations(), augment]
    )
    plain, mirrored = tta_collate([dataset[i] for i in range(3)])['data_samples']
    labelled = plain['keypoints'][..., 2] > 0
    assert labelled.any()
    swapped = mirrored['keypoints'][:, :, list(SWAPPED)]
    assert (swapped[..., 2] == plain['keypoints'][..., 2]).all()
    assert np.allclose(swapped[labelled][:, 0], SCALE[0] - plain['keypoints'][labelled][:, 0], atol=1e-4)
