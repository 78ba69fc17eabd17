"""An error of a library about a part of a config names the part; one of an iteration keeps its traceback."""

import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, RUNNERS
from torch import nn

from mmyolox.engine.launch import build_runner
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.errors import UserError

ERRORS = dict(ValueError=ValueError, UserError=UserError)


class OneLayer(BaseModel):
    def __init__(self, width=1, part=None, fails=None):
        super().__init__()
        self.layer = nn.Linear(1, width)
        self.fails = fails
        if part is not None:
            self.part = MODELS.build(part)

    def forward(self, inputs, sample_idx, mode='tensor'):
        if self.fails:
            raise ERRORS[self.fails]('deep in an iteration')
        return dict(loss=self.layer(torch.stack(inputs)).sum())


class Numbers(BaseDataset):
    def __init__(self, count=4, **kwargs):
        self.count = count
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(inputs=torch.ones(1))] * self.count


@pytest.fixture
def train(tmp_path, monkeypatch):
    for registry, component in ((MODELS, OneLayer), (DATASETS, Numbers)):
        monkeypatch.setitem(registry.module_dict, component.__name__, component)

    def train(changes):
        cfg = Config(
            dict(
                model=dict(type='OneLayer'),
                work_dir=str(tmp_path),
                experiment_name=tmp_path.name,
                train_dataloader=dict(
                    dataset=dict(type='Numbers'),
                    sampler=dict(type='DefaultSampler', shuffle=False),
                    batch_size=2,
                    num_workers=0,
                ),
                train_cfg=dict(by_epoch=True, max_epochs=1),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                default_hooks=dict(checkpoint=None),
            )
        )
        cfg.merge_from_dict(changes)
        return build_runner(cfg).train()

    return train


def test_a_config_without_a_mistake_trains(train):
    assert train({}).layer.weight.item() != 0


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'optim_wrapper.optimizer.momentum': -1}, 'optim_wrapper.optimizer: Invalid momentum value: -1'),
        ({'optim_wrapper.optimizer.foo': 1}, "optim_wrapper.optimizer: TypeError: .* argument 'foo'"),
        ({'optim_wrapper.type': 'ApexOptimWrapper'}, 'optim_wrapper: Apex is not installed'),
        ({'model.width': 'x'}, 'model: TypeError: '),
        ({'model.part': dict(type='OneLayer', width='x')}, r'model\.part: TypeError: '),
        ({'train_dataloader.collate_fn': None}, 'train_dataloader: TypeError: collate_fn should be a dict'),
        ({'train_dataloader.sampler.foo': 3}, r'train_dataloader\.sampler: TypeError: '),
        ({'train_dataloader.dataset.foo': 3}, r'train_dataloader\.dataset: TypeError: '),
        ({'train_dataloader.pin_memory_devices': 3}, 'train_dataloader: TypeError: '),
        ({'train_cfg.foo': 3}, 'train_cfg: TypeError: '),
        ({'param_scheduler': [dict(type='StepLR', foo=3)]}, r'param_scheduler\.0: TypeError: '),
        ({'custom_hooks': [dict(type='EMAHook', begin_iter=-1)]}, r'custom_hooks\.0: .*begin_iter'),
        (
            {'train_dataloader.dataset': dict(count=0, serialize_data=False)},
            '.*dataset: no sample is left of it',
        ),
        (
            {'train_dataloader.drop_last': True, 'train_dataloader.batch_size': 5},
            'train_dataloader.drop_last=True: 4 samples make no batch of 5; set it to False, or lower',
        ),
        ({'optim_wrapper': None}, 'optim_wrapper=None stands beside train_dataloader and train_cfg: set it$'),
        (
            {'val_cfg': dict(type='ValLoop')},
            'val_dataloader=None stands beside val_cfg: set it, or val_cfg to None too',
        ),
        ({'runner_type': 'foo'}, 'runner_type: there is no foo'),
        ({'runner_type': 3}, 'runner_type=3: it must be the name of a Runner'),
        ({'compile': 'foo'}, "compile='foo': it must be true, false or a dict"),
        ({'compile': dict(foo=1)}, "compile=.*: torch.compile says: .* argument 'foo'"),
        ({'compile': dict(mode='foo')}, 'compile=.*: torch.compile says: .*foo'),
        ({'compile': dict(backend='foo')}, 'compile=.*: torch.compile says: .*foo'),
    ],
)
def test_a_part_that_cannot_be_built_is_named(train, changes, message):
    with pytest.raises(UserError, match=f'^config key {message}') as caught:
        train(changes)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('error', ERRORS)
def test_an_error_in_an_iteration_passes_and_the_log_has_its_traceback(train, tmp_path, error, capfd):
    with pytest.raises(ERRORS[error], match='deep in an iteration'):
        train({'model.fails': error, 'log_level': 'WARNING'})
    (log,) = tmp_path.glob('*/*.log')
    assert log.read_text().count(f'{error}: deep in an iteration\n') == 1
    assert 'in forward\n    raise ERRORS[' in log.read_text()
    assert 'deep in' not in ''.join(capfd.readouterr())


@pytest.mark.parametrize(('level', 'is_kept'), [('INFO', False), ('DEBUG', True)])
def test_a_log_of_a_mistake_is_kept_with_its_traceback_where_it_is_asked_for(train, tmp_path, level, is_kept):
    with pytest.raises(UserError, match='config key model: TypeError: '):
        train({'model.width': 'x', 'log_level': level})
    logs = [log.read_text() for log in tmp_path.glob('*/*.log')]
    assert ['in __init__\n    self.layer = nn.Linear(1, width)' in log for log in logs] == [True] * is_kept


def test_a_shortage_while_a_part_is_built_passes(train, monkeypatch):
    def run_out(*_, **__):
        raise RuntimeError('CUDA out of memory')

    monkeypatch.setattr(OneLayer, '__init__', run_out)
    with pytest.raises(RuntimeError, match='out of memory'):
        train({})


def test_our_runner_may_be_named(train, monkeypatch):
    monkeypatch.setitem(RUNNERS.module_dict, 'YOLOXRunner', YOLOXRunner)
    assert train({'runner_type': 'YOLOXRunner'}) is not None


@pytest.mark.parametrize(('backend', 'package'), [('Tensorboard', 'tensorboard'), ('Wandb', 'wandb')])
def test_a_visualiser_whose_package_is_absent_names_it(train, monkeypatch, backend, package):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    monkeypatch.setitem(sys.modules, package, None)
    backends = [dict(type=f'{backend}VisBackend')]
    with pytest.raises(UserError, match=rf'^config key visualizer\.vis_backends: .*pip install .*{package}'):
        train(dict(visualizer=dict(type='Visualizer', vis_backends=backends)))
