"""Assignment and losses of YOLOX-Pose beside those of our own detector on the CPU: time and memory.

    python benchmarks/pose_loss.py

Forward and backward of everything after the head's towers, in float32, on random outputs at 640 x 640 in the
memory layout of training (channels last) and the same boxes: the pose head with 17 keypoints and one class,
the detector with 80 classes and with one. Runs take turns in one process where glibc keeps freed memory,
as in our tools; times are medians. Peak memory is that of all tensors made on the way, the gradients of
the outputs among them.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

from side_by_side import table, take_turns

CASES = [(8, 12), (8, 100), (32, 12), (32, 100)]
STRIDES = (8, 16, 32)
K = 17
Losses = Callable[[], dict]


def make_people(batch: int, objects: int, side: int) -> dict:
    """The same random annotations for all heads, every second keypoint labelled."""
    import torch

    random = torch.Generator().manual_seed(0)
    sizes = 8 + torch.rand(batch, objects, 2, generator=random) * side * 0.3
    corners = torch.rand(batch, objects, 2, generator=random) * (side - sizes)
    points = corners[:, :, None] + sizes[:, :, None] * torch.rand(batch, objects, K, 2, generator=random)
    keypoints = torch.cat([points, torch.full((*points.shape[:3], 1), 2.0)], dim=-1)
    keypoints[:, :, 1::2] = 0
    return dict(
        bboxes=torch.cat([corners, corners + sizes], dim=2),
        labels=torch.zeros(batch, objects, dtype=torch.int64),
        ignored_bboxes=torch.zeros(batch, 0, 4),
        keypoints=keypoints,
        areas=sizes.prod(dim=2),
    )


def make_outputs(batch: int, side: int, channels: list[tuple[int, float]]) -> tuple:
    """Random raw outputs: for each (channels, mean) the levels, which take gradients."""
    import torch

    random = torch.Generator().manual_seed(0)
    return tuple(
        [
            (torch.randn(batch, count, side // stride, side // stride, generator=random) * 0.5 + mean)
            .contiguous(memory_format=torch.channels_last)
            .requires_grad_()
            for stride in STRIDES
        ]
        for count, mean in channels
    )


def make_head(num_classes: int, is_pose: bool):  # type: ignore[no-untyped-def]
    """A head of the published recipe whose towers hand on what they are given."""
    from torch import nn

    from mmyolox.models import YOLOXHead
    from mmyolox.projects.yolox_pose.head import YOLOXPoseHead
    from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS

    def given(num_classes: int, num_keypoints: int = 0) -> nn.Module:
        module = nn.Identity()
        module.num_classes, module.featmap_strides = num_classes, STRIDES
        return module

    towers = dict(type=given, num_classes=num_classes)
    assigner = dict(type='PoseSimOTAAssigner' if is_pose else 'SimOTAAssigner')
    if not is_pose:
        return YOLOXHead(towers, train_cfg=dict(assigner=assigner))
    skeleton = dict(keypoints=list(COCO_SIGMAS), flip_pairs=[], sigmas=list(COCO_SIGMAS.values()))
    loss_pose = dict(type='OksLoss', loss_weight=30.0)
    return YOLOXPoseHead(skeleton, towers, loss_pose, train_cfg=dict(assigner=assigner))


def make_case(batch: int, objects: int, side: int) -> dict[str, tuple[tuple, Losses]]:
    """The raw outputs and the losses of each contestant."""
    from mmyolox.models import HeadOutputs
    from mmyolox.projects.yolox_pose.head_module import PoseOutputs

    people = make_people(batch, objects, side)
    case = {}
    for who, classes, is_pose in [('pose', 1, True), ('detector, 80', 80, False), ('detector, 1', 1, False)]:
        channels = [(classes, -4.0), (4, 0.0), (1, -4.0), *[(2 * K, 0.0), (K, -4.0)] * is_pose]
        outputs = (PoseOutputs if is_pose else HeadOutputs)(*make_outputs(batch, side, channels))
        case[who] = outputs, partial(make_head(classes, is_pose).loss, outputs, people)
    return case


def step(outputs: tuple, losses: Losses) -> float:
    """Seconds of forward and backward."""
    for tensor in (tensor for levels in outputs for tensor in levels):
        tensor.grad = None
    start = perf_counter()
    sum(losses().values()).backward()
    return perf_counter() - start


def peak(outputs: tuple, losses: Losses) -> float:
    """Megabytes that a step needs at its peak."""
    from mmyolox.fake_device import LiveBytes

    with LiveBytes(outputs) as memory:
        step(outputs, losses)
    return memory.peak / 1e6


def measure(batch: int, objects: int, args: argparse.Namespace) -> list[str]:
    """A row of the table."""
    case = make_case(batch, objects, args.side)
    seconds = take_turns({who: partial(step, *steps) for who, steps in case.items()}, args.repeats)
    times = {who: 1000 * median(found) for who, found in seconds.items()}
    peaks = [peak(*steps) for steps in case.values()]
    return [
        f'{batch} x {objects}',
        *(f'{time:.0f}' for time in times.values()),
        *(f'{times["pose"] / times[who]:.2f}' for who in list(times)[1:]),
        *(f'{megabytes:.0f}' for megabytes in peaks),
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="assignment and losses of YOLOX-Pose beside our detector's")
    parser.add_argument('--side', type=int, default=640)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    import torch
    from mmengine.registry import init_default_scope

    from mmyolox.utils.cli import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(args.threads)
    init_default_scope('mmyolox')
    header = ['images x people', *(f'{who} ms' for who in ('pose', '80 classes', '1 class'))]
    header += ['pose / 80', 'pose / 1', *(f'{who} MB' for who in ('pose', '80 classes', '1 class'))]
    print(table(header, [measure(*case, args) for case in CASES]))


if __name__ == '__main__':
    main()
