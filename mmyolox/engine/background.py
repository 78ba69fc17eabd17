"""Work that a thread does while the training goes on, and that is done to its end before the process ends."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class BackgroundWork:
    """One piece of work at a time, in a thread.

    What it raises is raised in the training: by :meth:`check`, which is to be called often, or by the next
    piece. A process that ends, also by an exception, waits for the thread as for all of Python's. So does one
    that gets SIGTERM while the thread works, unless the process has a handler of its own; at other times
    that signal ends the process at once, as :func:`mmyolox.utils.cli.run_tool` says.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, 'mmyolox-background')
        self._work: Future[None] | None = None
        self._has_handler = False

    def start(self, work: Callable[[], None]) -> None:
        """Begins a piece of work, after the end of the one before.

        Args:
            work: What the thread is to do.

        Raises:
            BaseException: What the piece before has raised; the new one is not begun.
        """
        self.finish()
        self._work = self._threads.submit(work)
        is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if is_default and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._end_after_work(os.getpid(), self._work))
            self._has_handler = True

    def check(self) -> None:
        """Raises what the piece of work has raised, if it has ended; waits for nothing."""
        if self._work is not None and self._work.done():
            self.finish()

    def finish(self) -> None:
        """Waits for the end of the piece of work, and raises what it has raised, once."""
        work = self._work
        if work is None:
            return
        wait([work])
        self._work = None
        if self._has_handler:
            self._has_handler = False
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work.result()

    @staticmethod
    def _end_after_work(process: int, work: Future[None]) -> Callable[[int, Any], None]:
        """A handler of a signal that ends the process after the work; a fork of it has no such thread."""

        def end(number: int, frame: Any) -> None:
            if os.getpid() == process:
                wait([work])
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        return end
