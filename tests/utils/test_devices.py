"""Which formats a device has, and what its compiler needs."""

import shutil
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmyolox.errors import UserError
from mmyolox.utils import devices
from mmyolox.utils.devices import choose_dtype, has_bfloat16, require_compiler

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
    monkeypatch.setattr(devices, '_CPU_INFO', path)


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


# --- the compiler -----------------------------------------------------------------------------------------


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system with Python's headers and these commands."""

    def set_up(*commands, headers=True):
        (tmp_path / 'Python.h').touch() if headers else None
        monkeypatch.setattr(shutil, 'which', lambda name: name if name in commands else None)
        monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
        monkeypatch.setattr(sys, 'platform', 'linux')
        for variable in ('CC', 'CXX'):
            monkeypatch.delenv(variable, raising=False)

    return set_up


@pytest.mark.parametrize(
    ('device', 'commands'),
    [('cpu', ['g++']), ('cuda', ['gcc']), ('npu', ['clang']), ('xpu', ['gcc', 'clang'])],
)
def test_a_compiler_is_there(system, device, commands):
    system(*commands)
    require_compiler(device)


@pytest.mark.parametrize(
    ('device', 'commands', 'message'),
    [('cpu', ['gcc'], r'C\+\+ compiler .* no g\+\+'), ('cuda', ['g++'], 'C compiler .* no gcc or clang')],
)
def test_no_compiler_for_the_device(system, device, commands, message):
    system(*commands)
    with pytest.raises(UserError, match=message):
        require_compiler(device)


def test_the_compiler_that_the_user_names(system, monkeypatch):
    system('g++', '/opt/my-g++')
    monkeypatch.setenv('CXX', '/opt/my-g++ -v')
    require_compiler('cpu')
    monkeypatch.setenv('CXX', '/gone/g++')
    with pytest.raises(UserError, match=r'no /gone/g\+\+'):
        require_compiler('cpu')


def test_no_headers(system):
    system('g++', headers=False)
    with pytest.raises(UserError, match=r'Python\.h'):
        require_compiler('cpu')
