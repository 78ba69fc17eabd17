"""Runs assignment and losses of one contestant; ``loss.py`` starts it in that one's environment.

    python loss_peer.py ours|mmyolo|mmdet

Each is given the same raw outputs of a head, and its own form of the same ground truths.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import torch
from side_by_side import serve
from torch import Tensor, nn

# The peers' environments are without mmyolox.
LiveBytes: Any = run_path(str(Path(__file__).parents[1] / 'mmyolox' / 'fake_device.py'))['LiveBytes']

STRIDES = (8, 16, 32)
NUM_CLASSES = 80
Outputs = list[list[Tensor]]
Losses = dict[str, Tensor]


class Given(nn.Module):
    """Stands for the towers of our head and hands on what it is given."""

    num_classes = NUM_CLASSES
    featmap_strides = STRIDES

    def forward(self, outputs: Outputs) -> Any:
        """The outputs themselves, by name."""
        from mmyolox.models import HeadOutputs

        return HeadOutputs(*outputs)


def make_case(batch: int, objects: int, side: int) -> tuple[Outputs, Tensor, Tensor]:
    """Raw outputs (levels of class logits, regressions and objectness), boxes (B, M, 4), labels (B, M)."""
    random = torch.Generator().manual_seed(0)
    outputs = [
        [
            torch.randn(batch, channels, side // stride, side // stride, generator=random) * 0.5 + bias
            for stride in STRIDES
        ]
        for channels, bias in ((NUM_CLASSES, -4), (4, 0), (1, -4))
    ]
    sizes = 8 + torch.rand(batch, objects, 2, generator=random) * side * 0.3
    corners = torch.rand(batch, objects, 2, generator=random) * (side - sizes)
    labels = torch.randint(NUM_CLASSES, (batch, objects), generator=random)
    for tensor in (tensor for levels in outputs for tensor in levels):
        tensor.requires_grad_()
    return outputs, torch.cat([corners, corners + sizes], 2), labels


def ours(outputs: Outputs, bboxes: Tensor, labels: Tensor) -> Callable[[], Losses]:
    """Our head of the published recipe, without its towers."""
    from mmengine.registry import init_default_scope

    from mmyolox.models import YOLOXHead

    init_default_scope('mmyolox')
    head = YOLOXHead(dict(type=Given), train_cfg=dict(assigner=dict(type='SimOTAAssigner')))
    truth = dict(bboxes=bboxes, labels=labels, ignored_bboxes=bboxes.new_zeros(len(bboxes), 0, 4))
    return lambda: head.loss(outputs, truth)


def mmyolo(outputs: Outputs, bboxes: Tensor, labels: Tensor) -> Callable[[], Losses]:
    """The head of MMYOLO's published config."""
    import peers
    from mmengine.config import Config

    folder = peers.prepare_mmyolo()
    from mmyolo.registry import MODELS

    model = Config.fromfile(folder / 'yolox_s_fast_8xb8-300e_coco.py').model
    head = MODELS.build(dict(model.bbox_head, train_cfg=model.train_cfg))
    owner = torch.arange(len(bboxes))[:, None].expand_as(labels)
    rows = torch.cat([owner[..., None], labels[..., None], bboxes], 2).flatten(0, 1)
    return lambda: head.loss_by_feat(*outputs, rows, [{}] * len(bboxes))


def mmdet(outputs: Outputs, bboxes: Tensor, labels: Tensor) -> Callable[[], Losses]:
    """The head of MMDetection with the assigner of its published config."""
    import peers

    peers.prepare_mmyolo()  # which brings MMDetection
    from mmdet.models import YOLOXHead
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmengine.structures import InstanceData

    init_default_scope('mmdet')
    assigner = dict(type='SimOTAAssigner', center_radius=2.5)
    head = YOLOXHead(NUM_CLASSES, 128, train_cfg=ConfigDict(assigner=assigner), strides=STRIDES)
    truths = [InstanceData(bboxes=b, labels=c) for b, c in zip(bboxes, labels, strict=True)]
    return lambda: head.loss_by_feat(*outputs, truths, [{}] * len(bboxes))


class Case:
    """One contestant's losses of one case."""

    def __init__(self, who: str, batch: int, objects: int, side: int) -> None:
        self.inputs = make_case(batch, objects, side)
        self.losses = dict(ours=ours, mmyolo=mmyolo, mmdet=mmdet)[who](*self.inputs)

    def forward_backward(self) -> Losses:
        """The losses; their gradients are left in the outputs."""
        for tensor in (tensor for levels in self.inputs[0] for tensor in levels):
            tensor.grad = None
        losses = self.losses()
        sum(losses.values()).backward()
        return losses

    def seconds(self) -> float:
        """How long forward and backward take."""
        start = time.perf_counter()
        self.forward_backward()
        return time.perf_counter() - start

    def check(self) -> dict[str, float]:
        """The losses, and the peak in bytes of the memory for them and the gradients."""
        with LiveBytes(self.inputs) as memory:
            losses = self.forward_backward()
        return {**{name: float(loss.detach()) for name, loss in losses.items()}, 'peak': memory.peak}


def main(who: str) -> None:
    """Serves ``build``, ``check`` and ``run``, see :class:`Case`."""
    cases: list[Case] = []

    def answer(action: str, **request: Any) -> Any:
        if action == 'build':
            cases[:] = [Case(who, **request)]
            return None
        return cases[0].check() if action == 'check' else cases[0].seconds()

    serve(answer)


if __name__ == '__main__':
    main(sys.argv[1])
