"""Detectors of other than three channels, exported and run."""

import functools

import numpy as np
import pytest

from mmyolox.deploy import DeployError, ExportedModel, ModelInfo
from mmyolox.deploy.formats import FORMATS
from mmyolox.deploy.runtimes import Runtime
from mmyolox.errors import UserError
from mmyolox.export.formats import export_model
from mmyolox.export.inputs import made_images
from mmyolox.export.verify import verify
from tests.export.models import expected_detections, noise, options, small_detector


@functools.cache
def four_channel_detector():
    return small_detector(**{'backbone.input_channels': 4})


@pytest.fixture
def model():
    return four_channel_detector()


@pytest.mark.parametrize('asked', [dict(form='raw'), dict(form='end2end', preprocess=True)], ids=str)
def test_four_channels_go_through_onnx(model, tmp_path, asked):
    chosen = options(dynamic_batch=True, **asked)
    path = export_model(FORMATS['onnx'], model, tmp_path / 'a', chosen)
    exported = ExportedModel(path)
    assert exported.channels == 4
    images = noise(2, 4, 64, 96)
    expected = expected_detections(model, images, size=(64, 96))
    for found, wanted in zip(exported(images.transpose(0, 2, 3, 1).astype(np.uint8)), expected, strict=True):
        assert len(found) == len(wanted) > 10
        np.testing.assert_allclose(found.scores, wanted.scores, atol=5e-3)
    # A letterbox in the graph may differ by a grey level, which moves objects of random weights.
    if not chosen.preprocess:
        assert verify(model, path, chosen, made_images((64, 96), 4)).objects > 10


def test_the_fourth_channel_counts(model, tmp_path):
    exported = ExportedModel(export_model(FORMATS['onnx'], model, tmp_path / 'a', options()))
    image = noise(1, 4, 64, 96)[0].transpose(1, 2, 0).astype(np.uint8)
    (first,), (second,) = exported([image]), exported([image * np.uint8([1, 1, 1, 0])])
    assert len(first) != len(second) or (first.scores != second.scores).any()
    with pytest.raises(DeployError, match=r'an image of shape \(64, 96, 3\), uint8: .* needs \(h, w, 4\)'):
        exported([image[..., :3]])


def test_four_channels_have_no_order_of_colours(model, tmp_path):
    with pytest.raises(UserError, match='colour rgb: the network takes 4 channels, not 3'):
        export_model(FORMATS['onnx'], model, tmp_path / 'a', options(colour='rgb'))
    info = ModelInfo(('a',), (64, 96), colour='rgb')
    with pytest.raises(DeployError, match='colour rgb means nothing for 4 channels'):
        ExportedModel('a.any', info=info, runtime=Runtime(lambda batch: [batch], (1, 4, 64, 96), None))
