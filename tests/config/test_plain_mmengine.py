"""What MMEngine's own ``Config.fromfile`` makes of our configs."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmyolox.config.find import find_config
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.datasets.small_sets import write_coco


def test_a_config_without_values_from_the_data_trains(tmp_path):
    write_coco(tmp_path, 4)
    cfg = Config.fromfile(find_config('yolox_nano_fast_8xb8-300e_coco'))
    data = dict(
        data_root=str(tmp_path), ann_file='ann.json', data_prefix=dict(img='images/'), img_scale=(64, 64)
    )
    loader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=data)
    cfg.merge_from_dict(dict(train_dataloader=loader, train_cfg=dict(max_epochs=1)))
    for key in (
        'val_dataloader',
        'val_cfg',
        'val_evaluator',
        'test_dataloader',
        'test_cfg',
        'test_evaluator',
    ):
        cfg[key] = None
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()
    start = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert runner.epoch == 1
    assert (tmp_path / 'work/epoch_1.pth').is_file()
    moved = [name for name, value in runner.model.named_parameters() if not torch.equal(value, start[name])]
    assert len(moved) > len(start) / 2


def test_a_model_that_waits_for_the_data_says_so():
    cfg = Config.fromfile(find_config('yolox_nano_fast_1xb8-50e_custom'))
    init_default_scope('mmyolox')
    message = 'num_classes is None: this config takes it from the data: load it by .*load_config.* or set'
    with pytest.raises(UserError, match=message):
        MODELS.build(cfg.model)
