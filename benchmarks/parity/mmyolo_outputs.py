"""A model of MMYOLO 0.6.0's: its checkpoint, its raw outputs and its predictions, for both of its peers.

Needs what MMYOLO's own environment has.
"""

import math
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from random_weights import randomise
from torch import Tensor, nn
from torch.utils.data import DataLoader

METAS = (
    dict(ori_shape=(192, 250), scale_factor=(288 / 250, 221 / 192)),
    dict(ori_shape=(320, 240), scale_factor=(0.7, 0.7)),
)
"""A landscape and a portrait, (h, w), that MMYOLO's test pipeline fits into the images, by (x, y)."""


@torch.no_grad()
def store(config: Config, folder: str) -> None:
    """Builds, fills, stores and runs a model.

    Args:
        config: A published config.
        folder: Gets ``epoch_1.pth``, what the runner saves: the random weights as moving average, and others
            that were never run as the raw ones. And ``outputs.pth`` with the ``images`` and their ``metas``,
            the raw ``outputs`` (lists of levels), and ``predictions``: for each image the fields of all boxes
            that are left by the suppression, the best first.
    """
    runner = build_runner(config, folder)
    model = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    images = randomise(model)
    make_selective(model.bbox_head.head_module, config.model.test_cfg.score_thr)
    runner.save_checkpoint(folder, 'epoch_1.pth', save_optimizer=False, save_param_scheduler=False)
    outputs = model(images)
    content = dict(images=images, metas=METAS, outputs=outputs, predictions=predict(model.bbox_head, outputs))
    torch.save(content, Path(folder, 'outputs.pth'))


def predict(head: nn.Module, outputs: tuple[list[Tensor], ...]) -> list[dict[str, Tensor]]:
    """The fields of all boxes of each image, in float32 as ours, so that nearly equal scores have one order.

    MMYOLO's pose head fails where there are more candidates than the boxes that it may return.
    """
    rounded = ([level.float() for level in levels] for levels in outputs)
    test_cfg = deepcopy(head.test_cfg) | dict(max_per_img=100_000)
    found = head.predict_by_feat(*rounded, batch_img_metas=METAS, cfg=test_cfg)
    return [{name: torch.as_tensor(value) for name, value in image.items()} for image in found]


def build_runner(config: Config, folder: str) -> Runner:
    """A runner that has just begun to train, with the config's moving average."""
    runner = Runner(
        model=config.model,
        work_dir=folder,
        train_dataloader=DataLoader([0]),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=config.optim_wrapper,
        custom_hooks=[hook for hook in config.custom_hooks if hook.type == 'EMAHook'],
        default_scope='mmyolo',
        log_level='ERROR',
        randomness=dict(seed=0),
        cfg=config,
    )
    runner.call_hook('before_run')
    return runner


def make_selective(head_module: nn.Module, score_thr: float) -> None:
    """Changes prediction layers so that few scores exceed the threshold, and boxes overlap."""
    for cls, reg, obj in zip(
        head_module.multi_level_conv_cls,
        head_module.multi_level_conv_reg,
        head_module.multi_level_conv_obj,
        strict=True,
    ):
        cls.weight *= 4
        obj.weight *= 4
        cls.bias -= math.log(len(cls.bias))
        obj.bias += math.log(score_thr)
        reg.bias[2:] += 2
