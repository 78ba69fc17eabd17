"""Two hosts on one machine: network namespaces with a cable (veth), or addresses of the loopback device."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

ROOT = Path(__file__).parents[2]
NET = '10.213.77'
"""The first numbers of the addresses between the namespaces."""
SLOW = {
    'netem': 'netem delay 50ms rate 20mbit limit 10000',
    'tbf': 'tbf rate 20mbit burst 64kbit latency 400ms',  # a kernel without netem: no delay of its own
}
"""How a link is made slow, the better way first."""


class Host(NamedTuple):
    """One of the two; its processes have a variable in their environment by which they are found."""

    number: int
    address: str
    interface: str
    prefix: tuple[str, ...]
    """What a command on it begins with."""
    mark: str

    def start(self, command: list[str], output: Path, **env: str) -> subprocess.Popen[bytes]:
        """Starts a command, whose output is added to a file."""
        own = dict(
            MULTINODE_HOST=self.mark,
            GLOO_SOCKET_IFNAME=self.interface,
            LOCAL_ADDR=self.address,
            NODE_RANK=str(self.number),
        )
        with output.open('ab') as file:
            return subprocess.Popen(
                [*self.prefix, *command], env=os.environ | own | env, stdout=file, stderr=subprocess.STDOUT
            )

    def processes(self) -> list[int]:
        """All that run on it."""
        wanted = f'MULTINODE_HOST={self.mark}'.encode()
        found = []
        for path in Path('/proc').glob('[0-9]*/environ'):
            try:
                if wanted in path.read_bytes().split(b'\0'):
                    found.append(int(path.parent.name))
            except OSError:
                continue  # it has just ended
        return found

    def kill(self) -> None:
        """Kills all of its processes, as a host that loses its power."""
        while processes := self.processes():
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)

    @contextmanager
    def slow(self) -> Iterator[str]:
        """Makes its end of the cable slow while the block lasts; how that is done, or ``none``."""
        way = next((way for way, rule in SLOW.items() if self._shape('add', rule)), 'none')
        try:
            yield way
        finally:
            if way != 'none':
                self._shape('del', SLOW[way])

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Takes its end of the cable away while the block lasts: nobody is told."""
        words = ['ip', '-n', self.mark, 'link', 'set', self.interface]
        subprocess.run([*words, 'down'], check=True)
        try:
            yield
        finally:
            subprocess.run([*words, 'up'], check=True)

    def _shape(self, action: str, rule: str) -> bool:
        if not self.prefix:
            return False  # the loopback device is not only ours
        words = [*self.prefix, 'tc', 'qdisc', action, 'dev', self.interface, 'root', *rule.split()]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


@contextmanager
def two_hosts() -> Iterator[tuple[str, tuple[Host, Host]]]:
    """Makes two hosts, and removes them at the end with all that runs on them.

    Yields:
        What they are, ``namespaces`` or ``loopback``, and the hosts.
    """
    run = uuid4().hex[:6]
    names = [f'yolox-{run}-{number}' for number in (0, 1)]
    try:
        kind = 'namespaces' if _joined(names, run) else 'loopback'
        hosts = tuple(
            Host(number, f'{NET}.{number + 1}', f'y{run}{number}', ('ip', 'netns', 'exec', name), name)
            if kind == 'namespaces'
            else Host(number, f'127.0.0.{number + 2}', 'lo', (), name)
            for number, name in enumerate(names)
        )
        yield kind, hosts
        for host in hosts:
            host.kill()
    finally:
        for name in names:
            if shutil.which('ip'):
                subprocess.run(['ip', 'netns', 'del', name], capture_output=True, check=False)


def _joined(names: list[str], run: str) -> bool:
    """Makes two namespaces and the cable between them; whether the system lets us."""
    if shutil.which('ip') is None or os.geteuid():
        return False
    ends = [f'y{run}{number}' for number in (0, 1)]
    commands = [
        *(['ip', 'netns', 'add', name] for name in names),
        ['ip', 'link', 'add', ends[0], 'netns', names[0], 'type', 'veth', 'peer', ends[1], 'netns', names[1]],
    ]
    for number, (name, end) in enumerate(zip(names, ends, strict=True)):
        commands += [
            ['ip', '-n', name, 'address', 'add', f'{NET}.{number + 1}/24', 'dev', end],
            ['ip', '-n', name, 'link', 'set', end, 'up'],
            ['ip', '-n', name, 'link', 'set', 'lo', 'up'],
        ]
    return all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands
    )
