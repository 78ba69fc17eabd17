"""How many kernels a training step sends to an accelerator, counted without one; MMDetection's beside ours.

    python benchmarks/launches.py [--config yolox_s_fast_8xb8-300e_coco] [--no-compile]

A kernel costs some 5 microseconds to launch, whatever it computes, and a device that computes faster waits.
Ours are counted on PyTorch's simulated device. MMDetection waits for values in the middle of a step, which
have to be there: it is counted on the CPU, with all operations that are no views. Compiled, kernels are those
that PyTorch's compiler makes for the CPU by an accelerator's rule for joining tensors.
"""

import argparse
import logging
import re
from typing import Any

import torch
from side_by_side import table
from torch import Tensor

CASES = [(8, 20), (32, 20), (32, 100)]
STRIDES = (8, 16, 32)


def total(losses: dict[str, Tensor]) -> Tensor:
    """What the backward pass begins at."""
    return torch.stack(list(losses.values())).sum()


def network(config: str, count: int, dtype: torch.dtype | None) -> tuple[int, int]:
    """The kernels of the network, forward and backward.

    Args:
        config: The config.
        count: The number of images.
        dtype: That of autocast, or None.
    """
    from mmyolox.fake_device import NAME, Launches, fake_device, move_to_fake

    model = build(config)
    with fake_device() as device:
        move_to_fake(model, device)
        inputs = torch.rand(count, model.input_channels, 640, 640, device=device)
        cast = torch.autocast(NAME, dtype or torch.bfloat16, enabled=dtype is not None)
        with cast, Launches() as forward:
            outputs = model(inputs)
        levels = [level for kind in outputs for level in kind]
        with Launches() as backward:
            torch.autograd.backward(levels, [torch.empty_like(level) for level in levels])
        return forward.total, backward.total


def after_network(config: str, count: int, objects: int) -> int:
    """The kernels of matching and losses, forward and backward, on the simulated device."""
    from mmyolox.deploy.letterbox import Size
    from mmyolox.fake_device import Launches, fake_device, move_to_fake

    model = build(config)
    head = model.bbox_head
    with fake_device() as device:
        move_to_fake(model, device)
        samples = head.random_samples(count, objects, Size(640, 640), device)
        outputs = leaves(model(torch.rand(count, model.input_channels, 640, 640, device=device)))
        head.forward = lambda feats: outputs
        with Launches() as launches:
            total(head.loss(None, samples)).backward()
        return launches.total


def mmdetection(count: int, objects: int) -> int:
    """Those of MMDetection's YOLOX head, on the CPU."""
    from mmdet.models import YOLOXHead
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope
    from mmengine.structures import InstanceData

    from mmyolox.fake_device import Launches

    torch.manual_seed(0)
    assigner = ConfigDict(assigner=dict(type='SimOTAAssigner', center_radius=2.5))
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = YOLOXHead(80, 128, train_cfg=assigner, strides=STRIDES)
    head.use_l1 = True
    shapes = [
        (count, channels, 640 // stride, 640 // stride) for channels in (80, 4, 1) for stride in STRIDES
    ]
    levels = [torch.randn(shape).sub_(2).requires_grad_() for shape in shapes]
    corners = 640 * torch.rand(count, objects, 2, 2).sort(dim=2).values.flatten(2)
    truths = [InstanceData(bboxes=bboxes, labels=torch.randint(80, (objects,))) for bboxes in corners]
    with Launches('cpu') as launches:
        losses = head.loss_by_feat(levels[:3], levels[3:6], levels[6:], truths, [{}] * count)
        total(losses).backward()
    return launches.total


def compiled(config: str, count: int, objects: int, side: int = 320) -> int:
    """The kernels of compiled matching and losses, which are as many for any size."""
    import torch._inductor.config as inductor
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    from mmyolox.deploy.letterbox import Size

    model = build(config)
    head = model.bbox_head
    head.assigner.max_pairs = 32_000_000  # as on an accelerator
    samples = head.random_samples(count, objects, Size(side, side), torch.device('cpu'))
    with torch.no_grad():
        outputs = leaves(model(torch.rand(count, model.input_channels, side, side)))
    head.after_network.compile(fullgraph=True, dynamic=True)
    torch._dynamo.reset()
    metrics.reset()
    # So that tensors are joined as on an accelerator; the compiler for vectors cannot do so.
    with inductor.patch({'force_pointwise_cat': True, 'cpp.simdlen': 1}):
        _, codes = run_and_get_code(lambda: total(head.after_network(head, outputs, samples)).backward())
    # Sorting, scattering and products are ready-made.
    ready = r'^ +(?:buf\d+ = )?(?:extern_kernels|aten|torch\.ops\.aten)\.\w+'
    return metrics.generated_kernel_count + sum(len(re.findall(ready, code, re.M)) for code in codes)


def build(config: str) -> Any:
    """A config's model, as in the last epochs of a training."""
    from mmyolox.config import load_config
    from mmyolox.registry import MODELS

    model: Any = MODELS.build(load_config(config).model)
    model.bbox_head.use_l1 = True
    return model.train()


def leaves(outputs: Any) -> Any:
    """Raw outputs that end the backward pass."""
    return type(outputs)(*([level.detach().requires_grad_() for level in kind] for kind in outputs))


def main() -> None:
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--config', default='yolox_s_fast_8xb8-300e_coco', help='the config of ours')
    parser.add_argument('--no-compile', action='store_true', help='leave out what takes a minute')
    args = parser.parse_args()
    logging.disable(logging.INFO)
    from mmengine.registry import init_default_scope

    import mmyolox  # noqa: F401 - its registries

    init_default_scope('mmyolox')
    rows = [
        [name, *map(str, network(args.config, 8, dtype))]
        for name, dtype in (('float32', None), ('mixed precision', torch.bfloat16))
    ]
    print(table(['network', 'forward', 'backward'], rows), end='\n\n')
    compiles = '-' if args.no_compile else str(compiled(args.config, 8, 20))
    rows = []
    for count, objects in CASES:
        ours, theirs = after_network(args.config, count, objects), mmdetection(count, objects)
        rows.append([f'{count} x {objects}', str(ours), compiles, str(theirs), f'{theirs / ours:.0f}'])
    heads = ['images x objects', 'matching and losses', 'compiled', 'MMDetection', 'ratio']
    print(table(heads, rows))


if __name__ == '__main__':
    main()
