"""Small batches, and the state of a run that augmentations read."""

import numpy as np
import torch
from mmengine.logging import MessageHub


def make_batch(size=(64, 96), channels=3, batch=2):
    torch.manual_seed(0)
    return dict(
        inputs=torch.randint(256, (batch, channels, *size), dtype=torch.uint8),
        data_samples=dict(
            bboxes=torch.tensor([[[8.0, 16.0, 24.0, 48.0]] * 3] * batch),
            labels=torch.tensor([[1, 0, -1]] * batch),
            ignored_bboxes=torch.tensor([[[0.0, 2.0, 4.0, 8.0]]] * batch),
            metas=[dict(img_id=i, ori_shape=size, matrix=np.eye(3)) for i in range(batch)],
        ),
    )


def set_run(seed, iteration):
    """Sets what MMEngine's RuntimeInfoHook tells all parts of a run."""
    hub = MessageHub.get_instance('run')
    hub.update_info('seed', seed)
    hub.update_info('iter', iteration)
