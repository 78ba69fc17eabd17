"""What a training leaves in its folder stays as it is until it goes on."""

import shutil

import pytest

from tests.integration.runs import ONE_EPOCH, run_tool, succeed
from tests.integration.test_errors import error_line


@pytest.fixture
def trained(one_epoch, tmp_path):
    """The copy of a training's folder."""
    return shutil.copytree(one_epoch, tmp_path / 'trained')


def test_a_test_leaves_the_config_of_the_training(config, trained):
    saved = (trained / 'tiny.py').read_bytes()
    assert b'score_thr=0.77' not in saved
    args = ['test.py', config, trained / 'epoch_1.pth', '--work-dir', trained]
    succeed(run_tool(*args, '--cfg-options', 'model.test_cfg.score_thr=0.77'))
    assert (trained / 'tiny.py').read_bytes() == saved
    (own,) = [path for path in trained.glob('*/tiny.py') if b'score_thr=0.77' in path.read_bytes()]
    assert own.parent.is_dir()


def test_a_failed_call_leaves_the_config_of_the_training(config, trained):
    saved = (trained / 'tiny.py').read_bytes()
    args = ['train.py', config, '--work-dir', trained, '--resume', '--cfg-options', *ONE_EPOCH]
    line = error_line(run_tool(*args, 'model.bbox_head.head_module.feat_channels=32'))
    assert 'cannot be resumed' in line
    assert (trained / 'tiny.py').read_bytes() == saved


def test_a_finished_training_keeps_its_config(config, trained):
    saved = (trained / 'tiny.py').read_bytes()
    args = ['train.py', config, '--work-dir', trained, '--resume', '--cfg-options', *ONE_EPOCH]
    assert 'This training is finished: 1 of 1' in succeed(run_tool(*args, 'base_lr=0.5'))
    assert (trained / 'tiny.py').read_bytes() == saved


def test_a_second_training_does_not_share_the_folder(config, trained):
    before = {path.name: path.stat().st_mtime_ns for path in trained.glob('*.pth')}
    line = error_line(run_tool('train.py', config, '--work-dir', trained, '--cfg-options', *ONE_EPOCH))
    assert 'holds a training already (epoch_1.pth): go on with it, on the same data, by --resume' in line
    assert {path.name: path.stat().st_mtime_ns for path in trained.glob('*.pth')} == before


@pytest.mark.parametrize('name', ['absent.pth', 'exported.torchscript'])
def test_weights_that_cannot_be_loaded_are_told_before_the_log(config, tmp_path, name):
    (tmp_path / 'exported.torchscript').touch()
    args = ['train.py', config, '--work-dir', tmp_path / 'run', '--load-from', tmp_path / name]
    result = run_tool(*args)
    assert name in error_line(result)
    assert len((result.stdout + result.stderr).splitlines()) < 10
