"""mmyolox/utils/precision.py: which formats a device has, and networks prepared for prediction."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.registry import MODELS
from mmyolox.utils import precision
from mmyolox.utils.precision import choose_dtype, has_bfloat16, prepare_network

CPU = torch.device('cpu')
# What Linux writes about processors, shortened.
CPUS = {
    'x86 with bfloat16': ('flags\t: fpu avx512f avx512_bf16 avx512_vnni\n', True),
    'x86 with tiles': ('flags\t: fpu avx512f amx_bf16 amx_tile\n', True),
    'ARM with bfloat16': ('Features\t: fp asimd sve bf16 i8mm\n', True),
    'x86 without': ('flags\t: fpu avx2 avx512f avx512_vnni\n', False),
}


def pretend_cpu(monkeypatch, tmp_path: Path, text: str | None) -> None:
    """Makes this the machine that ``text`` describes; None for a system that does not tell."""
    path = tmp_path / 'cpuinfo'
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(precision, '_CPU_INFO', path)


@pytest.mark.parametrize('name', CPUS)
def test_cpus(name, monkeypatch, tmp_path):
    text, expected = CPUS[name]
    pretend_cpu(monkeypatch, tmp_path, text)
    assert has_bfloat16(CPU) is expected
    assert choose_dtype('auto', CPU) is (torch.bfloat16 if expected else torch.float32)


def test_a_system_that_does_not_tell(monkeypatch, tmp_path):
    pretend_cpu(monkeypatch, tmp_path, None)
    assert not has_bfloat16(CPU)


@pytest.mark.parametrize(('supported', 'chosen'), [(True, torch.bfloat16), (False, torch.float16)])
def test_accelerators(supported, chosen, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda **kwargs: asked.append(kwargs) or supported)
    device = torch.device('cuda:1')
    assert choose_dtype('auto', device) is chosen
    assert choose_dtype('float16', device) is torch.float16
    assert all(question == dict(including_emulation=False) for question in asked)
    if not supported:
        with pytest.raises(UserError, match=r'dtype bfloat16: this device \(cuda:1\) has no instructions'):
            choose_dtype('bfloat16', device)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('bfloat16', r'dtype bfloat16: this device \(cpu\) has no instructions for it; use float32'),
        ('float16', 'dtype float16: the CPU is slower in it'),
        ('half', 'dtype half: choose one of float32, bfloat16, float16, auto'),
    ],
)
def test_formats_that_a_cpu_has_not(name, message, monkeypatch, tmp_path):
    pretend_cpu(monkeypatch, tmp_path, CPUS['x86 without'][0])
    assert choose_dtype('float32', CPU) is torch.float32
    with pytest.raises(UserError, match=message):
        choose_dtype(name, CPU)


@pytest.mark.parametrize('supported', [True, False])
def test_accelerators_that_do_not_tell_emulation_apart(supported, monkeypatch):
    module = SimpleNamespace(is_bf16_supported=lambda: supported)
    monkeypatch.setattr(torch, 'get_device_module', lambda device: module)
    assert has_bfloat16(torch.device('xla')) is supported


def test_accelerators_that_are_silent(monkeypatch):
    monkeypatch.setattr(torch, 'get_device_module', lambda device: SimpleNamespace())
    assert has_bfloat16(torch.device('xla'))


# --- networks ----------------------------------------------------------------------------------------------


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
