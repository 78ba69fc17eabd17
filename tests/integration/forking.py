"""Runs scripts in forks of one process that has imported the packages: imports are most of a short run.

As a script it serves: for each line of stdin, a request, it prints the exit status of what was run. A fork
leaves the server's loop, so that it ends as a script does that the interpreter was started with: its status,
its traceback and what happens at the exit are Python's own.
"""

import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

TIMEOUT = 280


@functools.cache
def server(python_path: str) -> subprocess.Popen:
    """One server a test process and path; it ends with the test process, whose end of the pipe closes."""
    env = {**os.environ, 'PYTHONPATH': python_path, 'OMP_NUM_THREADS': '1'}
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, __file__], env=env, **pipes)


def run_forked(command: list[str], python_path: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``command``, a script and its arguments; ``folder`` takes what it prints.

    The imports of the script are done before, and stay as they are between runs.
    """
    outputs = [folder / name for name in ('stdout', 'stderr')]
    process = server(python_path)
    print(json.dumps([command, [str(path) for path in outputs]]), file=process.stdin, flush=True)
    status = process.stdout.readline()
    assert status, 'the server ended'
    stdout, stderr = (path.read_text(encoding='utf-8') for path in outputs)
    return subprocess.CompletedProcess(command, int(status), stdout, stderr)


def serve() -> None:
    """Imports what a training does, at once or on the way, and serves."""
    with contextlib.redirect_stdout(sys.stderr):  # what a package prints is no exit status
        import faster_coco_eval  # noqa: F401
        import matplotlib.backends.backend_agg  # noqa: F401
        import recorder  # noqa: F401  also for the layout of configs
        import torch._dynamo  # noqa: F401

        import mmyolox.apis
        import mmyolox.checkpoints.load
        import mmyolox.datasets
        import mmyolox.engine.launch
        import mmyolox.evaluation
        import mmyolox.models  # noqa: F401

    gc.freeze()  # else the first collection of a fork copies all memory
    for line in sys.stdin:
        command, outputs = json.loads(line)
        child = os.fork()
        if child == 0:
            return run(command, outputs)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


def run(command: list[str], outputs: list[str]) -> None:
    """Becomes the script, in a fork."""
    signal.alarm(TIMEOUT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv[:] = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name='__main__')


if __name__ == '__main__':
    serve()
