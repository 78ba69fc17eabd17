"""Networks prepared for prediction: folded norms, and half precision."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmyolox.apis.detectors import prepare_network
from mmyolox.config import load_config
from mmyolox.models import YOLODetector
from mmyolox.registry import MODELS


def random_detector(name: str) -> YOLODetector:
    """A model with random weights and norms that all do something, and features of order 1."""
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(load_config(f'yolox_{name}_fast_8xb8-300e_coco').model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.momentum = 1.0
    model.train()(255 * torch.rand(4, 3, 96, 96))
    return model.eval()


def logits(model, images):
    with torch.no_grad():
        return torch.cat([level.float().flatten() for levels in model(images) for level in levels])


@pytest.mark.parametrize('name', ['nano', 'tiny', 's', 'm', 'darknet53'])
def test_folded_norms_give_the_same_logits(name):
    model = random_detector(name)
    images = 255 * torch.rand(1, 3, 96, 128)
    expected = logits(model, images)
    prepare_network(model, True, torch.float32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    found = logits(model, images.contiguous(memory_format=torch.channels_last))
    assert expected.isfinite().all()
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_without_folding_the_state_dict_stays():
    model = random_detector('nano')
    before = copy.deepcopy(model.state_dict())
    prepare_network(model, False, torch.float32)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize('fuse', [True, False])
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.bfloat16, 0.4), (torch.float16, 0.08)])
def test_half_precision_stays_near(dtype, tolerance, fuse):
    """Random layers amplify the rounding of their inputs: trained ones differ ten times less."""
    model = random_detector('tiny')
    images = 255 * torch.rand(1, 3, 96, 128)
    expected = logits(model, images)
    prepare_network(model, fuse, dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    error = logits(model, images) - expected
    assert 0 < error.std() / expected.std() < tolerance


def test_weights_stay_with_channels_last():
    model = random_detector('nano')
    prepare_network(model, True, torch.bfloat16)
    weight = model.backbone.stem.conv.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
