"""A training imports what its config names, and nothing beside."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmyolox.config import load_config
from mmyolox.config.check import check_config
from tests.tools.tool_loading import load_tool

ROOT = Path(__file__).parents[2]
SLOW = ('mmdet.datasets', 'mmdet.engine', 'mmdet.evaluation', 'mmdet.models', 'matplotlib', 'scipy')


def test_configs_name_nothing_of_mmdet_but_the_voc_metric():
    texts = [path.read_text(encoding='utf-8') for path in (ROOT / 'configs').rglob('*.py')]
    assert set(re.findall(r'mmdet\.\w+', ' '.join(texts))) == {'mmdet.VOCMetric'}


def test_a_checked_config_and_its_model_are_there_without_mmdet():
    code = f"""
import sys
from mmengine.registry import init_default_scope
from mmyolox.registry import MODELS
from mmyolox.config import load_config
cfg = load_config('yolox_nano_fast_8xb8-300e_coco')
init_default_scope(cfg.default_scope)
MODELS.build(cfg.model)
print([name for name in {SLOW} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == '[]'


@pytest.mark.parametrize('name', ['yolox_s_fast_8xb8-300e_coco', 'yolox_s_fast_1xb8-50e_voc'])
def test_pictures_are_drawn_when_asked_for(name, tmp_path):
    cfg = load_config(name)
    assert 'visualization' not in cfg.default_hooks
    load_tool('test.py').draw_detections(cfg, str(tmp_path))
    check_config(cfg)
    assert cfg.default_hooks.visualization.out_dir == str(tmp_path)
