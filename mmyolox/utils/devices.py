"""What a device is good at: number formats, and the compiler; and how many cores there are."""

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import torch

from mmyolox.errors import UserError

from .memory import processes_on_machine

DTYPES = ('float32', 'bfloat16', 'float16', 'auto')
"""What :func:`choose_dtype` takes."""

_CPU_INFO = Path('/proc/cpuinfo')


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format to compute in.

    Args:
        name: The name of a dtype: ``float32``, ``bfloat16`` or ``float16``; or ``auto``: bfloat16 where the
            device computes in it, else float16 on an accelerator, else float32.
        device: The device to compute on.

    Raises:
        UserError: An unknown name, or a format that this device has not. PyTorch would emulate bfloat16 and
            float16, slower than float32.
    """
    if name not in DTYPES:
        raise UserError(f'dtype {name}: choose one of {", ".join(DTYPES)}')
    on_cpu = device.type == 'cpu'
    if name == 'auto':
        name = 'bfloat16' if has_bfloat16(device) else 'float32' if on_cpu else 'float16'
    if name == 'float16' and on_cpu:
        raise UserError('dtype float16: the CPU is slower in it than in float32; use bfloat16 or float32')
    if name == 'bfloat16' and not has_bfloat16(device):
        raise UserError(f'dtype bfloat16: this device ({device}) has no instructions for it; use float32')
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 by itself; False for a CPU of which the system does not tell."""
    if device.type == 'cpu':
        # avx512_bf16 and amx_bf16 of x86, bf16 of ARM.
        return _CPU_INFO.is_file() and 'bf16' in _CPU_INFO.read_text()
    supports: Any = getattr(torch.get_device_module(device), 'is_bf16_supported', lambda: True)
    try:
        return bool(supports(including_emulation=False))
    except TypeError:  # not every accelerator's function tells these apart
        return bool(supports())


def device_name(device: torch.device | str) -> str:
    """What a device calls itself, such as ``NVIDIA H200``; of a CPU, what the system tells, or ``cpu``."""
    get_name: Any = getattr(torch.get_device_module(device), 'get_device_name', platform.processor)
    return str(get_name() or 'cpu')


def usable_cores() -> int:
    """The CPU cores that this process has for itself: those that the system lets it use, else the machine's.

    Several processes of one training share them.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(1, usable // processes_on_machine())


def require_compiler(device: str) -> None:
    """Checks what PyTorch's compiler "inductor" would find missing minutes later, with a long traceback.

    Its code for CPUs is C++. For accelerators, its kernels need no compiler, but Triton compiles a launcher
    in C. Both include Python's headers.

    Args:
        device: The type of the device that the network runs on.

    Raises:
        UserError: There is no such compiler, or no headers.
    """
    if device == 'cpu':
        language, variable = 'C++', 'CXX'
        defaults = {'darwin': ['clang++'], 'win32': ['cl']}.get(sys.platform, ['g++'])
    else:
        language, variable, defaults = 'C', 'CC', ['gcc', 'clang', 'cl']
    given = os.environ.get(variable)
    commands = [shlex.split(given)[0]] if given else defaults
    remedy = 'or train without model.compile_network and model.compile_losses'
    if not any(map(shutil.which, commands)):
        raise UserError(
            f'model.compile_network or compile_losses: torch.compile needs a {language} compiler on this '
            f'device, and there is no {" or ".join(commands)}; install one, name it in the variable '
            f'{variable}, {remedy}'
        )
    headers = Path(sysconfig.get_path('include'), 'Python.h')
    if not headers.is_file():
        raise UserError(
            f'model.compile_network or compile_losses: torch.compile needs the headers of Python, and there '
            f'is no {headers}; install them (python3-dev on Debian), {remedy}'
        )
