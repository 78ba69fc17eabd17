"""Formats whose converters are not in the development environment, where they are installed."""

import platform

import numpy as np
import pytest
import torch

from mmyolox.deploy import ExportedModel, ModelInfo
from mmyolox.deploy.formats import FORMATS
from mmyolox.deploy.runtimes import ncnn_channels, open_runtime
from mmyolox.errors import UserError
from mmyolox.export.formats import export_model
from mmyolox.export.inputs import made_images
from mmyolox.export.network import ExportNetwork
from mmyolox.export.options import Precision
from mmyolox.export.torch_formats import UnitPixelNetwork
from mmyolox.export.verify import compare
from tests.export.calm_models import calmed, keeping_options
from tests.export.models import CLOSE, expected_predictions, noise, options, shared_detector


@pytest.mark.parametrize('name', ['ncnn', 'tflite', 'coreml'])
@pytest.mark.parametrize('form', ['raw', 'decoded'])
def test_rows(tmp_path, name, form):
    kind, model = FORMATS[name], shared_detector()
    for package in kind.packages:
        pytest.importorskip(package.replace('-', '_'))
    path = export_model(kind, model, tmp_path / 'a', options(form=form))
    if kind.unrunnable():
        with pytest.raises(UserError, match='only macOS'):
            open_runtime(path)
        assert platform.system() != 'Darwin'
        return
    runtime = open_runtime(path)
    assert ModelInfo.from_json(runtime.metadata).form == form
    assert runtime.input_shape == (1, 3, 64, 96)
    images = noise(1, 3, 64, 96)
    np.testing.assert_allclose(
        runtime.run(images)[0], expected_predictions(model, images, form == 'decoded'), **CLOSE
    )


@pytest.mark.parametrize('asked', [dict(focus='conv'), dict(focus='slices', form='raw', colour='rgb')])
def test_unit_pixels_change_no_output(asked):
    """And weights that float16 would lose are as many times larger."""
    network = ExportNetwork(shared_detector(), options(**asked)).eval()
    images = torch.from_numpy(noise(1, 3, 64, 96))
    kernels = {name: weight.clone() for name, weight in network.named_parameters()}
    wanted = network(images)
    scaled = UnitPixelNetwork(network)
    torch.testing.assert_close(scaled(images), wanted)
    changed = [name for name, weight in network.named_parameters() if not weight.equal(kernels[name])]
    assert len(changed) == 1
    assert 'stem' in changed[0]
    assert network.get_parameter(changed[0]).equal(kernels[changed[0]] * 256)


@pytest.mark.parametrize('name', ['ncnn', 'coreml'])
def test_half_precision(tmp_path, name):
    kind, model = FORMATS[name], calmed(shared_detector())
    for package in kind.packages:
        pytest.importorskip(package)
    chosen = keeping_options(precision=Precision('fp16'))
    path = export_model(kind, model, tmp_path / 'a', chosen)
    if kind.unrunnable() is None:
        report = compare(model, ExportedModel(path), chosen, made_images((64, 96), 3))
        assert report.objects > 100
        assert report.fault() is None


@pytest.mark.parametrize(
    ('text', 'channels'),
    [
        ('Input in0 0 1 in0\nConvolution conv_6 1 1 in0 1 0=16 1=6 11=6 12=1 5=1 6=1728\n', 3),
        ('Convolution c 1 1 in0 1 0=8 1=3 11=3 6=72\nConvolution d 1 1 1 2 0=8 1=3 11=3 6=576\n', 1),
    ],
)
def test_channels_of_an_ncnn_network(tmp_path, text, channels):
    (tmp_path / 'a.param').write_text(text)
    assert ncnn_channels(tmp_path / 'a.param') == channels


def test_an_ncnn_network_without_convolution(tmp_path):
    (tmp_path / 'a.param').write_text('7767517\n')
    with pytest.raises(UserError, match='has no convolution'):
        ncnn_channels(tmp_path / 'a.param')
