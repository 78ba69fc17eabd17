"""What ``torch.compile`` needs from the system."""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from mmyolox.errors import UserError


def require_compiler(device: str) -> None:
    """Checks what PyTorch's compiler "inductor" would find missing minutes later, with a long traceback.

    Its code for CPUs is C++. For accelerators, its kernels need no compiler, but Triton compiles a launcher
    in C. Both include Python's headers.

    Args:
        device: type of the device that the network runs on.

    Raises:
        UserError: there is no such compiler, or no headers.
    """
    if device == 'cpu':
        language, variable = 'C++', 'CXX'
        defaults = {'darwin': ['clang++'], 'win32': ['cl']}.get(sys.platform, ['g++'])
    else:
        language, variable, defaults = 'C', 'CC', ['gcc', 'clang', 'cl']
    given = os.environ.get(variable)
    commands = [shlex.split(given)[0]] if given else defaults
    remedy = 'or train without model.compile_network'
    if not any(map(shutil.which, commands)):
        raise UserError(
            f'model.compile_network: torch.compile needs a {language} compiler on this device, and there is '
            f'no {" or ".join(commands)}; install one, name it in the variable {variable}, {remedy}'
        )
    headers = Path(sysconfig.get_path('include'), 'Python.h')
    if not headers.is_file():
        raise UserError(
            f'model.compile_network: torch.compile needs the headers of Python, and there is no {headers}; '
            f'install them (python3-dev on Debian), {remedy}'
        )
