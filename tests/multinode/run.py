"""Trains on two hosts, network namespaces of this machine, over sockets: `make test-multinode`.

Two processes a host, joined by ``tools/dist_train.sh`` as its header says:

- losses: those of one process with the same total batch, and the weights at the end;
- killed: all of the second host is killed in the middle and the command started there again; the training
  goes on from its checkpoint to the same weights, up to the order in which four gradients are summed; and the
  same of the first host, where they meet: the second one ends with it, and both are started again;
- cut: the cable is taken away for a minute; commands that fail are repeated, as by ``until``, and the
  training goes on in the same way;
- slow: the same over a link of 20 Mbit/s, with a delay of 50 ms where the kernel has netem.

Without root, or with a kernel that has no namespaces, the hosts are two addresses of the loopback device,
whose link cannot be cut or made slow ("none"). The first line says what it is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.integration.runs import largest_difference, load, read_record, write_config  # noqa: E402
from tests.multinode.hosts import Host, two_hosts  # noqa: E402

PORT = '29511'
OPTIONS = ('model.norm_eval=True', 'max_epochs=4', 'num_last_epochs=1', 'warmup_epochs=0')
"""Batch norm is frozen: its statistics are those of a process."""
ITERATIONS = 8
TIMEOUT = 420


class FailedError(Exception):
    """Something is not as it is to be."""


def environment() -> dict[str, str]:
    """The variables of all trainings."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / 'tests/integration')])
    return dict(PYTHONPATH=paths, OMP_NUM_THREADS='1', PYTHON=sys.executable)


def start(
    host: Host, first: Host, config: Path, work_dir: Path, options: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Starts a host's part of a training, by the command that a user types on each."""
    command = [str(ROOT / 'tools/dist_train.sh'), str(config), '2', '--work-dir', str(work_dir), '--resume']
    command += ['--cfg-options', *OPTIONS, 'train_batch_size_per_gpu=2', *options]
    meeting = dict(NNODES='2', MASTER_ADDR=first.address, PORT=PORT)
    return host.start(command, work_dir.with_suffix(f'.{host.number}.txt'), **meeting, **environment())


def finish(parts: list[subprocess.Popen[bytes]], work_dir: Path) -> None:
    """Waits for the good end of a training on both hosts."""
    until = time.monotonic() + TIMEOUT
    for number, part in enumerate(parts):
        try:
            status: int | str = part.wait(max(until - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            status = f'no end after {TIMEOUT} s'
        if status:
            last = work_dir.with_suffix(f'.{number}.txt').read_text(errors='replace').splitlines()[-15:]
            raise FailedError('\n'.join([f'host {number}: status {status}', *last]))


def compare_losses(one: Path, two: Path) -> None:
    """Raises if a training on two hosts was another than that of one process."""
    singles = read_record(one)
    ranks = [read_record(two, rank) for rank in range(4)]
    if not len(singles) == ITERATIONS == min(map(len, ranks)) == max(map(len, ranks)):
        raise FailedError(f'{len(singles)} iterations of one process, {list(map(len, ranks))} of four')
    for single, *parts in zip(singles, *ranks, strict=True):
        if sorted(single['images']) != sorted(image for part in parts for image in part['images']):
            raise FailedError(f'iteration {single["iter"]}: other images')
        for name, value in single['losses'].items():
            mean = np.mean([part['losses'][name] for part in parts])
            if not np.isclose(mean, value, rtol=1e-5, atol=1e-5):
                raise FailedError(f'iteration {single["iter"]}: {name} is {mean} instead of {value}')
    compare_weights(one, two)


def compare_weights(one: Path, two: Path) -> None:
    """Raises if the weights or their average at the end differ."""
    contents = [load(folder / 'epoch_4.pth') for folder in (one, two)]
    for key in ('state_dict', 'ema_state_dict'):
        difference = largest_difference(*(content[key] for content in contents))
        if difference > 1e-5:
            raise FailedError(f'{key} differs by {difference}')


def losses(hosts: tuple[Host, Host], config: Path, folder: Path) -> str:
    """A training that nobody disturbs."""
    finish([start(host, hosts[0], config, folder / 'two') for host in hosts], folder / 'two')
    compare_losses(folder / 'one', folder / 'two')
    return f'{ITERATIONS} iterations on 4 processes'


def killed(hosts: tuple[Host, Host], config: Path, folder: Path, victim: int) -> str:
    """One of which a host is gone in the third epoch, and is back a moment later.

    The second host waits for no first one, where they meet: its command ends, and is started again as well.
    """
    work_dir = folder / f'killed-{victim}'
    parts = [start(host, hosts[0], config, work_dir) for host in hosts]
    wait_for_third_epoch(parts, work_dir)
    hosts[victim].kill()
    began = time.monotonic()
    for part in parts[victim:]:
        if part.wait(TIMEOUT) == 0:
            raise FailedError('a training without a host ended well')
    ended = time.monotonic() - began
    done = len(read_record(work_dir))
    for host in hosts[victim:]:
        parts[host.number] = start(host, hosts[0], config, work_dir)
    finish(parts, work_dir)
    went_on = compare_restarted(work_dir, folder / 'two', done)
    return f'gone after {done} iterations, ended after {ended:.0f} s, went on with iteration {went_on}'


def cut(hosts: tuple[Host, Host], config: Path, folder: Path) -> str:
    """One whose cable is taken away for a minute in the third epoch; commands that fail are repeated."""
    if not hosts[0].prefix:
        return 'none'
    work_dir = folder / 'cut'
    options = ('env_cfg.dist_cfg.timeout=20',)
    parts = [start(host, hosts[0], config, work_dir, options) for host in hosts]
    wait_for_third_epoch(parts, work_dir)
    with hosts[1].cut():
        time.sleep(60)
    done = len(read_record(work_dir))
    until, repeats = time.monotonic() + TIMEOUT, 0
    while any(part.poll() != 0 for part in parts) and time.monotonic() < until:
        time.sleep(5)
        for host in hosts:
            if parts[host.number].poll():
                parts[host.number] = start(host, hosts[0], config, work_dir, options)
                repeats += 1
    finish(parts, work_dir)
    went_on = compare_restarted(work_dir, folder / 'two', done)
    return f'cut after {done} iterations, went on with iteration {went_on} after {repeats} repeated commands'


def wait_for_third_epoch(parts: list[subprocess.Popen[bytes]], work_dir: Path) -> None:
    """Waits for the fifth iteration, the first of an epoch that has no checkpoint yet."""
    until = time.monotonic() + TIMEOUT
    record = work_dir / 'record_rank0.jsonl'
    while not record.exists() or len(read_record(work_dir)) < 5:
        if time.monotonic() > until or any(part.poll() is not None for part in parts):
            finish(parts, work_dir)
            raise FailedError('the training ended before it could be disturbed')
        time.sleep(0.02)


def compare_restarted(work_dir: Path, straight: Path, done: int) -> int:
    """Raises if a training did not go on from a checkpoint to the weights of an undisturbed one.

    Returns:
        The iteration, from 1, with which it went on after so many that were done.
    """
    iterations = [line['iter'] for line in read_record(work_dir)]
    if done >= ITERATIONS or iterations[done:] != list(range(iterations[done], ITERATIONS)):
        raise FailedError(f'disturbed after {done} iterations; there were {iterations}')
    if not 2 <= iterations[done] <= 4:
        raise FailedError(f'it went on with iteration {iterations[done]}, and not from its checkpoint')
    compare_weights(straight, work_dir)
    return iterations[done] + 1


def slow(hosts: tuple[Host, Host], config: Path, folder: Path) -> str:
    """One over a slow link."""
    with hosts[0].slow() as way, hosts[1].slow():
        finish([start(host, hosts[0], config, folder / 'slow') for host in hosts], folder / 'slow')
    compare_losses(folder / 'one', folder / 'slow')
    return way


def attempt(case: Callable[[], str]) -> tuple[bool, str]:
    """Whether a case went well, and what there is to say of it."""
    try:
        return True, case()
    except FailedError as failure:
        return False, str(failure)
    except Exception:
        return False, traceback.format_exc()


def main() -> int:
    """Runs all."""
    parser = argparse.ArgumentParser(description='Trains on two hosts of this machine, over sockets.')
    parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix='multinode-'))
    looks = ('--train', '16', '--val', '4', '--size', '64', '--shapes', '1', '3')
    tool = [sys.executable, str(ROOT / 'tools/dataset_converters/make_shapes.py'), str(folder / 'data')]
    subprocess.run([*tool, *looks], check=True, stdout=subprocess.DEVNULL)
    config = write_config(folder, folder / 'data')
    alone = [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', str(folder / 'one')]
    options = ['--cfg-options', *OPTIONS, 'train_batch_size_per_gpu=8']
    env = os.environ | environment()
    subprocess.run([*alone, *options], check=True, env=env, stdout=subprocess.DEVNULL)
    failures = 0
    with two_hosts() as (kind, hosts):
        print(f'hosts: {kind}', flush=True)
        cases = {
            'losses': losses,
            'second host killed': partial(killed, victim=1),
            'first host killed': partial(killed, victim=0),
            'cut': cut,
            'slow': slow,
        }
        for name, case in cases.items():
            began = time.monotonic()
            is_good, said = attempt(partial(case, hosts, config, folder))
            for host in hosts:
                host.kill()
            failures += not is_good
            seconds = time.monotonic() - began
            print(f'{name}: {"ok" if is_good else "FAILED"} ({said}; {seconds:.0f} s)', flush=True)
    if not failures:
        shutil.rmtree(folder)
    else:
        print(f'Everything is in {folder}.')
    return int(failures > 0)


if __name__ == '__main__':
    sys.exit(main())
