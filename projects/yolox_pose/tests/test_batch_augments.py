"""Flip and multi-scale of batches with keypoints, alone and behind the preprocessor."""

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from mmyolox.errors import UserError
from mmyolox.models.batch_augments import YOLOXBatchFlip, YOLOXBatchSyncRandomResize
from mmyolox.models.preprocessor import YOLOXDataPreprocessor
from mmyolox.projects.yolox_pose.batch_augments import PoseBatchFlip, PoseBatchSyncRandomResize
from mmyolox.projects.yolox_pose.tests.files import SPEC, SWAPPED, people_in
from mmyolox.registry import MODELS

WIDTH, HEIGHT = 96, 64
ALL = dict(ratio_range=(0.5, 2.0), interval=1)


def set_run(iteration, seed=0):
    hub = MessageHub.get_current_instance()
    hub.update_info('seed', seed)
    hub.update_info('iter', iteration)


def make_batch(counts=(3, 0, 2, 1), seed=0):
    """Images with a bright pixel at each keypoint, and their people."""
    rng = np.random.default_rng(seed)
    batch, most = len(counts), max(counts)
    data = dict(
        bboxes=torch.zeros(batch, most, 4),
        labels=torch.full((batch, most), -1),
        ignored_bboxes=torch.zeros(batch, 0, 4),
        keypoints=torch.zeros(batch, most, 5, 3),
        areas=torch.zeros(batch, most),
        metas=[dict(img_id=i) for i in range(batch)],
    )
    inputs = torch.zeros(batch, 3, HEIGHT, WIDTH)
    for row, count in enumerate(counts):
        boxes, keypoints = people_in((WIDTH, HEIGHT), count, rng)
        boxes, keypoints = (torch.from_numpy(array).float() for array in (boxes, keypoints))
        data['bboxes'][row, :count] = boxes
        data['labels'][row, :count] = 0
        data['keypoints'][row, :count] = keypoints
        data['areas'][row, :count] = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for x, y, visibility in keypoints.reshape(-1, 3).tolist():
            if visibility:
                inputs[row, :, min(int(y), HEIGHT - 1), min(int(x), WIDTH - 1)] = 255
    return inputs, data


def mirrored(keypoints, width):
    """Of one image, by a loop."""
    people = [[[width - x, y, v] if v else [0, 0, 0] for x, y, v in person] for person in keypoints.tolist()]
    return torch.tensor([[person[i] for i in SWAPPED] for person in people]).float().reshape(-1, 5, 3)


@pytest.mark.parametrize('iteration', range(10))
def test_flip_equals_a_loop(iteration):
    set_run(iteration)
    flip = PoseBatchFlip(SPEC)
    inputs, before = make_batch(counts=(3, 0, 2, 1, 4, 2), seed=iteration)
    images, after = flip(inputs, before)
    drawn = flip.draw_flips(6)
    for row, is_flipped in enumerate(drawn.tolist()):
        wanted = mirrored(before['keypoints'][row], WIDTH) if is_flipped else before['keypoints'][row]
        assert torch.allclose(after['keypoints'][row], wanted, atol=1e-5)
        assert torch.equal(images[row], inputs[row].flip(2) if is_flipped else inputs[row])
    plain_images, plain = YOLOXBatchFlip()(inputs, before)
    assert torch.equal(images, plain_images)
    assert torch.equal(after['bboxes'], plain['bboxes'])
    assert after['areas'] is before['areas']


def test_flip_twice_is_the_identity():
    set_run(0)
    inputs, before = make_batch()
    before['keypoints'][0, 0, :2] = torch.tensor([[0.0, 5, 2], [WIDTH, 7, 1]])
    flip = PoseBatchFlip(SPEC, prob=1.0)
    images, after = flip(*flip(inputs, before))
    assert torch.equal(images, inputs)
    assert torch.allclose(after['keypoints'], before['keypoints'], atol=1e-5)
    assert torch.equal(after['keypoints'][0, 0, :2], before['keypoints'][0, 0, :2])


def test_mirrored_keypoints_lie_on_their_pixels():
    set_run(0)
    images, after = PoseBatchFlip(SPEC, prob=1.0)(*make_batch(seed=4))
    labelled = after['keypoints'][..., 2] > 0
    rows = torch.nonzero(labelled)[:, 0]
    # A pixel covers [i, i + 1): a point on its left border lies on its right one in the mirror.
    x, y = (after['keypoints'][labelled][:, :2] - torch.tensor([1e-4, 0])).clamp(min=0).int().unbind(1)
    assert (images[rows, 0, y.clamp(max=HEIGHT - 1), x] == 255).all()
    assert len(rows) > 10


@pytest.mark.parametrize('iteration', range(1, 11))
def test_resize_scales_everything(iteration):
    set_run(iteration)
    inputs, before = make_batch(seed=iteration)
    images, after = PoseBatchSyncRandomResize(**ALL)(inputs, before)
    x, y = images.shape[3] / WIDTH, images.shape[2] / HEIGHT
    people = before['keypoints'].tolist()
    wanted = [[[[u * x, v * y, seen] for u, v, seen in p] for p in image] for image in people]
    assert torch.allclose(after['keypoints'], torch.tensor(wanted), rtol=1e-6)
    assert torch.allclose(after['areas'], before['areas'] * x * y, rtol=1e-6)
    plain_images, plain = YOLOXBatchSyncRandomResize(**ALL)(inputs, before)
    assert torch.equal(images, plain_images)
    assert torch.equal(after['bboxes'], plain['bboxes'])
    assert after['labels'] is before['labels']


@pytest.mark.parametrize('counts', [(0, 0), (1,)])
def test_batches_without_people(counts):
    inputs, before = make_batch(counts)
    for iteration in range(5):
        set_run(iteration)
        for augment in (PoseBatchFlip(SPEC, prob=1.0), PoseBatchSyncRandomResize(**ALL)):
            _, after = augment(inputs, before)
            assert after['keypoints'].shape == before['keypoints'].shape
            assert after['areas'].shape == before['areas'].shape


def test_behind_the_preprocessor():
    set_run(7)
    augments = [
        dict(type='YOLOXBatchHSV'),
        dict(type='PoseBatchFlip', skeleton=SPEC, prob=1.0),
        dict(type='PoseBatchSyncRandomResize', **ALL),
    ]
    inputs, before = make_batch()
    preprocessor = YOLOXDataPreprocessor(batch_augments=augments)
    data = preprocessor(dict(inputs=inputs.byte(), data_samples=before), training=True)
    ratio = data['inputs'].shape[3] / WIDTH
    flipped = mirrored(before['keypoints'][0], WIDTH)
    assert torch.allclose(data['data_samples']['keypoints'][0, :, :, 0], flipped[..., 0] * ratio, atol=1e-3)
    same = preprocessor(dict(inputs=inputs.byte(), data_samples=before), training=False)
    assert torch.equal(same['data_samples']['keypoints'], before['keypoints'])


def test_the_state_dict_is_empty():
    assert not PoseBatchFlip(SPEC).state_dict()


def test_a_skeleton_at_fault_is_told():
    with pytest.raises(UserError, match='flip_pairs'):
        PoseBatchFlip(SPEC | dict(flip_pairs=[['left_hand', 'nose']]))


@pytest.mark.parametrize('module', [PoseBatchFlip, PoseBatchSyncRandomResize])
def test_registered_by_name(module):
    assert MODELS.get(module.__name__) is module
