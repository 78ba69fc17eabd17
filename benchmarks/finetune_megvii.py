"""Fine-tunes Megvii's YOLOX-nano 0.3.0; ``finetune.py`` starts it in Megvii's environment.

    python finetune_megvii.py SETTINGS.json

Model, data set, augmentation, loader, learning rates, moving average, evaluation loader and post-processing
are Megvii's, set up by its nano experiment. Its ``Trainer`` and the loop of its evaluator need a CUDA device:
the two loops here stand in for them, step for step.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import peers
import torch

peers.prepare_megvii()

from yolox.exp import get_exp  # noqa: E402
from yolox.utils import ModelEMA, load_ckpt, postprocess  # noqa: E402

Experiment = Any


def make_experiment(settings: dict[str, Any]) -> Experiment:
    """Megvii's nano experiment for our data; ``settings`` are those of ``finetune.py``."""
    exp = get_exp(exp_name='yolox-nano')
    exp.data_dir, exp.num_classes = settings['data'], len(settings['classes'])
    exp.train_ann, exp.val_ann = 'train.json', 'val.json'
    exp.data_num_workers = settings['workers']
    exp.max_epoch, exp.no_aug_epochs, exp.warmup_epochs = settings['epochs'], settings['last_epochs'], 1
    exp.random_size = tuple(side // 32 for side in settings['sizes'])
    exp.basic_lr_per_img = settings['lr'] / settings['batch']
    exp.test_conf = 0.001  # as for the published AP
    exp.seed = 0
    return exp


def make_optimizer(exp: Experiment, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Megvii's SGD, or AdamW on its parameter groups."""
    sgd = exp.get_optimizer(settings['batch'])
    if settings['recipe'] != 'adamw':
        return sgd
    groups = [
        dict(params=group['params'], weight_decay=0.05 if group['weight_decay'] else 0.0)
        for group in sgd.param_groups
    ]
    return torch.optim.AdamW(groups, lr=0.0)


class Training:
    """The part of Megvii's ``Trainer`` that trains."""

    def __init__(self, settings: dict[str, Any]) -> None:
        exp = self.exp = make_experiment(settings)
        weights = torch.load(settings['weights'], weights_only=True)['model']
        self.model = load_ckpt(exp.get_model(), weights).train()
        self.optimizer = make_optimizer(exp, settings)
        self.loader = exp.get_data_loader(settings['batch'], is_distributed=False)
        self.schedule = exp.get_lr_scheduler(settings['lr'], len(self.loader))
        self.ema = ModelEMA(self.model, 0.9998)

    def run(self) -> None:
        """All epochs."""
        batches = iter(self.loader)  # endless
        per_epoch = len(self.loader)
        size = self.exp.input_size
        for iteration in range(self.exp.max_epoch * per_epoch):
            if iteration == (self.exp.max_epoch - self.exp.no_aug_epochs - 1) * per_epoch:
                self.loader.close_mosaic()
                self.model.head.use_l1 = True
            self.step(batches, size, iteration)
            if (iteration + 1) % 10 == 0:
                size = (32 * random.randint(*self.exp.random_size),) * 2

    def step(self, batches: Iterator[Any], size: tuple[int, int], iteration: int) -> None:
        """One iteration, as ``Trainer.train_one_iter``."""
        images, targets, _, _ = next(batches)
        images, targets = self.exp.preprocess(images.float(), targets, size)
        losses = self.model(images, targets)
        self.optimizer.zero_grad()
        losses['total_loss'].backward()
        self.optimizer.step()
        self.ema.update(self.model)
        lr = self.schedule.update_lr(iteration + 1)
        for group in self.optimizer.param_groups:
            group['lr'] = lr
        if (iteration + 1) % 10 == 0:
            print(
                f'iteration {iteration + 1}: loss {float(losses["total_loss"]):.3f}, lr {lr:.2e}', flush=True
            )


@torch.no_grad()
def detect(exp: Experiment, model: torch.nn.Module, batch: int) -> list[dict[str, Any]]:
    """Detections in the validation images, in COCO's result format, as ``COCOEvaluator.evaluate``."""
    evaluator = exp.get_evaluator(batch, is_distributed=False)
    found = []
    for images, _, sizes, ids in evaluator.dataloader:
        outputs = postprocess(model(images), exp.num_classes, exp.test_conf, exp.nmsthre)
        found += evaluator.convert_to_coco_format(outputs, sizes, ids)
    return found


def main(path: str) -> None:
    """Trains, stores the weights, detects and stores the detections."""
    settings = json.loads(Path(path).read_text())
    cv2.setNumThreads(0)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    training = Training(settings)
    training.run()
    model = training.ema.ema.eval()
    torch.save(dict(model=model.state_dict()), Path(settings['work_dir'], 'latest_ckpt.pth'))
    found = detect(training.exp, model, settings['batch'])
    Path(f'{settings["results"]}.bbox.json').write_text(json.dumps(found))


if __name__ == '__main__':
    main(sys.argv[1])
