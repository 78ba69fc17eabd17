"""Training steps on a fake accelerator, which stays registered: in a process of its own.

    python -m tests.accelerator.fake_steps {matching,whole,compiled} CASE ...

A case is the JSON list of the arguments of the function of that name. Prints for each its outcome as JSON.
"""

import json
import sys
import traceback

import numpy as np
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import DynamicOutputShapeException
from torch.nn.utils import clip_grad_norm_
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmyolox.config import load_config
from mmyolox.deploy.letterbox import Size
from mmyolox.engine import YOLOXEMA
from mmyolox.engine.hooks.losses import HostCopy
from mmyolox.fake_device import NAME, Launches, fake_device, move_to_fake
from mmyolox.registry import MODELS

SIZE = Size(640, 640)


def matching_step(name, count, objects, ignored, dtype):
    """The kernels of matching and losses, forward and backward, and the devices of losses and gradients.

    Args:
        name: The config.
        count: The number of images.
        objects: That of the objects of each.
        ignored: That of the ignored regions of each.
        dtype: That of autocast, or None.
    """
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


class Crossings(TorchDispatchMode):
    """Notes the operations that bring tensors of the device to the host."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        before, after = (
            {leaf.device.type for leaf in tree_leaves(nest) if isinstance(leaf, torch.Tensor)}
            for nest in ((args, kwargs), outputs)
        )
        if NAME in before and 'cpu' in after:
            self.names.append(func.overloadpacket.__name__)
        return outputs


def whole_step(name, options, dtype):
    """A config's training step after the loader, and a prediction up to where it waits for a number of boxes.

    Args:
        name: The config.
        options: As of ``--cfg-options``.
        dtype: That of autocast, or None.

    Returns:
        The ``devices`` of weights, gradients, averages and losses, the ``side`` of the images after the
        preprocessor, what came to the host in the ``step`` and in
        the ``log`` of its losses, and the ``place`` where the prediction stopped.
    """
    cfg = load_config(name, options)
    model = MODELS.build(cfg.model).train()
    model.bbox_head.use_l1 = True
    MessageHub.get_current_instance().update_info('iter', 50)  # of another size than the first ones
    with fake_device() as device:
        move_to_fake(model, device)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        average = YOLOXEMA(model, update_buffers=True)
        samples = model.bbox_head.random_samples(2, 5, SIZE, device)
        images = torch.zeros(2, model.input_channels, *SIZE, dtype=torch.uint8, device=device)
        batch = dict(inputs=images, data_samples=dict(samples, metas=[{}, {}]))
        with Crossings() as step:
            data = model.data_preprocessor(batch, True)
            with torch.autocast(NAME, getattr(torch, dtype or 'bfloat16'), enabled=dtype is not None):
                losses = model(**data, mode='loss')
            total, log = model.parse_losses(losses)
            total.backward()
            clip_grad_norm_(model.parameters(), 35.0)
            wrapper.optimizer.step()
            for _ in range(2):  # the first one copies
                average.update_parameters(model)
        with Crossings() as logged:
            HostCopy(log)
        tensors = [*log.values(), *average.module.state_dict().values()]
        for weight in model.parameters():
            tensors += [weight, weight.grad]
        model.eval()
        metas = [dict(ori_shape=(640, 640), matrix=np.eye(3))] * 2
        place = None
        try:
            model(data['inputs'], dict(metas=metas), mode='predict')
        except DynamicOutputShapeException as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = [frame.name for frame in frames if '/mmyolox/' in frame.filename][-1]
        return dict(
            devices=sorted({tensor.device.type for tensor in tensors}),
            side=data['inputs'].shape[3],
            step=step.names,
            log=logged.names,
            place=place,
        )


def compiled_step(name):
    """The graphs of a config's compiled step, and the ``devices`` of its losses.

    Args:
        name: The config.
    """
    counter = CompileCounter()
    options = dict(compile_network=True, compile_losses=True, compile_backend=counter)
    model = MODELS.build(dict(load_config(name).model, **options)).train()
    with fake_device() as device:
        move_to_fake(model, device)
        samples = model.bbox_head.random_samples(2, 7, SIZE, device)
        inputs = torch.rand(2, model.input_channels, *SIZE, device=device)
        losses = model(inputs, samples, mode='loss')
        torch.stack(list(losses.values())).sum().backward()
        devices = sorted({loss.device.type for loss in losses.values()})
        return dict(graphs=counter.frame_count, devices=devices)


if __name__ == '__main__':
    init_default_scope('mmyolox')
    MMLogger.get_current_instance().setLevel('ERROR')
    function = globals()[f'{sys.argv[1]}_step']
    for case in sys.argv[2:]:
        print(json.dumps(function(*json.loads(case))), flush=True)
