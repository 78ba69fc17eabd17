"""The Runner of our tools: on a disk that takes nothing, and what it leaves in the work dir."""

import json
import logging
import resource
import shutil
from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.visualization import Visualizer
from torch import nn

from mmyolox.engine.runner import YOLOXRunner
from mmyolox.errors import UserError


def test_a_log_that_cannot_be_written_is_told_once(tmp_path, capfd):
    runner = YOLOXRunner(model=nn.Identity(), work_dir=str(tmp_path), experiment_name=f'log-{tmp_path.name}')
    (log,) = tmp_path.glob('*/*.log')
    assert 'System environment' in log.read_text()
    with log.open('a') as file:  # larger than the file that takes what is printed
        file.write('\n' * 100_000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100, limit[1]))
    try:
        for _ in range(5):
            runner.logger.info('x' * 90)
            runner.logger.warning('y' * 90)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    errors = capfd.readouterr().err
    assert errors.count(f'warning: the log {log} is incomplete: [Errno 27] File too large') == 1
    assert 'Traceback' not in errors
    assert not [handler for handler in runner.logger.handlers if type(handler) is logging.FileHandler]


def test_the_saved_config_is_whole_or_the_one_before(tmp_path, monkeypatch):
    runner = YOLOXRunner(model=nn.Identity(), work_dir=str(tmp_path), experiment_name=f'full-{tmp_path.name}')
    before = runner.saved_config.read_text()
    files = set(tmp_path.rglob('*'))

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(UserError, match='cannot be written: No space left'):
        runner.dump_config()
    assert runner.saved_config.read_text() == before
    assert set(tmp_path.rglob('*')) == files


def test_a_line_that_is_no_unicode_is_written_escaped(tmp_path, capfd):
    runner = YOLOXRunner(model=nn.Identity(), work_dir=str(tmp_path), experiment_name=f'odd-{tmp_path.name}')
    runner.logger.info('images of \udcff')
    (log,) = tmp_path.glob('*/*.log')
    assert 'images of \\udcff' in log.read_text()
    assert 'incomplete' not in capfd.readouterr().err


@pytest.mark.parametrize('key', ['activation_checkpointing', 'efficient_conv_bn_eval'])
@pytest.mark.parametrize('names', ['bakbone', ['backbone', 'bakbone']])
def test_a_module_that_the_model_has_not_is_named(tmp_path, key, names):
    model = nn.ModuleDict(dict(backbone=nn.Identity(), neck=nn.Identity()))
    experiment = f'module-{tmp_path.name}'
    runner = YOLOXRunner(model, str(tmp_path), experiment_name=experiment, cfg={key: names})
    with pytest.raises(UserError, match=f"{key}: the model has no module 'bakbone'; did you mean backbone"):
        runner.train()


def test_a_run_after_another_writes_to_its_own_folder(tmp_path):
    visualizer = dict(type='YOLOXVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='both')
    first, second = (
        YOLOXRunner(
            nn.Identity(),
            str(tmp_path / name),
            visualizer=deepcopy(visualizer),
            experiment_name=f'{name}-{tmp_path.name}',
            default_scope='mmyolox',
            cfg=dict(name=name),
        )
        for name in ('first', 'second')
    )
    assert Visualizer.get_current_instance() is second.visualizer
    shutil.rmtree(first.log_dir)  # as that of a call that failed
    second.visualizer.add_scalar('loss', 1.5, step=3)
    (record,) = tmp_path.rglob('scalars.json')
    assert record.is_relative_to(second.log_dir)
    assert json.loads(record.read_text()) == dict(loss=1.5, step=3)


class Scale(BaseModel):
    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(1, 1)

    def forward(self, *inputs, mode='tensor'):
        return dict(loss=self.scale(torch.stack(inputs)).square().mean())


@pytest.mark.parametrize(('epochs', 'rate', 'is_saved'), [(1, 0.5, False), (2, 0.5, False), (2, 0.1, True)])
def test_a_resumed_training_saves_only_a_config_that_it_follows(tmp_path, epochs, rate, is_saved):
    def train(epochs: int, rate: float, **options) -> str:
        config = tmp_path / 'given/saved.py'
        config.parent.mkdir(exist_ok=True)
        config.write_text(f'epochs = {epochs}\nrate = {rate}\n')
        runner = YOLOXRunner(
            Scale(),
            str(tmp_path),
            train_dataloader=dict(
                dataset=list(torch.rand(2, 1)),
                batch_size=1,
                sampler=dict(type='DefaultSampler'),
                collate_fn=dict(type='pseudo_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=rate)),
            cfg=Config.fromfile(config),
            experiment_name=f'saved-{tmp_path.name}-{len(options)}',
            **options,
        )
        runner.train()
        return (tmp_path / 'saved.py').read_text()

    begun = train(1, 0.1)
    assert begun == 'epochs = 1\nrate = 0.1\n'
    resumed = train(epochs, rate, load_from=str(tmp_path / 'epoch_1.pth'), resume=True)
    assert resumed == ('epochs = 2\nrate = 0.1\n' if is_saved else begun)


@pytest.mark.parametrize('resume', [False, True])
def test_processes_of_machines_that_share_no_folder_are_named(tmp_path, monkeypatch, resume):
    monkeypatch.setattr('mmyolox.engine.runner.all_gather_object', lambda value: [value, 'run/epoch_2.pth'])
    experiment = f'shared-{tmp_path.name}'
    start = dict(load_from='run/epoch_1.pth', resume=resume)
    runner = YOLOXRunner(nn.Identity(), str(tmp_path), experiment_name=experiment, cfg=dict(), **start)
    own = 'run/epoch_1.pth' if resume else 'none'
    expected = sorted([own, 'run/epoch_2.pth'])
    with pytest.raises(
        UserError, match=rf'same checkpoint \({", ".join(expected)}\); it has to be one folder'
    ):
        runner.train()
