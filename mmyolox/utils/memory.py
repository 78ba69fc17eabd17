"""How much memory is left, who shares it, and when Python collects garbage."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# The limit, what is used, and the part of it that the kernel gives back (file pages not used lately).
_CGROUP_V1 = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
_CGROUP_V2 = ('memory.max', 'memory.current', 'inactive_file')


def available_memory(root: Path = Path('/')) -> int:
    """Bytes that processes may still take: of the machine, or of the container or job if that is less.

    Systems other than Linux tell no more than what the machine has.

    Args:
        root: The folder of ``proc`` and ``sys``.
    """
    try:
        meminfo = (root / 'proc/meminfo').read_text()
    except OSError:
        return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    # The lines are `MemAvailable:   24012345 kB`.
    values = {line.split(':')[0]: int(line.split()[1]) * 1024 for line in meminfo.splitlines()}
    left = [values['MemAvailable']]
    with suppress(OSError):
        for line in (root / 'proc/self/cgroup').read_text().splitlines():
            _, controllers, path = line.split(':', 2)
            if controllers == '':
                left += _left_in_cgroups(root / 'sys/fs/cgroup', path, _CGROUP_V2)
            elif 'memory' in controllers.split(','):
                left += _left_in_cgroups(root / 'sys/fs/cgroup/memory', path, _CGROUP_V1)
    return max(0, min(left))


def _left_in_cgroups(mount: Path, path: str, names: tuple[str, str, str]) -> Iterator[int]:
    # Each group on the way up may have a limit. In a container the path is often that outside of it: then
    # only the mount itself is there.
    group = Path(path.lstrip('/'))
    for folder in (mount / group, *(mount / parent for parent in group.parents)):
        try:
            limit, used = ((folder / name).read_text().strip() for name in names[:2])
            statistics = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
        except OSError:
            continue
        if limit != 'max':
            yield int(limit) - int(used) + int(statistics.get(names[2], 0))


def processes_on_machine() -> int:
    """The number of training processes that share this machine, this one included."""
    if count := os.environ.get('LOCAL_WORLD_SIZE'):
        return int(count)
    from mmengine.dist import get_world_size

    # Slurm does not set the one that torch's launcher sets; it is one task a process there.
    return int(os.environ.get('SLURM_NTASKS_PER_NODE', 1)) if get_world_size() > 1 else 1


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pauses Python's garbage collector, which takes long to find nothing in a million new dictionaries."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()
