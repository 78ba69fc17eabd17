"""Freed memory is kept: seen by the page faults of touching it again."""

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import ctypes, os, resource, sys
from mmyolox.utils.malloc import keep_freed_memory

if sys.argv[1] == 'keep':
    print(keep_freed_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def touch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(64 << 20)
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

touch()
if len(sys.argv) > 2:
    pid = os.fork()
    if pid:
        sys.exit(os.waitpid(pid, 0)[1])
    touch()
print(touch(), os.environ.get('MALLOC_MMAP_MAX_'))
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc is told, nothing else')


def run(*args, **variables):
    env = {name: value for name, value in os.environ.items() if 'MALLOC' not in name}
    env = {**env, 'PYTHONPATH': os.pathsep.join(sys.path), **variables}
    command = [sys.executable, '-c', CODE, *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()


@needs_glibc
def test_a_freed_block_is_used_again():
    done, faults, variable = run('keep')
    assert (done, variable) == ('True', '0')
    assert int(faults) < 100  # of 16,384 pages


@needs_glibc
def test_forked_workers_keep_it_too():
    assert int(run('keep', 'fork')[1]) < 100


@needs_glibc
def test_programs_started_anew_find_it_in_their_environment():
    faults, _ = run('leave', MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='-1')
    assert int(faults) < 100


@pytest.mark.parametrize(
    'variables',
    [
        dict(MALLOC_TRIM_THRESHOLD_='1000'),
        dict(GLIBC_TUNABLES='glibc.malloc.trim_threshold=1000'),
        dict(LD_PRELOAD='libjemalloc.so.nowhere'),
    ],
)
def test_the_user_knows_better(variables):
    done, _, variable = run('keep', **variables)
    assert (done, variable) == ('False', 'None')


def test_other_systems_are_left_alone(monkeypatch):
    from mmyolox.utils import malloc

    monkeypatch.delattr(os, 'confstr_names')
    monkeypatch.setattr(malloc.ctypes, 'CDLL', lambda name: pytest.fail('asked for a C library'))
    assert not malloc.keep_freed_memory()
