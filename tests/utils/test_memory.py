"""How much memory is left, on a machine, in a container or in a job."""

import pytest

from mmyolox.utils.memory import available_memory, processes_on_machine

MEMINFO = (
    'MemTotal:       10000 kB\nMemFree:         1000 kB\nMemAvailable:    8000 kB\nHugePages_Total:       0\n'
)
MACHINE = 8000 * 1024


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def v1(folder, limit, used, inactive=0):
    folder = f'sys/fs/cgroup/memory{folder}'
    return {
        f'{folder}/memory.limit_in_bytes': f'{limit}\n',
        f'{folder}/memory.usage_in_bytes': f'{used}\n',
        f'{folder}/memory.stat': f'cache 77\ninactive_file 5\ntotal_inactive_file {inactive}\n',
    }


def v2(folder, limit, used, inactive=0):
    folder = f'sys/fs/cgroup{folder}'
    return {
        f'{folder}/memory.max': f'{limit}\n',
        f'{folder}/memory.current': f'{used}\n',
        f'{folder}/memory.stat': f'anon 77\ninactive_file {inactive}\n',
    }


V1 = '9:name=systemd:/\n5:cpu,memory:/a/b\n'
V2 = '0::/a/b\n'


@pytest.mark.parametrize(
    ('groups', 'files', 'wanted'),
    [
        (None, {}, MACHINE),
        (V1, {}, MACHINE),
        # As in a container: the path is that of the machine, the files are at the mount.
        (V1, v1('', 5000, 1000, 300), 4300),
        (V1, v1('/a/b', 5000, 1000), 4000),
        (V1, v1('/a/b', 2**63 - 4096, 1000), MACHINE),
        (V1, v1('/a/b', 5000, 1000) | v1('/a', 3000, 1500) | v1('', 9000, 0), 1500),
        (V1, v1('/other', 5000, 1000), MACHINE),
        (V1, v1('/a/b', 1000, 3000), 0),
        (V2, v2('', 5000, 1000, 300), 4300),
        (V2, v2('/a/b', 'max', 1000), MACHINE),
        (V2, v2('/a/b', 'max', 1000) | v2('/a', 3000, 1500, 500), 2000),
        ('0::/\n', v2('', 5000, 1000), 4000),
        # Both versions at once, of which the first has the memory.
        (V1 + '0::/\n', v1('/a/b', 5000, 1000), 4000),
        ('9:pids:/a/b\n', v1('/a/b', 5000, 1000), MACHINE),
    ],
)
def test_the_tightest_limit_counts(tmp_path, groups, files, wanted):
    write(tmp_path, {'proc/meminfo': MEMINFO} | files)
    if groups is not None:
        write(tmp_path, {'proc/self/cgroup': groups})
    assert available_memory(tmp_path) == wanted


def test_here():
    assert 0 < available_memory() < 2**60


def test_on_a_system_without_proc(tmp_path):
    assert available_memory(tmp_path) >= available_memory()


@pytest.mark.parametrize(
    ('environment', 'world_size', 'wanted'),
    [
        ({}, 1, 1),
        ({'LOCAL_WORLD_SIZE': '4'}, 8, 4),
        ({'LOCAL_WORLD_SIZE': '4', 'SLURM_NTASKS_PER_NODE': '2'}, 8, 4),
        ({'SLURM_NTASKS_PER_NODE': '8'}, 16, 8),
        # A plain process inside of a Slurm allocation.
        ({'SLURM_NTASKS_PER_NODE': '8'}, 1, 1),
    ],
)
def test_processes_on_machine(monkeypatch, environment, world_size, wanted):
    for name in ('LOCAL_WORLD_SIZE', 'SLURM_NTASKS_PER_NODE'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda: world_size)
    assert processes_on_machine() == wanted
