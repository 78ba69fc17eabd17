"""What --amp turns on, by device and config."""

import argparse
import os

import pytest
import torch
from mmengine.config import Config

from mmyolox.engine import launch
from mmyolox.engine.launch import (
    check_launcher,
    enable_amp,
    enable_lr_scaling,
    prepare,
    set_rank,
    waiting_time,
)
from mmyolox.errors import UserError


@pytest.fixture
def device(monkeypatch):
    """Makes this machine's device another one."""

    def set_device(name, bfloat16, accelerators=()):
        monkeypatch.setattr(launch, 'get_device', lambda: name)
        monkeypatch.setattr(launch, 'has_bfloat16', lambda device: bfloat16)
        for kind in ('cuda', 'npu', 'mlu', 'musa'):
            monkeypatch.setattr(launch, f'is_{kind}_available', lambda kind=kind: kind in accelerators)

    return set_device


def amp(**wrapper):
    cfg = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), **wrapper)))
    enable_amp(cfg)
    return {key: value for key, value in cfg.optim_wrapper.items() if key != 'optimizer'}


@pytest.mark.parametrize(('name', 'accelerators'), [('cpu', ()), ('cuda', ['cuda'])])
def test_bfloat16_where_the_device_has_it(device, name, accelerators):
    device(name, True, accelerators)
    assert amp(type='OptimWrapper') == dict(type='AutocastOptimWrapper')
    assert amp() == dict(type='AutocastOptimWrapper')


@pytest.mark.parametrize('kind', ['cuda', 'npu', 'mlu', 'musa'])
def test_scaled_float16_elsewhere(device, kind):
    device('privateuseone', False, [kind])
    expected = dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16', accumulative_counts=2)
    assert amp(accumulative_counts=2) == expected


@pytest.mark.parametrize('name', ['cpu', 'mps'])
def test_a_device_with_neither(device, name):
    device(name, False)
    with pytest.raises(UserError, match=rf'--amp: .*\({name}\) computes neither'):
        amp()


@pytest.mark.parametrize(
    'wrapper',
    [dict(type='AmpOptimWrapper', loss_scale=512.0), dict(type='AutocastOptimWrapper', dtype='float16')],
)
def test_a_config_that_says_how_is_obeyed(device, wrapper):
    device('cuda', True, ['cuda'])
    assert amp(**wrapper) == wrapper


def test_a_wrapper_of_the_users_own(device):
    device('cuda', True, ['cuda'])
    with pytest.raises(UserError, match=r'optim_wrapper\.type=MyWrapper'):
        amp(type='MyWrapper')


def test_this_device_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(launch, 'has_bfloat16', lambda device: asked.append(device) or True)
    amp()
    assert asked == [torch.device(launch.get_device())]


@pytest.mark.parametrize('scaling', [None, dict(), dict(enable=False)])
def test_a_rate_is_scaled_by_a_batch_size_that_is_given(scaling):
    with pytest.raises(UserError, match='--auto-scale-lr: the config must have auto_scale_lr=dict'):
        enable_lr_scaling(Config(dict(auto_scale_lr=scaling)))
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=64)))
    enable_lr_scaling(cfg)
    assert cfg.auto_scale_lr.enable is True


def test_how_long_processes_wait_for_each_other():
    assert waiting_time(Config(dict())).total_seconds() == 600
    assert waiting_time(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=7))))).total_seconds() == 7


@pytest.mark.parametrize('value', [0, -1, True, '600', None, float('inf'), float('nan')])
def test_a_waiting_time_that_is_none(value):
    with pytest.raises(UserError, match=r'env_cfg\.dist_cfg\.timeout=.*seconds'):
        waiting_time(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=value)))))


LAUNCHED = dict(
    pytorch=dict(RANK='1', WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT='29500'),
    slurm=dict(SLURM_PROCID='1', SLURM_NTASKS='2', SLURM_NODELIST='node[1-2]'),
    mpi=dict(
        OMPI_COMM_WORLD_RANK='1',
        OMPI_COMM_WORLD_SIZE='2',
        OMPI_COMM_WORLD_LOCAL_RANK='1',
        MASTER_ADDR='127.0.0.1',
    ),
)


@pytest.fixture
def launched(monkeypatch):
    """The environment of a process of a launcher, with some variables set otherwise; None for absent ones."""

    def set_environment(launcher, **changed):
        for name, value in (LAUNCHED[launcher] | changed).items():
            monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name, False)

    return set_environment


@pytest.mark.parametrize('launcher', LAUNCHED)
def test_what_each_launcher_says_is_needed(launched, launcher):
    launched(launcher)
    check_launcher(launcher)
    for name in LAUNCHED[launcher]:
        launched(launcher, **{name: None})
        with pytest.raises(UserError, match=f'--launcher {launcher}: {name} is not set'):
            check_launcher(launcher)


@pytest.mark.parametrize(
    ('name', 'value'),
    [('RANK', '2'), ('RANK', '-1'), ('WORLD_SIZE', 'two'), ('MASTER_PORT', '70000'), ('MASTER_PORT', 'abc')],
)
def test_what_a_launcher_says_wrongly_is_named(launched, name, value):
    launched('pytorch', **{name: value})
    with pytest.raises(UserError, match=f'{name}={value}'):
        check_launcher('pytorch')


def _prepare(launcher, options=()):
    args = dict(launcher=launcher, work_dir='run', local_rank=0, allow_unsafe_checkpoint=False)
    cfg = Config(dict(options, env_cfg=dict(dist_cfg=dict(timeout=1))))
    prepare(cfg, argparse.Namespace(**args, cfg_options=dict(options)))
    return cfg


@pytest.mark.parametrize('own', [dict(), dict(model_wrapper_cfg=dict(static_graph=True, device_ids=[0]))])
def test_the_wrapper_on_a_cpu_keeps_what_the_config_says(launched, device, monkeypatch, own):
    device('cpu', False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    launched('pytorch', RANK='0')
    for name in ('TCPStore', 'PrefixStore'):
        monkeypatch.setattr(launch, name, lambda *args: None)
    monkeypatch.setattr('torch.distributed.init_process_group', lambda *args, **kwargs: None)
    wrapper = _prepare('pytorch', dict(own, find_unused_parameters=True)).model_wrapper_cfg
    always = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    own = dict(own.get('model_wrapper_cfg', {}), device_ids=None)
    assert wrapper == always | dict(find_unused_parameters=True) | own


def test_a_launcher_among_the_options_of_the_config_is_named():
    with pytest.raises(UserError, match='launcher=slurm: the option is --launcher slurm'):
        _prepare('none', dict(launcher='slurm'))


def test_a_first_process_waits_for_the_others_as_long_as_the_config_says(launched, device, monkeypatch):
    device('cpu', False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    launched('pytorch', RANK='0', MASTER_PORT='0')
    with pytest.raises(RuntimeError, match='waiting for clients'):
        _prepare('pytorch')


def test_processes_that_torchrun_starts_work_together(launched, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    launched('pytorch')
    with pytest.raises(UserError, match=r'2 processes.*--launcher pytorch'):
        _prepare('none')
    launched('pytorch', WORLD_SIZE='1')
    _prepare('none')


@pytest.fixture
def unset(monkeypatch):
    """No variables of torchrun."""
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT', 'SLURM_LOCALID'):
        monkeypatch.setenv(name, '')  # so that what is set is undone
        monkeypatch.delenv(name)


def _ranks():
    names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
    return [os.environ.get(name) for name in names]


def test_srun_tells_what_torchrun_tells(unset, launched, monkeypatch):
    launched('slurm', SLURM_PROCID='3', SLURM_NTASKS='4', SLURM_LOCALID='1', SLURM_NODELIST='alone')
    set_rank('slurm')
    assert _ranks() == ['3', '4', '1', 'alone', '29500']
    monkeypatch.setenv('MASTER_ADDR', 'mine')
    monkeypatch.setenv('MASTER_PORT', '7')
    set_rank('slurm')
    assert _ranks() == ['3', '4', '1', 'mine', '7']


def test_mpirun_tells_what_torchrun_tells(unset, launched):
    launched('mpi')
    set_rank('mpi')
    assert _ranks() == ['1', '2', '1', '127.0.0.1', '29500']


@pytest.mark.parametrize(
    ('script', 'address'), [('echo first; echo second', 'first'), ('exit 1', None), ('true', None)]
)
def test_the_first_of_several_nodes(unset, launched, monkeypatch, tmp_path, script, address):
    launched('slurm', SLURM_NODELIST='node[1-2]')
    (tmp_path / 'scontrol').write_text(f'#!/bin/sh\n{script}\n')
    (tmp_path / 'scontrol').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    if address:
        set_rank('slurm')
        assert os.environ['MASTER_ADDR'] == address
        return
    with pytest.raises(UserError, match=r'first of the nodes node\[1-2\]; set MASTER_ADDR'):
        set_rank('slurm')


@pytest.mark.parametrize('launcher', LAUNCHED)
@pytest.mark.parametrize(
    ('agent', 'restart', 'is_host', 'prefix'),
    [(None, None, True, 'start 0'), ('True', '2', False, 'start 2'), ('False', '2', True, 'start 0')],
)
def test_where_processes_meet(
    unset, launched, device, monkeypatch, launcher, agent, restart, is_host, prefix
):
    device('cpu', False)
    met = []
    monkeypatch.setattr(launch, 'TCPStore', lambda *args: met.append(args[:4]))
    monkeypatch.setattr(launch, 'PrefixStore', lambda prefix, store: met.append(prefix))
    monkeypatch.setattr('torch.distributed.init_process_group', lambda *args, **kwargs: None)
    first = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
    launched(launcher, **{first[launcher]: '0'})
    monkeypatch.setenv('MASTER_ADDR', 'host')
    monkeypatch.setenv('MASTER_PORT', '7')
    for name, value in (('USE_AGENT_STORE', agent), ('RESTART_COUNT', restart)):
        name = f'TORCHELASTIC_{name}'
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, False)
    _prepare(launcher)
    assert met == [('host', 7, 2, is_host), prefix]
