"""The exported table against a plain loop over the head's outputs."""

import numpy as np
import pytest
import torch

from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.export.network import CandidateNetwork, ExportNetwork
from mmyolox.models.networks.blocks import BN, SILU, ConvBuilder
from mmyolox.models.networks.focus import Focus, focus_as_convolution
from mmyolox.registry import MODELS
from tests.export.models import (
    CLOSE,
    expected_predictions,
    noise,
    options,
    randomised,
    shared_detector,
    small_detector,
)


@pytest.fixture
def model():
    return shared_detector()


@pytest.mark.parametrize('focus', ['conv', 'slices'])
@pytest.mark.parametrize(('form', 'size'), [('raw', (64, 96)), ('decoded', (96, 64)), ('decoded', (32, 32))])
def test_rows_equal_a_loop(model, form, size, focus):
    images = noise(2, 3, *size)
    rows = ExportNetwork(model, options(size, form=form, focus=focus))(torch.from_numpy(images))
    np.testing.assert_allclose(rows, expected_predictions(model, images, form == 'decoded'), **CLOSE)


def test_any_size_with_priors_from_the_feature_maps(model):
    images = noise(1, 3, 64, 128)
    network = ExportNetwork(model, options((32, 32), form='decoded', dynamic_size=True))
    np.testing.assert_allclose(
        network(torch.from_numpy(images)), expected_predictions(model, images, True), **CLOSE
    )


def test_rgb_is_reversed(model):
    images = noise(1, 3, 64, 96)
    rows = ExportNetwork(model, options(colour='rgb'))(torch.from_numpy(images[:, ::-1].copy()))
    np.testing.assert_allclose(rows, expected_predictions(model, images, True), **CLOSE)


def test_normalisation_of_the_config_is_inside(model):
    images = noise(1, 3, 64, 96)
    mean, std = [4.0, 8.0, -6.0], [0.9, 1.1, 1.2]
    key = 'data_preprocessor'
    other = small_detector(**{f'{key}.mean': mean, f'{key}.std': std, f'{key}.bgr_to_rgb': True})
    rows = ExportNetwork(other, options())(torch.from_numpy(images))
    inputs = (images[:, ::-1] - np.float32(mean)[:, None, None]) / np.float32(std)[:, None, None]
    np.testing.assert_allclose(rows, expected_predictions(model, inputs, True), **CLOSE)


def test_candidates_are_what_the_head_suppresses(model):
    images = noise(2, 3, 64, 96)
    bboxes, scores = CandidateNetwork(model, options(form='end2end'))(torch.from_numpy(images))
    rows = expected_predictions(model, images, True)
    center, side = rows[..., :2], rows[..., 2:4]
    corners = np.concatenate([center - side / 2, center + side / 2], axis=2)
    np.testing.assert_allclose(bboxes, corners, **CLOSE)
    np.testing.assert_allclose(scores.mT, rows[..., 4:5] * rows[..., 5:], **CLOSE)


def test_the_model_stays_as_it_is():
    model = small_detector()  # its own: a shared one would be changed already
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ExportNetwork(model, options())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_focus_as_a_convolution(channels):
    focus = Focus(channels, 8, ConvBuilder(BN, SILU))
    randomised(focus, (), channels=channels)
    images = torch.rand(2, channels, 30, 42, generator=torch.Generator().manual_seed(0)) * 255
    stem = focus_as_convolution(focus)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in stem.modules()) == 1
    torch.testing.assert_close(stem(images), focus(images), rtol=1e-5, atol=1e-4)


def test_grey_images_have_no_order_of_colours():
    grey = small_detector(**{'backbone.input_channels': 1})
    assert grey.input_channels == 1
    assert ExportNetwork(grey, options())(torch.zeros(1, 1, 64, 96)).shape == (1, 126, 8)
    with pytest.raises(UserError, match='colour rgb: the network takes 1 channels'):
        ExportNetwork(grey, options(colour='rgb'))


def test_a_stem_that_is_no_focus():
    config = load_config('yolox_darknet53_fast_8xb8-300e_coco').model
    model = MODELS.build(config).eval()
    assert model.input_channels == 3
    with torch.no_grad():
        assert ExportNetwork(model, options((32, 32)))(torch.zeros(1, 3, 32, 32)).shape == (1, 21, 85)
