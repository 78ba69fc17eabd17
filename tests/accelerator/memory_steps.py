"""What trainings need on a fake accelerator, which stays registered: in a process of its own.

    python -m tests.accelerator.memory_steps CASE ...

A case is the JSON list of the arguments of :func:`needed`. Prints for each its outcome as JSON.
"""

import json
import sys

import torch
from mmengine.logging import MMLogger

from mmyolox.config import load_config
from mmyolox.engine.batch_size import random_losses, training_size
from mmyolox.engine.device_memory import training_memory
from mmyolox.fake_device import LiveBytes
from mmyolox.registry import MODELS


def needed(name, count, dtype, recomputes=False, is_measured=False):
    """The parts of what a training needs, and the total in GiB.

    Args:
        name: The config.
        count: The number of images.
        dtype: That of autocast, or None.
        recomputes: Whether the norms' results are computed anew.
        is_measured: Whether to look, as ``measured``, at the tensors of a step on the CPU, too.
    """
    cfg = load_config(name)
    cfg.train_dataloader.batch_size = count
    if dtype:
        cfg.optim_wrapper.update(type='AutocastOptimWrapper', dtype=dtype)
    cfg.model.recompute_norms = recomputes
    memory = training_memory(cfg)
    outcome = dict(memory._asdict(), dtype=str(memory.dtype), gib=memory.total / 2**30)
    if is_measured:
        model = MODELS.build(cfg.model).train()
        model.bbox_head.use_l1 = True
        model.bbox_head.assigner.max_pairs = 32_000_000  # as on an accelerator
        with LiveBytes([*model.parameters(), *model.buffers()]) as live:
            losses = random_losses(model, count, training_size(cfg, model), torch.device('cpu'))
            torch.stack(losses).sum().backward()
        outcome['measured'] = live.peak
    return outcome


if __name__ == '__main__':
    MMLogger.get_current_instance().setLevel('ERROR')
    for case in sys.argv[1:]:
        print(json.dumps(needed(*json.loads(case))), flush=True)
