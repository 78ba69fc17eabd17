"""Training steps on a fake accelerator, which stays registered: in a process of its own.

    python -m tests.accelerator.fake_steps CASE ...

A case is a JSON list: config, images, objects and ignored regions of each, and the type of autocast or null.
Prints for each a JSON object, see :func:`fake_step`.
"""

import json
import sys

import torch
from mmengine.registry import init_default_scope

from mmyolox.config import load_config
from mmyolox.deploy.letterbox import Size
from mmyolox.fake_device import NAME, Launches, fake_device, move_to_fake
from mmyolox.registry import MODELS

SIZE = Size(640, 640)


def fake_step(name, count, objects, ignored, dtype):
    """The kernels of matching and losses, forward and backward, and the devices of losses and gradients."""
    init_default_scope('mmyolox')
    model = MODELS.build(load_config(name).model).train()
    head = model.bbox_head
    head.use_l1 = True
    with fake_device() as device:
        move_to_fake(model, device)
        samples = head.random_samples(count, objects, SIZE, device)
        samples['ignored_bboxes'] = samples['bboxes'][:, :ignored]
        inputs = torch.rand(count, model.input_channels, SIZE.height, SIZE.width, device=device)
        with torch.autocast(NAME, getattr(torch, dtype or 'bfloat16'), enabled=dtype is not None):
            outputs = model(inputs)
            # Without the network's own kernels.
            leaves = type(outputs)(*([x.detach().requires_grad_() for x in levels] for levels in outputs))
            head.forward = lambda feats: leaves
            with Launches() as launches:
                losses = head.loss(None, samples)
        with launches:
            torch.stack(list(losses.values())).sum().backward()
        tensors = [*losses.values(), *(level.grad for levels in leaves for level in levels)]
        return dict(kernels=launches.by_name, devices=sorted({tensor.device.type for tensor in tensors}))


if __name__ == '__main__':
    for case in sys.argv[1:]:
        print(json.dumps(fake_step(*json.loads(case))), flush=True)
