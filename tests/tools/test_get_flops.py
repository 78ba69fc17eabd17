"""tools/analysis_tools/get_flops.py on our configs."""

import re
import subprocess
import sys

import pytest

from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

get_flops = load_tool('analysis_tools/get_flops.py')


def figures(out):
    """The printed parameters (M) and GFLOPs."""
    words = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    return float(words['parameters']), float(words['GFLOPs'])


@pytest.mark.parametrize(('size', 'params', 'gflops'), [('nano', 0.91, 1.08), ('tiny', 5.06, 6.45)])
def test_published_figures(run, size, params, gflops):
    out = run(get_flops, f'yolox_{size}_fast_8xb8-300e_coco')
    assert 'input       416 x 416 (w x h)' in out
    assert figures(out) == (pytest.approx(params, rel=0.01), pytest.approx(gflops, rel=0.02))


def test_cost_grows_with_the_area_and_channels_are_those_of_the_config(run):
    name = 'yolox_nano_fast_8xb8-300e_coco'
    _, small = figures(run(get_flops, name, '--shape', 416, 192))
    params, large = figures(
        run(get_flops, name, '--shape', 416, 384, '--cfg-options', 'model.backbone.input_channels=4')
    )
    assert large == pytest.approx(2 * small, rel=0.06)
    assert params == pytest.approx(0.91, abs=0.01)


@pytest.mark.parametrize('shape', [(0, 416), (100, 416), (10**9, 10**9)])
def test_impossible_sizes_are_named(run, shape):
    with pytest.raises(UserError, match=r'100|--shape 0|at most'):
        run(get_flops, 'yolox_nano_fast_8xb8-300e_coco', '--shape', *shape)


def test_a_config_without_a_size_asks_for_one(run, tmp_path):
    config = tmp_path / 'plain.py'
    config.write_text("default_scope = 'mmyolox'\nmodel = dict(type='YOLODetector')\n")
    with pytest.raises(UserError, match='no img_scale; give --shape'):
        run(get_flops, config)


@pytest.mark.parametrize(
    ('options', 'dtype'),
    [
        (['--amp'], 'bfloat16'),
        (
            ['--cfg-options', 'optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.loss_scale=dynamic'],
            'float16',
        ),
    ],
)
def test_the_memory_of_a_training(options, dtype):
    # The device that is simulated stays registered: in a process of its own.
    command = [sys.executable, get_flops.__file__, 'yolox_nano_fast_8xb8-300e_coco', '--memory']
    done = subprocess.run(
        [*command, '--batch', '2', *options, '--cfg-options', 'img_scale=64,64'],
        capture_output=True,
        text=True,
        check=True,
    )
    said = rf'memory      0\.\d\d GiB to train on 2 images of 96 x 96 in {dtype}\n'
    assert re.search(said, done.stdout)


@pytest.mark.parametrize('count', [0, -1])
def test_no_number_of_images_is_refused_first(run, count):
    with pytest.raises(UserError, match=f'{count} is no number of images'):
        run(get_flops, 'yolox_nano_fast_8xb8-300e_coco', '--memory', '--batch', count)
