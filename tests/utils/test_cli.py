"""The tools' runner, and the memory that a tool keeps."""

import os
import platform
import subprocess
import sys

import cv2
import pytest

from mmyolox.errors import UserError
from mmyolox.utils.cli import keep_freed_memory, run_tool

WORKER = (
    'Caught Error in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  ...\n{}\n'
)


def _raise(error: BaseException) -> None:
    raise error


def _interrupted_while_formatting() -> None:
    try:
        raise KeyboardInterrupt
    except:  # noqa: E722  as MMEngine does
        raise SyntaxError('Failed to format the config file')  # noqa: B904


@pytest.fixture
def line_of(capsys):
    """The line that a tool ends with, of the error that stops it."""

    def told(error, *args):
        with pytest.raises(SystemExit) as caught:
            run_tool(lambda: _raise(error), *args)
        assert caught.value.code == (args[0] if args else 1)
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return told


@pytest.mark.parametrize(
    ('main', 'status', 'message'),
    [
        (lambda: None, None, ''),
        (lambda: 3, 3, ''),
        (lambda: _raise(UserError('file x: mend it')), 1, 'error: file x: mend it\n'),
        (lambda: _raise(KeyboardInterrupt()), 130, 'error: interrupted\n'),
        (lambda: _raise(KeyboardInterrupt('stopped; go on')), 130, 'stopped; go on\n'),
        (_interrupted_while_formatting, 130, 'error: interrupted\n'),
    ],
)
def test_run_tool_exits_with_status_and_one_line(main, status, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        run_tool(main)
    assert exit_info.value.code == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    'error',
    [UserError('mend it'), MemoryError(), ModuleNotFoundError('mend it', name='mmengine')],
)
def test_a_tool_may_have_a_status_of_its_own_for_what_stops_it(error, line_of):
    assert line_of(error, 2).startswith('error: ')


@pytest.mark.parametrize(
    ('error', 'advice'),
    [
        (RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '), 'num_workers'),
        (OSError(12, 'Cannot allocate memory'), 'num_workers'),
        (RuntimeError('CUDA out of memory. Tried to allocate 2 GiB.\nmore lines'), '--amp'),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            'num_workers',
        ),
        (MemoryError(), 'num_workers'),
        (MemoryError('Unable to allocate 4.00 GiB for an array with shape (9,)'), 'num_workers'),
        (
            cv2.error('OpenCV(4.9) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate'),
            'num_workers',
        ),
        (MemoryError(WORKER.format('MemoryError')), 'num_workers'),
        (RuntimeError(WORKER.format('OSError: [Errno 12] Cannot allocate memory')), 'num_workers'),
    ],
)
def test_a_shortage_is_one_line_with_advice(error, advice, line_of):
    line = line_of(error)
    assert line.startswith('error: ')
    assert advice in line
    assert 'batch size' in line


@pytest.mark.parametrize(
    ('cause', 'advice'),
    [
        ('killed by signal: Killed. ', 'for want of memory'),
        ('killed by signal: Bus error. It is possible that', 'for want of memory'),
        ('killed by signal: Segmentation fault. ', 'a fault in what it runs'),
        ('exited unexpectedly with exit code 3. Details are lost', 'sys.exit'),
        (None, 'num_workers=0'),
    ],
)
def test_how_a_data_worker_ended(cause, advice, line_of):
    error = RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly')
    error.__cause__ = cause and RuntimeError(f'DataLoader worker (pid 7) is {cause}')
    line = line_of(error)
    assert line.startswith('error: a data worker')
    assert advice in line
    assert line.endswith(f'{cause.strip() if cause else "exited unexpectedly"})')


@pytest.mark.parametrize(
    ('reason', 'advice'),
    [
        ('DataLoader timed out after 5 seconds', 'train_dataloader.timeout'),
        ('The server socket has failed to listen. name: EADDRINUSE, message: address already in use', 'port'),
        ('The client socket has timed out after 6000ms while trying to connect to (a, 2).', 'MASTER_ADDR'),
        ('Ping failed, invalid value returned from server. Expected: 7201, Got: 13', 'MASTER_ADDR'),
        ('Timed out after 7 seconds waiting for clients. 1/2 clients joined.', 'WORLD_SIZE'),
        ('CUDA error: invalid device ordinal', 'GPUs'),
    ],
)
def test_processes_that_do_not_meet_are_one_line_with_advice(reason, advice, line_of):
    line = line_of(RuntimeError(f'{reason}\nmore lines'))
    assert line.startswith('error: ')
    assert advice in line
    assert line.endswith(f'({reason})')


@pytest.mark.parametrize(
    'reason',
    [
        '[/x/gloo/gloo/transport/tcp/pair.cc:537] Read error [::1]:9899: Connection reset by peer',
        '[/x/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:42',
        '[/x/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 8000ms for recv operation',
        'Gloo connectFullMesh failed with [/x/gloo/transport/tcp/pair.cc:144] no error',
        'failed to recv, got 0 bytes',
        'Connection was likely closed. Did the remote server shutdown or crash?',
        'wait timeout after 600000ms, keys: /start 0/0//cpu//0/0',
    ],
)
def test_another_process_that_is_gone_is_one_line(reason, line_of):
    line = line_of(RuntimeError(f'{reason}\nmore lines'))
    assert line.startswith('error: another process of this training has ended')
    assert line.endswith(f'({reason})')


@pytest.mark.parametrize(
    'error', [BrokenPipeError(32, 'Broken pipe'), ConnectionResetError(104, 'Connection reset')]
)
def test_other_connections_are_not_those_of_a_training(error):
    with pytest.raises(type(error)):
        run_tool(lambda: _raise(error))


@pytest.mark.parametrize('error', [ZeroDivisionError('by zero'), RuntimeError(), ValueError('no number')])
def test_run_tool_leaves_our_own_faults_their_traceback(error):
    with pytest.raises(type(error)):
        run_tool(lambda: _raise(error))


def piped(code, stdout, **variables):
    run = f'from mmyolox.utils.cli import run_tool\ndef main():\n    {code}\nrun_tool(main)'
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'} | variables
    command = [sys.executable, '-c', run]
    ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ('code', 'variables'),
    [
        ('print("a")', {}),
        ('print("a")', dict(PYTHONUNBUFFERED='1')),
        ('print("a" * 100_000)', {}),
        ('print("a"); raise SystemExit(0)', {}),
    ],
)
def test_an_output_that_is_closed_ends_a_tool_quietly(code, variables):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert piped(code, writer, **variables) == (141, '')
    finally:
        os.close(writer)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no device that takes nothing')
def test_an_output_that_takes_nothing_is_one_line():
    with open('/dev/full', 'w') as full:
        line = 'error: the output cannot be written: No space left on device\n'
        assert piped('print("a")', full) == (1, line)


def test_cli_imports_nothing_heavy():
    code = 'import sys, mmyolox.utils.cli; print({"torch", "mmengine", "cv2", "numpy"} & set(sys.modules))'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout == 'set()\n'


# Freed memory is kept: seen by the page faults of touching it again.
TOUCH_MEMORY = """
import ctypes, os, resource, sys
from mmyolox.utils.cli import keep_freed_memory

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


def touch_memory(*args, **variables):
    # Without what the machine may say of its allocator.
    own = ('LD_PRELOAD', 'GLIBC_TUNABLES')
    env = {name: value for name, value in os.environ.items() if 'MALLOC' not in name and name not in own}
    env = {**env, 'PYTHONPATH': os.pathsep.join(sys.path), **variables}
    command = [sys.executable, '-c', TOUCH_MEMORY, *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()


@needs_glibc
def test_a_freed_block_is_used_again():
    done, faults, variable = touch_memory('keep')
    assert (done, variable) == ('True', '0')
    assert int(faults) < 100  # of 16,384 pages


@needs_glibc
def test_forked_workers_keep_it_too():
    assert int(touch_memory('keep', 'fork')[1]) < 100


@needs_glibc
def test_programs_started_anew_find_it_in_their_environment():
    faults, _ = touch_memory('leave', MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='-1')
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
    done, _, variable = touch_memory('keep', **variables)
    assert (done, variable) == ('False', 'None')


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.delattr(os, 'confstr_names')
    monkeypatch.setattr('ctypes.CDLL', lambda name: pytest.fail('asked for a C library'))
    assert not keep_freed_memory()
