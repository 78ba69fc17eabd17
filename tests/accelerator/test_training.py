"""A training on an emulated Ascend NPU: equal to one on the CPU, and where it waits for the device."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.integration.runs import ONE_EPOCH, ROOT, load, read_record, run_tool, succeed, write_config

OPTIONS = [
    'train_dataloader.pin_memory=False',
    'val_dataloader.pin_memory=False',
    'optim_wrapper.optimizer.foreach=False',  # the CPU has a fused kernel, which rounds in another order
    'max_epochs=2',
    'num_last_epochs=1',
    'val_interval=1',
    'train_num_workers=0',
]
STEP = {
    # The first iterations of a training.
    '_local_scalar_dense in mmyolox/engine/hooks/folded_norms.py:<listcomp>',  # once
    '_to_copy in mmyolox/engine/hooks/timing.py:after_train_iter',
    '_local_scalar_dense in mmyolox/engine/runner.py:call_hook',  # the recorder of these tests
    # The losses of an iteration, one iteration later.
    'synchronize in mmyolox/engine/hooks/timing.py:wait',
}
"""Where a training waits, but for what it does once an epoch."""
EPOCH = {
    'tolist in mmyolox/engine/hooks/losses.py:before_save_checkpoint',
    'pickling in mmyolox/engine/snapshot.py:copy',  # for the checkpoint
    '_to_copy in mmyolox/models/detector.py:init_weights',
    '_to_copy in mmyolox/models/networks/head_module.py:init_weights',
}
PREDICTION = {
    # Of some thousands of priors few are worth a box: how many, the host has to know.
    'nonzero in mmyolox/models/postprocess.py:confident_priors',
    'nonzero in mmyolox/models/postprocess.py:label_candidates',
    'masked_select in mmyolox/nms.py:<genexpr>',
    'tolist in mmyolox/models/postprocess.py:split_by_image',
    '_to_copy in mmyolox/evaluation/coco_metric.py:process',
    '_to_copy in mmyolox/apis/drawing.py:draw_sample',
}


def emulated(report, *args):
    """Runs ``tools/train.py`` on the emulated device."""
    command = [sys.executable, '-m', 'tests.accelerator.emulated_device', report, ROOT / 'tools' / 'train.py']
    paths = os.pathsep.join([str(ROOT), str(ROOT / 'tests' / 'integration')])
    env = {**os.environ, 'PYTHONPATH': paths, 'OMP_NUM_THREADS': '1'}
    command = [str(part) for part in (*command, *args)]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """A training on the CPU, the same on the device, and one that goes on from its middle."""
    folder = tmp_path_factory.mktemp('runs')
    sizes = ['--train', 16, '--val', 5, '--size', 64, '--shapes', 1, 3]
    succeed(run_tool('dataset_converters/make_shapes.py', folder / 'shapes', *sizes))
    config = write_config(folder, folder / 'shapes')
    # Weights of its own a device draws in another order.
    succeed(run_tool('train.py', config, '--work-dir', folder / 'start', '--cfg-options', *ONE_EPOCH))
    options = ['--load-from', folder / 'start' / 'epoch_1.pth', '--cfg-options', *OPTIONS]
    succeed(run_tool('train.py', config, '--work-dir', folder / 'host', *options))
    succeed(emulated(folder / 'waits.json', config, '--work-dir', folder / 'device', *options))
    middle = folder / 'device' / 'epoch_1.pth'
    resumed = ['--work-dir', folder / 'resumed', '--resume', middle, '--cfg-options', *OPTIONS]
    succeed(emulated(folder / 'resumed.json', config, *resumed))
    return folder


def test_the_figures_are_those_of_the_cpu(runs):
    host, device = (read_record(runs / name) for name in ('host', 'device'))
    assert len(host) == 8
    assert device == host


@pytest.mark.parametrize('other', ['device', 'resumed'])
def test_the_weights_are_those_of_the_cpu(runs, other):
    host, device = (load(runs / name / 'epoch_2.pth') for name in ('host', other))
    for key in ('state_dict', 'ema_state_dict'):
        assert host[key].keys() == device[key].keys()
        assert all(torch.equal(host[key][name], value) for name, value in device[key].items())
    assert {value.device.type for value in device['state_dict'].values()} == {'cpu'}


def test_the_host_waits_nowhere_else(runs):
    waits = json.loads((runs / 'waits.json').read_text())
    assert set(waits) <= STEP | EPOCH | PREDICTION
    assert waits['nonzero in mmyolox/models/postprocess.py:label_candidates'] == 2
