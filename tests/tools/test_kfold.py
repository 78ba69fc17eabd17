"""tools/misc/kfold.py: what is trained, going on, and what is said when a training fails."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmyolox.errors import UserError
from tests.tools.test_fold_data import coco
from tests.tools.test_fold_figures import val, write_training
from tests.tools.tool_loading import load_tool

tool = load_tool('misc/kfold.py')


@pytest.fixture
def kfold(run, tmp_path, monkeypatch):
    """Runs the tool on 8 images in two folds; the trainings write what trainings write."""
    coco(tmp_path / 'data')
    monkeypatch.chdir(tmp_path)
    calls = []

    def train(config, folder, index, options):
        calls.append((index, options))
        if not folder.exists():
            write_training(folder, val(1, 0.2 + index / 5, 0.6, cat=0.5))
        (folder / 'best_coco_bbox_mAP_epoch_1.pth').touch()

    def call(*args, options=()):
        calls.clear()
        printed = run(tool, 'yolox_nano', '--folds', 2, *args, '--cfg-options', 'data_root=data', *options)
        return calls, [line for line in printed.splitlines() if 'warning' not in line.lower()]

    monkeypatch.setattr(tool, 'train', train)
    monkeypatch.setattr('fold_figures.latest_checkpoint', lambda folder: None)
    return call


FOLDER = 'work_dirs/yolox_nano_fast_1xb8-50e_custom_kfold'


def test_each_fold_is_trained_once(kfold, tmp_path):
    calls, printed = kfold('--load-from', 'yolox_nano', '--amp', '--verbose')
    options = ['--amp', '--load-from', 'yolox_nano', '--verbose']
    assert calls == [(0, options), (1, options)]
    assert printed[0] == f'8 images in 2 folds, seed 0; to {FOLDER}'
    assert 'fold 2 of 2: AP 0.400  AP50 0.600 (epoch 1)' in printed
    assert printed[-1] == f'written to {FOLDER}/kfold.json and kfold.png'
    content = json.loads((tmp_path / FOLDER / 'kfold.json').read_text())
    assert content['figures']['AP']['mean'] == pytest.approx(0.3)
    assert content['classes'] == dict(cat=dict(objects=5, mean=0.5, spread=0.0, folds=2))
    assert (tmp_path / FOLDER / 'kfold.png').is_file()
    again, repeated = kfold('--load-from', 'yolox_nano', '--amp')
    assert again == []
    assert repeated == [line for line in printed if line not in ('fold 1 of 2', 'fold 2 of 2')]


def test_what_is_missing_is_trained(kfold, tmp_path):
    kfold()
    (tmp_path / FOLDER / 'fold_2/best_coco_bbox_mAP_epoch_1.pth').unlink()
    assert kfold()[0] == [(1, [])]


@pytest.mark.parametrize('changed', [['--seed', 1], ['--amp'], 'data'])
def test_trainings_of_something_else_are_kept(kfold, tmp_path, changed):
    kfold()
    if changed == 'data':
        path = tmp_path / 'data/valid/_annotations.coco.json'
        path.write_text(path.read_text().replace('10.5', '10.75'))
        changed = []
    with pytest.raises(UserError, match=f'^{FOLDER} has trainings of other images or settings than'):
        kfold(*changed)


def test_nothing_trained_may_change(kfold, tmp_path):
    kfold('--work-dir', 'here')
    for path in tmp_path.glob('here/fold_*/*.pth'):
        path.unlink()
    assert len(kfold('--work-dir', 'here', '--seed', 1)[0]) == 2


@pytest.mark.parametrize('option', ['fold_count=3', 'fold_index=1', 'fold_seed=2'])
def test_options_of_a_single_split_are_refused(kfold, option):
    with pytest.raises(UserError, match=f'^{option[:-2]} has no effect on a k-fold: --folds and --seed say'):
        kfold(options=[option])


def test_a_record_of_others_is_told(kfold, tmp_path):
    kfold()
    (tmp_path / FOLDER / 'kfold.json').write_text('{}')
    with pytest.raises(UserError, match=r'kfold.json is no record of ours .*: remove it'):
        kfold()


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Has a script in the place of Python."""

    def write(text):
        path = tmp_path / 'python'
        path.write_text(f'#!/bin/sh\n{text}\n')
        path.chmod(0o755)
        monkeypatch.setattr(sys, 'executable', str(path))

    return write


def test_a_training_is_a_process_that_goes_on(tmp_path, script):
    script(f'for word; do echo "$word"; done > "{tmp_path}/words"')
    tool.train(tmp_path / 'a b.py', tmp_path / 'fold_3', 2, ['--amp'])
    words = (tmp_path / 'words').read_text().splitlines()
    assert words[:6] == ['-m', 'mmyolox', 'train', f'{tmp_path}/a b.py', '--work-dir', f'{tmp_path}/fold_3']
    assert words[6:9] == ['--resume', '--amp', '--cfg-options']
    assert words[9:] == [f'{split}_dataloader.dataset.fold.index=2' for split in ('train', 'val')]


def test_a_training_that_fails_is_named_with_its_log(tmp_path, script):
    script('exit 3')
    with pytest.raises(
        UserError, match=rf'^the training of fold 1 ended with status 3; .*{tmp_path}/fold_1; the'
    ):
        tool.train(tmp_path / 'a.py', tmp_path / 'fold_1', 0, [])
    log = tmp_path / 'fold_1/20260101/20260101.log'
    log.parent.mkdir(parents=True)
    log.touch()
    with pytest.raises(UserError, match=f'{log}; the same'):
        tool.train(tmp_path / 'a.py', tmp_path / 'fold_1', 0, [])


def test_a_training_ends_with_its_k_fold(tmp_path, script):
    script(f'echo $$ > "{tmp_path}/part" && mv "{tmp_path}/part" "{tmp_path}/pid" && exec sleep 60')
    code = (
        'import sys; from pathlib import Path; from tests.tools.tool_loading import load_tool\n'
        f'tool = load_tool("misc/kfold.py"); sys.executable = {sys.executable!r}\n'
        f'tool.train(Path("a.py"), Path({str(tmp_path)!r}), 0, [])'
    )
    python = f'{sys.prefix}/bin/python'
    process = subprocess.Popen([python, '-c', code], cwd=Path(__file__).parents[2])
    while process.poll() is None and not (tmp_path / 'pid').exists():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(30) == 143
    training = Path('/proc', (tmp_path / 'pid').read_text().strip(), 'stat')
    deadline = time.monotonic() + 10
    while training.exists() and training.read_text().split()[2] != 'Z' and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not training.exists() or training.read_text().split()[2] == 'Z'


@pytest.mark.parametrize('ends', [True, False])
def test_ctrl_c_waits_for_the_training(tmp_path, monkeypatch, capsys, ends):
    class Process:
        said = []

        def __init__(self, command):
            pass

        def wait(self, timeout=None):
            self.said.append(timeout)
            if timeout is None:
                raise KeyboardInterrupt
            if not ends:
                raise subprocess.TimeoutExpired('train', timeout)

        def terminate(self):
            self.said.append('terminate')

    monkeypatch.setattr(subprocess, 'Popen', Process)
    with pytest.raises(KeyboardInterrupt):
        tool.train(tmp_path / 'a.py', tmp_path / 'fold_2', 1, [])
    assert Process.said == [None, tool.GRACE, *['terminate'] * (not ends)]
    assert capsys.readouterr().err == 'stopped in fold 2; the same command goes on\n'
