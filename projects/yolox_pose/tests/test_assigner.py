"""PoseSimOTAAssigner against all pairs in plain, and its rules by hand."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmyolox.models.boxes import grid_priors
from mmyolox.projects.yolox_pose.assigner import PoseSimOTAAssigner, center_window
from mmyolox.projects.yolox_pose.head_module import PoseOutputs
from mmyolox.projects.yolox_pose.tests.cases import (
    COCO_SKELETON,
    STRIDES,
    pose_head,
    random_outputs,
    random_people,
)
from mmyolox.projects.yolox_pose.tests.plain_ota import plain_owners
from mmyolox.registry import TASK_UTILS
from tests.models.given_outputs import mapped

FIVE = dict(keypoints=list('abcde'), sigmas=[0.05, 0.03, 0.1, 0.08, 0.06], flip_pairs=[])
SIZES = ((160, 160), (160, 224), (224, 128))


class SizeRecorder(TorchDispatchMode):
    """Notes the largest tensor that any operation returns; views of expanded axes count for nothing."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [
            leaf.numel() for leaf in tree_leaves(out) if torch.is_tensor(leaf) and 0 not in leaf.stride()
        ]
        self.largest = max([self.largest, *sizes])
        return out


def assign(head, outputs, people):
    return head.assign(outputs, head.priors(outputs), people)


def compare(seeds, sides, counts=(1, 8), unlabelled=0.0, skeleton=COCO_SKELETON, form='diagonal', **options):
    """How many priors have another owner in the plain form, and how many are positive there."""
    head = pose_head(skeleton, options['assigner'], form)
    differing = positive = 0
    for seed in seeds:
        size, random = SIZES[seed % 3], torch.Generator().manual_seed(seed)
        number = torch.randint(*counts, (4,), generator=random).tolist()
        people = random_people(number, size, sides, len(skeleton['keypoints']), seed)
        people['keypoints'] *= torch.rand(4, max(number), 1, 1, generator=random) >= unlabelled
        noise = (0.02, 0.1, 0.3)[seed // 3 % 3]
        outputs = random_outputs(people, size, noise, is_nearest=options.get('is_nearest', False), seed=seed)
        sigmas = head.loss_pose.sigmas
        expected = plain_owners(outputs, people, head.priors(outputs), form, sigmas, **options['assigner'])
        differing += int((assign(head, outputs, people).gt_index != expected).sum())
        positive += int((expected >= 0).sum())
    return differing, positive


@pytest.mark.parametrize(
    ('seeds', 'options'),
    [
        (range(100), dict(assigner=dict())),
        (range(100, 150), dict(assigner=dict(), form='coco')),
        (range(150, 200), dict(assigner=dict(oks_weight=1.0, vis_weight=1.0), skeleton=FIVE)),
        (range(200, 250), dict(assigner=dict(vis_weight=0.5), unlabelled=0.4)),
    ],
    ids=['published', 'coco', 'visibility', 'unlabelled'],
)
def test_a_thousand_images_equal_all_pairs_in_plain(seeds, options):
    differing, positive = compare(seeds, (52, 160), **options)
    assert differing == 0
    assert positive > 20 * len(seeds) * 4


def test_on_tiny_people_little_differs():
    """Boxes of 4 to 24 pixels, most with fewer inner cells than they take priors."""
    differing, positive = compare(range(30), (4, 24), assigner=dict(), is_nearest=True)
    assert 0 < differing < 0.03 * positive


def winner(first, second, predicted, **assigner):
    """Which of two people with the same box gets the only cell near its centre, of stride 8 at (28, 28).

    Args:
        first: The keypoints of the one, (2, 3).
        second: Those of the other.
        predicted: (2, 2), by that cell.
    """
    head = pose_head(dict(keypoints=['a', 'b']), dict(center_radius=0.2, **assigner))
    people = dict(
        bboxes=torch.tensor([[[20.0, 20, 36, 36]] * 2]),
        labels=torch.tensor([[0, 0]]),
        keypoints=torch.tensor([[first, second]]).float(),
        areas=torch.tensor([[256.0, 256]]),
    )
    outputs = PoseOutputs(*([torch.zeros(1, n, 64 // s, 64 // s) for s in STRIDES] for n in (1, 4, 1, 4, 2)))
    outputs.offsets[0][0, :, 3, 3] = (torch.tensor(predicted).flatten() - 24) / 8
    gt_index = assign(head, outputs, people).gt_index[0]
    assert int((gt_index >= 0).sum()) == 1
    return int(gt_index[3 * 8 + 3])


SEEN, OTHER, NONE = [[22, 22, 2], [34, 34, 2]], [[34, 22, 2], [22, 34, 1]], [[0, 0, 0], [0, 0, 0]]
RIGHT, WRONG = [[22.0, 22], [34, 34]], [[90.0, 90], [0, 90]]


@pytest.mark.parametrize(
    ('first', 'second', 'predicted', 'assigner', 'expected'),
    [
        (SEEN, OTHER, RIGHT, {}, 0),
        (OTHER, SEEN, RIGHT, {}, 1),
        (OTHER, SEEN, RIGHT, dict(oks_weight=0.0), 0),
        # Without labelled keypoints the overlap, 1/4 here, stands in for the similarity.
        (SEEN, NONE, RIGHT, {}, 0),
        (NONE, SEEN, RIGHT, {}, 1),
        (SEEN, NONE, WRONG, {}, 1),
        (NONE, SEEN, WRONG, {}, 0),
    ],
)
def test_keypoints_decide_between_equal_boxes(first, second, predicted, assigner, expected):
    assert winner(first, second, predicted, **assigner) == expected


@pytest.mark.parametrize('radius', [0.4, 1.0, 1.5, 2.5, 2.7])
@pytest.mark.parametrize('size', [(20, 28), (5, 5), (3, 2), (1, 9)])
def test_the_window_has_all_cells_near_the_centre(radius, size):
    torch.manual_seed(0)
    centers = (torch.rand(4, 50, 2) * 2 - 0.5) * torch.tensor([size[1], size[0]]) * 8
    centers[0] = centers[0].round()
    bboxes = torch.cat([centers - 3, centers + 3], dim=2)
    window = center_window(bboxes, radius, torch.tensor(8.0), size)
    assert window.shape == (4, 50, math.prod(min(math.ceil(2 * radius), side) for side in size))
    assert int(window.min()) >= 0
    assert int(window.max()) < math.prod(size)
    assert all(len(set(cells)) == len(cells) for cells in window.flatten(0, 1).tolist())
    cells = grid_priors([size], [8], torch.device('cpu'))[:, :2] + 4
    is_near = ((cells - centers[:, :, None]).abs() < radius * 8).all(dim=3)
    is_inside = torch.zeros_like(is_near).scatter_(2, window, True)
    assert not (is_near & ~is_inside).any()


@pytest.mark.parametrize('max_pairs', [1, 3000])
def test_slices_change_nothing(max_pairs):
    people = random_people((7, 0, 3), (128, 160), (30, 100))
    outputs = random_outputs(people, (128, 160))
    whole = assign(pose_head(), outputs, people)
    sliced = assign(pose_head(assigner=dict(max_pairs=max_pairs)), outputs, people)
    assert torch.equal(whole.gt_index, sliced.gt_index)
    assert torch.equal(whole.slot_priors, sliced.slot_priors)


def test_nothing_has_a_keypoint_for_each_pair():
    people = random_people((30, 20), (320, 320), (30, 200))
    outputs = random_outputs(people, (320, 320))
    pairs, slots = 2 * 30 * 2100, 2 * 30 * 25 * 34
    outputs_size = 2 * 2100 * 34
    for max_pairs, bound in [(pairs, pairs), (1, outputs_size)]:
        head = pose_head(assigner=dict(max_pairs=max_pairs))
        with SizeRecorder() as recorder:
            assign(head, outputs, people)
        assert recorder.largest <= max(bound, min(slots, max_pairs), 4 * 2 * 2100)


@pytest.mark.parametrize('counts', [(0,), (0, 0), (0, 2)])
def test_images_without_people(counts):
    people = random_people(counts, (64, 96), (30, 60))
    assignment = assign(pose_head(), random_outputs(people, (64, 96)), people)
    assert assignment.gt_index.shape == (len(counts), 126)
    assert assignment.is_positive.any(dim=1).tolist() == [count > 0 for count in counts]


@pytest.mark.parametrize('index', range(5))
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_broken_predictions_do_not_stop_the_assignment(index, value):
    people = random_people((3, 3), (96, 96), (50, 90))
    outputs = random_outputs(people, (96, 96))
    expected = assign(pose_head(), outputs, people)
    for level in outputs[index]:
        level[0] = value
    assignment = assign(pose_head(assigner=dict(vis_weight=1.0)), outputs, people)
    assert int(assignment.gt_index.max()) < 3
    assert torch.equal(assign(pose_head(), outputs, people).gt_index[1:], expected.gt_index[1:])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_matched_in_float32(dtype):
    people = random_people((3, 5), (96, 1280), (50, 300))
    half = mapped(lambda level: level.to(dtype), random_outputs(people, (96, 1280)))
    head = pose_head(assigner=dict(vis_weight=1.0))
    with torch.autocast('cpu', dtype):
        found = assign(head, half, people)
    rounded = mapped(torch.Tensor.float, half)
    assert torch.equal(found.gt_index, assign(head, rounded, people).gt_index)


def test_registered_by_name():
    assigner = TASK_UTILS.build(dict(type='PoseSimOTAAssigner', center_radius=1.5, oks_weight=2.0))
    assert isinstance(assigner, PoseSimOTAAssigner)
    assert (assigner.center_radius, assigner.oks_weight) == (1.5, 2.0)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_without_waiting():
    people = random_people((7, 0, 3), (160, 160), (52, 160))
    outputs = random_outputs(people, (160, 160))
    expected = assign(pose_head(), outputs, people).gt_index
    head = pose_head().cuda()
    outputs = mapped(torch.Tensor.cuda, outputs)
    people = {name: value.cuda() for name, value in people.items()}
    torch.cuda.set_sync_debug_mode('error')
    try:
        found = assign(head, outputs, people)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert float((found.gt_index.cpu() == expected).float().mean()) > 0.999
