"""tools/test.py --show-dir: whose pictures they are."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

tool = load_tool('test.py')
NAME = 'yolox_nano_fast_8xb8-300e_coco'


@pytest.mark.parametrize('kind', ['YOLOXVisualizer', 'mmdet.DetLocalVisualizer'])
def test_pictures_are_the_visualizers_of_the_config(tmp_path, kind):
    cfg = load_config(NAME, {'visualizer.type': kind})
    tool.draw_detections(cfg, str(tmp_path))
    assert cfg.visualizer.type == kind
    assert cfg.default_hooks.visualization.test_out_dir == str(tmp_path)


def test_a_visualizer_that_draws_nothing_is_named(tmp_path):
    cfg = load_config(NAME, {'visualizer.type': 'Visualizer'})
    with pytest.raises(UserError, match=r'visualizer.type=Visualizer draws nothing; add --cfg-options'):
        tool.draw_detections(cfg, str(tmp_path))
