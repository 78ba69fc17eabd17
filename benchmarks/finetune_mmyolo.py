"""Fine-tunes MMYOLO 0.6.0's YOLOX-nano; ``finetune.py`` starts it in MMYOLO's environment.

    python finetune_mmyolo.py convert MEGVII.pth OUT.pth      # with MMYOLO's own converter
    python finetune_mmyolo.py train SETTINGS.json

Its published nano config with what a user changes for data of one's own on a small machine: classes and
files, 416-pixel training images and multi-scale sizes as ours, one warm-up epoch, a schedule of the asked
length, and AdamW instead of SGD unless the published recipe is asked for. MMYOLO's runner does the rest.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import peers
from mmengine.config import Config

SIDE = 416


def make_config(settings: dict[str, Any], configs: Path) -> Config:
    """The config; ``settings`` are those of ``finetune.py``."""
    cfg = Config.fromfile(configs / 'yolox_nano_fast_8xb8-300e_coco.py')
    set_data(cfg, settings)
    set_schedule(cfg, settings)
    cfg.model.bbox_head.head_module.num_classes = len(settings['classes'])
    cfg.model.data_preprocessor.batch_augments[0].random_size_range = settings['sizes']
    cfg.load_from, cfg.work_dir = settings['weights'], settings['work_dir']
    cfg.randomness = dict(seed=0)
    return cfg


def set_data(cfg: Config, settings: dict[str, Any]) -> None:
    """Files, classes, sizes, batches and workers."""
    stage2 = cfg.custom_hooks[0].new_train_pipeline
    peers.set_img_scale(cfg.train_dataloader.dataset.pipeline, SIDE)
    peers.set_img_scale(stage2, SIDE)
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.val_dataloader, 'val')):
        loader.update(batch_size=settings['batch'], num_workers=settings['workers'])
        loader.dataset.update(
            data_root=f'{settings["data"]}/',
            ann_file=f'annotations/{split}.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=settings['classes']),
        )
    cfg.test_dataloader = cfg.val_dataloader
    cfg.val_evaluator.update(
        ann_file=f'{settings["data"]}/annotations/val.json', outfile_prefix=settings['results']
    )
    cfg.test_evaluator = cfg.val_evaluator


def set_schedule(cfg: Config, settings: dict[str, Any]) -> None:
    """Epochs, learning rates, and one evaluation at the end."""
    epochs, last, lr = settings['epochs'], settings['last_epochs'], settings['lr']
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
    cfg.custom_hooks[0].num_last_epochs = last
    cfg.default_hooks.checkpoint.interval = epochs
    warmup, cosine, constant = cfg.param_scheduler
    warmup.end = cosine.begin = 1
    cosine.update(end=epochs - last, T_max=epochs - last - 1, eta_min=0.05 * lr)
    constant.update(begin=epochs - last, end=epochs)
    if settings['recipe'] == 'adamw':
        cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=lr, weight_decay=0.05)
    else:
        cfg.optim_wrapper.optimizer.lr = lr


def main(action: str, *args: str) -> None:
    """Converts or trains."""
    configs = peers.prepare_mmyolo()
    if action == 'convert':
        converter = configs.parents[1] / 'tools' / 'model_converters' / 'yolox_to_mmyolo.py'
        runpy.run_path(str(converter))['convert'](*args)
        return
    from mmengine.runner import Runner

    Runner.from_cfg(make_config(json.loads(Path(args[0]).read_text()), configs)).train()


if __name__ == '__main__':
    main(*sys.argv[1:])
