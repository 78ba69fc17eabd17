"""The marks of packages that MMEngine gives to what it reads of a ``package::`` base."""

import pytest
from mmengine.config import Config

from mmyolox.config import load_config
from mmyolox.config.check import walk
from mmyolox.config.scopes import resolve_scopes

NANO = "_base_ = 'mmyolox::yolox/yolox_nano_fast_8xb8-300e_coco.py'\n"


def test_marks_of_the_default_scope_are_dropped(tmp_path):
    """All that takes a dict of the config takes it then: functions, metadata, parts found by name."""
    path = tmp_path / 'c.py'
    path.write_text(NANO + '_extra = dict(again=_base_.resize, more=[dict(sizes=_base_.env_cfg)])\n')
    marked = [where for where, _ in walk(load_config(path).to_dict(), '') if where.endswith('_scope_')]
    assert marked == []


def test_another_packages_config_on_ours_finds_our_types(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text(NANO + "default_scope = 'mmengine'\n")
    cfg = load_config(path)
    assert cfg.model._scope_ == 'mmyolox'
    assert cfg.model.type == 'YOLODetector'
    assert cfg.default_hooks.ema == dict(
        type='UpdateEMAHook', ema_type='mmyolox.YOLOXEMA', momentum=1e-4, update_buffers=True,
        strict_load=False, priority=49, _scope_='mmyolox',
    )  # fmt: skip
    assert cfg.optim_wrapper.constructor == 'mmyolox.YOLOXOptimWrapperConstructor'
    assert cfg.train_dataloader.collate_fn == dict(type='yolox_collate')
    assert cfg.visualizer.type == 'mmyolox.YOLOXVisualizer'
    assert '_scope_' not in cfg.visualizer


@pytest.mark.parametrize(
    ('node', 'resolved'),
    [
        (dict(type='YOLOXEMA', _scope_='mmyolox'), dict(type='YOLOXEMA', _scope_='mmyolox')),
        (dict(type='A', _scope_='mmengine'), dict(type='A')),
        (dict(a=1, _scope_='mmyolox'), dict(a=1)),
        ([dict(type='A', _scope_='mmengine')], [dict(type='A')]),
        (dict(a=dict(type='A', _scope_='mmyolox')), dict(a=dict(type='A', _scope_='mmyolox'))),
        (
            dict(visualizer=dict(type='YOLOXVisualizer', _scope_='mmyolox')),
            dict(visualizer=dict(type='mmyolox.YOLOXVisualizer')),
        ),
        (
            dict(collate_fn=dict(type='pseudo_collate', _scope_='mmyolox')),
            dict(collate_fn=dict(type='pseudo_collate')),
        ),
    ],
)
def test_what_becomes_of_a_mark(node, resolved):
    cfg = Config(dict(node=node))
    resolve_scopes(cfg)
    assert cfg.to_dict()['node'] == resolved
