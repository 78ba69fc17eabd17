"""Builds and times the data pipeline of one contestant; ``pipeline.py`` starts it in that one's environment.

    python pipeline_peer.py ours|mmyolo|megvii

Cases are ``stage1`` (mosaic, affine, mixup, HSV, flip, pack), ``stage2`` (without mixing), ``test``, and
``cached`` (stage 1 that mixes with images it remembers); ``cached_whole`` adds what our cached config leaves
to the device.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from side_by_side import serve

cv2.setNumThreads(0)
torch.set_num_threads(1)

Config = Any
TRAIN_FILES: dict[str, Any] = dict(
    ann_file='annotations/instances_train2017.json', data_prefix=dict(img='train2017/')
)


def our_cfg(case: str, data_root: str, side: int, configs: dict[str, str]) -> Config:
    """Our config, whose ``train_dataloader`` is that of the case."""
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config

    init_default_scope('mmyolox')
    name = configs['cached' if case.startswith('cached') else 'plain']
    cfg = load_config(name, dict(data_root=f'{data_root}/', img_scale=(side, side)))
    if case == 'test':
        cfg.train_dataloader = cfg.val_dataloader
        cfg.train_dataloader.dataset.update(TRAIN_FILES)
    if case == 'stage2':
        cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline_stage2
    return cfg


def mmyolo_cfg(case: str, data_root: str, side: int, configs: dict[str, str]) -> Config:
    """The same of MMYOLO's published YOLOX-s config."""
    import peers
    from mmengine.config import Config

    cfg = Config.fromfile(peers.prepare_mmyolo() / 'yolox_s_fast_8xb8-300e_coco.py')
    loader = cfg.train_dataloader = cfg.val_dataloader if case == 'test' else cfg.train_dataloader
    file = json.loads(Path(data_root, TRAIN_FILES['ann_file']).read_text())
    names = [category['name'] for category in file['categories']]
    loader.dataset.update(data_root=f'{data_root}/', metainfo=dict(classes=names), **TRAIN_FILES)
    if case == 'stage2':
        loader.dataset.pipeline = cfg.custom_hooks[0].new_train_pipeline
    peers.set_img_scale(loader.dataset.pipeline, side)
    if case == 'cached':
        for step in loader.dataset.pipeline:
            if step['type'] in ('Mosaic', 'YOLOXMixUp'):
                step.update(use_cached=True, pre_transform=None)
    return cfg


CONFIGS = dict(ours=our_cfg, mmyolo=mmyolo_cfg)


def build_openmmlab(who: str, case: str, **request: Any) -> Any:
    """A data set of the two that stand on MMEngine."""
    cfg = CONFIGS[who](case, **request)
    if who == 'ours':
        from mmyolox.registry import DATASETS
    else:
        from mmyolo.registry import DATASETS

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    return WithDevicePart(dataset, cfg.model.data_preprocessor) if case == 'cached_whole' else dataset


class WithDevicePart:
    """Our cached data set; every eighth sample also pays for what the config leaves to the device."""

    def __init__(self, samples: Any, preprocessor: Config) -> None:
        from mmengine.logging import MessageHub

        from mmyolox.datasets import yolox_collate
        from mmyolox.registry import MODELS

        augments = preprocessor.batch_augments
        preprocessor.batch_augments = [a for a in augments if a.type != 'YOLOXBatchSyncRandomResize']
        self.samples, self.collate, self.preprocess = samples, yolox_collate, MODELS.build(preprocessor)
        self.batch: list[dict[str, Any]] = []
        self.hub, self.iteration = MessageHub.get_current_instance(), 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.samples[index]
        self.batch.append(sample)
        if len(self.batch) == 8:
            # What is drawn is a function of the iteration.
            self.iteration += 1
            self.hub.update_info('iter', self.iteration)
            self.preprocess(self.collate(self.batch), training=True)
            self.batch = []
        return sample


class MegviiSamples:
    """Megvii's data set indexed like the others'; it wants to be told about the mosaic with every index."""

    def __init__(self, case: str, data_root: str, side: int, configs: dict[str, str]) -> None:
        import peers

        peers.prepare_megvii()
        from yolox.data import COCODataset, ValTransform
        from yolox.exp import get_exp

        exp = get_exp(exp_name='yolox-s')
        exp.data_dir, exp.input_size = data_root, (side, side)
        self.is_mixed = case == 'stage1'
        if case == 'test':
            files = dict(json_file=exp.train_ann, name='train2017')
            self.samples = COCODataset(data_root, **files, img_size=(side, side), preproc=ValTransform())
        else:
            exp.get_data_loader(batch_size=8, is_distributed=False)
            self.samples = exp.dataset

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(inputs=self.samples[self.is_mixed, index][0])


class Contestant:
    """Keeps the data sets that it has built."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.build: Callable[..., Any] = MegviiSamples
        if who != 'megvii':
            self.build = lambda case, **request: build_openmmlab(who, case, **request)
        self.datasets: dict[tuple[str, int], Any] = {}

    def answer(self, action: str, **request: Any) -> float:
        """Does ``block`` or ``loader``, see there."""
        return {'block': self.block, 'loader': self.loader}[action](**request)

    def block(self, case: str, side: int, seed: int, count: int, **request: Any) -> float:
        """Samples a second over ``count`` random samples, in this process."""
        key = (case, side)
        if key not in self.datasets:
            self.datasets[key] = self.build(case=case, side=side, **request)
        dataset = self.datasets[key]
        np.random.seed(seed)
        random.seed(seed)
        torch.manual_seed(seed)
        indices = np.random.default_rng(seed).integers(len(dataset), size=count).tolist()
        start = time.perf_counter()
        shapes = {tuple(dataset[index]['inputs'].shape) for index in indices}
        rate = count / (time.perf_counter() - start)
        if shapes != {(3, side, side)}:
            raise ValueError(f'samples of the wrong shape: {sorted(shapes)[0]}')
        return rate

    def loader(self, case: str, workers: int, batches: int, **request: Any) -> float:
        """Samples a second over ``batches`` batches of 8 through a data loader, after as many to start it."""
        from mmengine.runner import Runner

        cfg = CONFIGS[self.who](case, **request).train_dataloader
        cfg.update(num_workers=workers, persistent_workers=workers > 0, pin_memory=False, batch_size=8)
        cfg.sampler = dict(type='InfiniteSampler', shuffle=True)
        stream = iter(Runner.build_dataloader(cfg, seed=0))
        for _ in range(batches):
            next(stream)
        start = time.perf_counter()
        for _ in range(batches):
            next(stream)
        return 8 * batches / (time.perf_counter() - start)


if __name__ == '__main__':
    serve(Contestant(sys.argv[1]).answer)
