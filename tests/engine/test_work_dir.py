"""A work dir belongs to one training."""

import errno
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from mmyolox.engine.launch import is_first_process
from mmyolox.engine.work_dir import claim, set_start
from mmyolox.errors import UserError

HOLD = """
import os, sys, time
from mmyolox.engine.work_dir import claim
lock = claim(sys.argv[1])
child = os.fork()  # as a data worker, which lives on for a while
if child == 0:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that has claimed the folder ``run``, and has a child."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path / 'run')], stdout=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    yield process
    process.kill()
    os.kill(child, signal.SIGKILL)
    process.wait()


def test_a_second_training_is_refused_until_the_first_is_killed(owner, tmp_path):
    with pytest.raises(UserError, match=rf'run: another training \(process {owner.pid} on .*--work-dir'):
        claim(tmp_path / 'run')
    owner.kill()
    owner.wait()
    claim(tmp_path / 'run').close()


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_other_training(tmp_path, monkeypatch, capsys, number):
    (tmp_path / '.epoch_3-0a.part.pth').touch()  # perhaps of a training that runs

    def lockf(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('fcntl.lockf', lockf)
    claim(tmp_path).close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'warning: work dir {tmp_path} cannot be locked ({os.strerror(number)})')
    assert {path.name for path in tmp_path.iterdir()} == {'.epoch_3-0a.part.pth', '.lock'}


START = """
import sys
from mmyolox.engine.work_dir import claim
print('ready', flush=True)
sys.stdin.readline()
lock = claim(sys.argv[1])
print('goes on', flush=True)
sys.stdin.read()
"""


def test_of_starts_at_the_same_moment_one_goes_on(tmp_path):
    command = [sys.executable, '-c', START, str(tmp_path / 'run')]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    starts = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [process.stdout.readline() for process in starts] == ['ready\n'] * 3
    for process in starts:
        process.stdin.write('go\n')
        process.stdin.flush()
    assert sorted(process.stdout.readline() for process in starts) == ['', '', 'goes on\n']
    errors = [process.communicate()[1] for process in starts]
    assert sum('another training (' in error for error in errors) == 2


def test_half_written_files_of_a_killed_training_go(tmp_path):
    names = ['.epoch_3-0a.part.pth', '.tiny.py.part', 'epoch_2.pth', '.hidden']
    for name in names:
        (tmp_path / name).touch()
    claim(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} == {'.hidden', '.lock', 'epoch_2.pth'}


def start(work_dir, load_from=None, resume=None, **configured) -> tuple[bool, str | None]:
    cfg = Config(dict(work_dir=str(work_dir), **dict(load_from=None, resume=False) | configured))
    set_start(cfg, load_from, resume)
    return cfg.resume, cfg.load_from


@pytest.fixture
def trained(tmp_path):
    """A folder with two checkpoints."""
    folder = tmp_path / 'trained'
    folder.mkdir()
    for number in (1, 2):
        torch.save(dict(state_dict={}), folder / f'epoch_{number}.pth')
        os.utime(folder / f'epoch_{number}.pth', (number, number))
    return folder


def test_what_a_training_starts_from(trained, tmp_path):
    new, old, latest = tmp_path / 'new', str(trained / 'epoch_1.pth'), str(trained / 'epoch_2.pth')
    assert start(new) == (False, None)
    assert start(new, resume='auto') == (False, None)
    assert start(new, 'a.pth', resume='auto') == (False, 'a.pth')
    assert start(new, resume=old) == (True, old)
    assert start(trained, resume='auto') == (True, latest)
    assert start(trained, 'a.pth', resume='auto') == (True, latest)
    assert start(trained, resume=old) == (True, old)
    address = 'https://example.com/run/epoch_1.pth'
    assert start(new, resume=address) == (True, address)


def test_weights_and_a_checkpoint_to_go_on_from_are_one_too_many(tmp_path):
    with pytest.raises(UserError, match=r'^--load-from a.pth --resume b.pth: .*leave out one of the two$'):
        start(tmp_path, 'a.pth', resume='b.pth')


def test_a_home_folder_in_front_of_a_checkpoint_is_found(trained, monkeypatch):
    monkeypatch.setenv('HOME', str(trained.parent))
    assert start(trained, resume='~/trained/epoch_1.pth') == (True, '~/trained/epoch_1.pth')


@pytest.mark.parametrize('name', [None, 'elsewhere/epoch_1.pth', 'https://example.com/epoch_1.pth'])
def test_another_training_in_a_used_folder_is_refused(trained, name):
    with pytest.raises(UserError, match=r'trained holds a training already \(epoch_2.pth\): .*--resume'):
        start(trained, resume=name)


def test_a_command_for_other_data_is_ready(trained, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmyolox train', 'yolox_s', '--work-dir', 'x', '--cfg-options', 'a=1'])
    begin = re.escape(f'mmyolox train yolox_s --cfg-options a=1 --work-dir {trained}')
    with pytest.raises(UserError, match=f'{begin}_cells$'):
        start(trained, data_root='my/cells/')
    trained.with_name('trained_cells').mkdir()
    with pytest.raises(UserError, match=f'{begin}_cells_2$'):
        start(trained, data_root='my/cells/')


@pytest.mark.parametrize('resume', [None, 'auto', 'elsewhere/epoch_1.pth'])
def test_no_training_begins_anew_over_damaged_checkpoints(trained, resume):
    for number in (1, 2):
        (trained / f'epoch_{number}.pth').write_bytes(b'killed here')
    with pytest.raises(UserError, match=r'trained: all 2 checkpoint\(s\) are damaged .*--work-dir'):
        start(trained, resume=resume)


def test_the_config_can_say_resume_too(trained):
    cfg = Config(dict(work_dir=str(trained), resume=True, load_from=None))
    set_start(cfg, None, None)
    assert (cfg.resume, cfg.load_from) == (True, str(trained / 'epoch_2.pth'))


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')],
)
def test_the_first_process_of_each_launcher(monkeypatch, launcher, variable):
    monkeypatch.setenv(variable, '1')
    assert not is_first_process(launcher)
    assert is_first_process('none')
    monkeypatch.setenv(variable, '0')
    assert is_first_process(launcher)
