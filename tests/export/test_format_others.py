"""Formats whose converters are not in the development environment, where they are installed."""

import platform

import numpy as np
import pytest
from export_models import CLOSE, expected_rows, noise, options, shared_detector

from mmyolox.deploy import ModelInfo
from mmyolox.export.formats import FORMATS
from mmyolox.export.ncnn import _channels
from mmyolox.utils import UserError


@pytest.mark.parametrize('name', ['ncnn', 'tflite', 'coreml'])
@pytest.mark.parametrize('form', ['raw', 'decoded'])
def test_rows(tmp_path, name, form):
    kind, model = FORMATS[name], shared_detector()
    for package in kind.packages:
        pytest.importorskip(package.replace('-', '_'))
    path = kind.export(model, tmp_path / 'a', options(form=form))
    if kind.unverifiable():
        with pytest.raises(UserError, match='only macOS'):
            kind.load(path)
        assert platform.system() != 'Darwin'
        return
    runtime = kind.load(path)
    assert ModelInfo.from_json(runtime.metadata).form == form
    assert runtime.input_shape == (1, 3, 64, 96)
    images = noise(1, 3, 64, 96)
    np.testing.assert_allclose(
        runtime.run(images)[0], expected_rows(model, images, form == 'decoded'), **CLOSE
    )


@pytest.mark.parametrize(
    ('text', 'channels'),
    [
        ('Input in0 0 1 in0\nConvolution conv_6 1 1 in0 1 0=16 1=6 11=6 12=1 5=1 6=1728\n', 3),
        ('Convolution c 1 1 in0 1 0=8 1=3 11=3 6=72\nConvolution d 1 1 1 2 0=8 1=3 11=3 6=576\n', 1),
    ],
)
def test_channels_of_an_ncnn_network(tmp_path, text, channels):
    (tmp_path / 'a.param').write_text(text)
    assert _channels(tmp_path / 'a.param') == channels


def test_an_ncnn_network_without_convolution(tmp_path):
    (tmp_path / 'a.param').write_text('7767517\n')
    with pytest.raises(UserError, match='has no convolution'):
        _channels(tmp_path / 'a.param')
