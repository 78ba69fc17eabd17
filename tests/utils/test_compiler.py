"""What torch.compile needs is looked for before the training."""

import shutil
import sys
import sysconfig

import pytest

from mmyolox.errors import UserError
from mmyolox.utils.compiler import require_compiler


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
