"""Work in a thread: its errors, and the ends of a process that wait for it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mmyolox.engine.background import BackgroundWork


class Fault(BaseException):
    """An error that ends a process, as a Ctrl-C."""


def fail():
    raise Fault


def test_one_piece_at_a_time_in_the_order_of_their_starts():
    background, done, go_on = BackgroundWork(), [], threading.Event()

    def first():
        go_on.wait(5)
        done.append('first')

    background.start(first)
    assert done == []
    background.check()  # waits for nothing
    threading.Timer(0.05, go_on.set).start()
    background.start(lambda: done.append('second'))
    background.finish()
    assert done == ['first', 'second']
    background.finish()
    background.check()


@pytest.mark.parametrize('by', ['check', 'finish', 'start'])
def test_an_error_is_raised_once_and_nothing_is_begun_before(by):
    background, done = BackgroundWork(), []
    background.start(fail)
    background._work.exception(5)
    arguments = [lambda: done.append(1)] if by == 'start' else []
    with pytest.raises(Fault):
        getattr(background, by)(*arguments)
    background.finish()
    assert done == []
    background.start(lambda: done.append(2))
    background.finish()
    assert done == [2]


def test_the_handler_of_sigterm_is_there_as_long_as_the_work():
    background, go_on = BackgroundWork(), threading.Event()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    background.start(lambda: go_on.wait(5))
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    go_on.set()
    background.finish()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_user_stays():
    def mine(number, frame):
        pass

    background = BackgroundWork()
    signal.signal(signal.SIGTERM, mine)
    try:
        background.start(lambda: None)
        assert signal.getsignal(signal.SIGTERM) is mine
        background.finish()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_it_can_be_used_by_another_thread():
    def use():
        background = BackgroundWork()
        background.start(lambda: done.append(1))
        background.finish()

    done = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [1]


ENDS = """
import os, signal, sys, time
from pathlib import Path
from mmyolox.engine.background import BackgroundWork

def write():
    Path(sys.argv[1], 'begun').touch()
    time.sleep(0.5)
    Path(sys.argv[1], 'done').touch()

background = BackgroundWork()
background.start(write)
while not Path(sys.argv[1], 'begun').exists():
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ('end', 'status'),
    [
        ('pass', 0),
        ('sys.exit(3)', 3),
        ('raise KeyError', 1),
        ('os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)', -signal.SIGTERM),
        ('os.kill(os.getpid(), signal.SIGKILL)', -signal.SIGKILL),
    ],
)
def test_an_end_of_the_process_waits_for_the_work(tmp_path, end, status):
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, '-c', ENDS + end, tmp_path], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == status
    assert (tmp_path / 'begun').exists()
    assert (tmp_path / 'done').exists() == (status != -signal.SIGKILL)


def test_a_fork_ends_by_sigterm_at_once():
    """It has the handler, and no thread for which it could wait."""
    background, go_on = BackgroundWork(), threading.Event()
    background.start(lambda: go_on.wait(30))
    child = os.fork()
    if not child:
        signal.alarm(10)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    go_on.set()
    background.finish()
    assert os.WTERMSIG(status) == signal.SIGTERM
