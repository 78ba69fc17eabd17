"""The halt before a broken loss: when it looks, what it keeps."""

import json
from types import SimpleNamespace

import pytest
import torch

from mmyolox.engine import InvalidLossHook
from mmyolox.errors import UserError

NAN, INF = float('nan'), float('inf')


class Training:
    """Drives the hook as a Runner does."""

    def __init__(self, folder):
        self.hook = InvalidLossHook()
        self.runner = SimpleNamespace(iter=0, epoch=0, log_dir=str(folder))

    def step(self, **outputs):
        meta = dict(img_path=f'{self.runner.iter + 1}.jpg')
        batch = dict(inputs=torch.full((1,), self.runner.iter + 1), data_samples=dict(metas=[meta]))
        tensors = {name: torch.tensor(value) for name, value in outputs.items()}
        self.hook.after_train_iter(self.runner, self.runner.iter, batch, tensors)
        self.runner.iter += 1

    def checkpoint(self, weights=(1.0,), average=(1.0,)):
        checkpoint = dict(
            state_dict=dict(weight=torch.tensor(weights), count=torch.tensor(3)),
            ema_state_dict=dict(weight=torch.tensor(average)),
        )
        self.hook.before_save_checkpoint(self.runner, checkpoint)


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path)


@pytest.mark.parametrize('value', [NAN, INF, -INF])
def test_a_broken_loss_stops_the_training_one_iteration_later(training, tmp_path, value):
    training.step(loss=1.0, loss_obj=2.0)
    training.step(loss=1.0, loss_obj=value)
    with pytest.raises(UserError, match=rf'at iteration 2 \(loss=1, loss_obj={value:g}\)'):
        training.step(loss=1.0, loss_obj=2.0)
    (report,) = tmp_path.glob('*.json')
    content = json.loads(report.read_text())
    assert report.name == 'invalid_loss_iter2_rank0.json'
    assert (content['iteration'], content['epoch'], content['images']) == (2, 1, ['2.jpg'])
    assert torch.load(report.with_suffix('.pth'))['inputs'].tolist() == [2]


@pytest.mark.parametrize('name', ['after_train_epoch', 'after_train'])
def test_the_last_iteration_is_looked_at(training, name):
    training.step(loss=NAN)
    with pytest.raises(UserError, match='at iteration 1'):
        getattr(training.hook, name)(training.runner)


def test_no_checkpoint_after_a_broken_loss(training):
    training.step(loss=NAN)
    with pytest.raises(UserError, match='at iteration 1'):
        training.checkpoint()


@pytest.mark.parametrize(('weights', 'average'), [((1.0, NAN), (1.0,)), ((1.0,), (INF,)), ((NAN,), (NAN,))])
def test_no_checkpoint_of_broken_weights(training, weights, average):
    training.step(loss=1.0)
    with pytest.raises(UserError, match=r'not finite any more \(weight'):
        training.checkpoint(weights, average)


def test_what_is_finite_goes_on(training, tmp_path):
    for _ in range(3):
        training.step(loss=1.0, grad_norm=INF)  # no loss; an overflow that the scaler will skip
    training.checkpoint()
    training.hook.after_train_epoch(training.runner)
    training.hook.after_train(training.runner)
    training.hook.before_save_checkpoint(training.runner, dict(state_dict={}))
    assert not list(tmp_path.iterdir())


def test_an_iteration_without_outputs(training):
    training.hook.after_train_iter(training.runner, 0, None, None)
    training.step(loss=1.0)


def test_the_device_is_waited_for_an_iteration_later_only(training, monkeypatch):
    events = []

    class Copy:
        def __init__(self, losses):
            self.number = training.runner.iter + 1
            events.append(f'copy {self.number}')

        def wait(self):
            events.append(f'wait {self.number}')
            return {}

    monkeypatch.setattr('mmyolox.engine.hooks.invalid_loss.HostCopy', Copy)
    for _ in range(3):
        training.step(loss=1.0)
    assert events == ['copy 1', 'wait 1', 'copy 2', 'wait 2', 'copy 3']
