"""Configs that inherit from ours by ``mmyolox::``, as those of other packages do, go through all tools."""

import pytest

from tests.integration.runs import ONE_EPOCH, run_tool, succeed

REGISTRY = """
from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry

from mmyolox.models import YOLODetector

MODELS = Registry('model', parent=ROOT, scope='theirs')


@MODELS.register_module()
class TheirDetector(YOLODetector):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        print('their forward:', mode)
        return super().forward(inputs, data_samples, mode)
"""


@pytest.fixture
def by_name(config):
    """The config of the other tests, with its base named ``mmyolox::``."""
    text = config.read_text()
    start, end = text.index("_base_ = '"), text.index('yolox/yolox_nano')
    config.write_text(f"{text[:start]}_base_ = 'mmyolox::{text[end:]}val_evaluator = dict(classwise=True)\n")
    return config


def test_a_base_named_by_its_package_goes_through_all_tools(by_name, tmp_path, shapes):
    run = tmp_path / 'run'
    succeed(run_tool('train.py', by_name, '--work-dir', run, '--cfg-options', *ONE_EPOCH))
    checkpoint = run / 'epoch_1.pth'
    succeed(
        run_tool('test.py', by_name, checkpoint, '--work-dir', run, '--tta', '--show-dir', tmp_path / 'drawn')
    )
    assert len(list((tmp_path / 'drawn').rglob('*.jpg'))) == 5
    succeed(run_tool('analysis_tools/browse_dataset.py', by_name, '--out-dir', tmp_path / 'seen'))
    succeed(run_tool('image_demo.py', shapes / 'images', by_name, checkpoint, '--out-dir', tmp_path / 'demo'))
    succeed(run_tool('analysis_tools/get_flops.py', by_name))
    export = [
        'deployment/export.py',
        by_name,
        checkpoint,
        '--format',
        'torchscript',
        '--out',
        tmp_path / 'a.torchscript',
    ]
    succeed(run_tool(*export))


def test_a_config_of_another_package_with_a_scope_of_its_own_trains(by_name, tmp_path):
    (tmp_path / 'theirs').mkdir()
    (tmp_path / 'theirs/__init__.py').write_text('')
    (tmp_path / 'theirs/registry.py').write_text(REGISTRY)
    text = by_name.read_text().replace('model = dict(', "model = dict(\n    type='theirs.TheirDetector',")
    found = f"__import__('sys').path.insert(0, '{tmp_path}')\n"
    by_name.write_text(f"{found}{text}default_scope = 'theirs'\n")
    run = tmp_path / 'run'
    output = succeed(run_tool('train.py', by_name, '--work-dir', run, '--cfg-options', *ONE_EPOCH))
    assert output.count('their forward: loss') == 4
    succeed(run_tool('test.py', by_name, run / 'epoch_1.pth', '--work-dir', run))
