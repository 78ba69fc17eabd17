"""Batches whose gradients are added up train like one batch of all of them."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mmyolox.checkpoints.load import use_safe_loading
from mmyolox.config import load_config
from mmyolox.engine.hooks.accumulation import UpdateEMAHook
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.models.batches import make_batch

IMAGES = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))


class Linear(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.zeros_(self.layer.bias)

    def forward(self, *inputs, mode='tensor'):
        return dict(loss=(self.layer(torch.stack(inputs)) - 1).square().mean())


def train(folder, batch, counts, epochs, resume=False, ema=None):
    """Trains on the ten images in their order; returns the checkpoint of the last epoch."""
    train.count += 1
    use_safe_loading()
    average = dict(type='mmyolox.UpdateEMAHook', ema_type='mmyolox.YOLOXEMA', momentum=0.1)
    runner = Runner(
        model=Linear(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=list(IMAGES), batch_size=batch, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(accumulative_counts=counts, optimizer=dict(type='SGD', lr=0.2, momentum=0.9)),
        param_scheduler=[dict(type='ConstantLR', factor=1)],
        custom_hooks=[average | (ema or dict(gamma=3)), dict(type='mmyolox.AccumulationHook')],
        experiment_name=f'accumulation-{train.count}',
        load_from=str(folder / f'epoch_{epochs - 1}.pth') if resume else None,
        resume=resume,
    )
    runner.train()
    saved = torch.load(folder / f'epoch_{epochs}.pth', weights_only=False)
    return {key: saved[key] for key in ('state_dict', 'ema_state_dict', 'optimizer')}


train.count = 0


def test_weights_averages_and_momenta_are_those_of_the_large_batch(tmp_path):
    # Five batches an epoch: the second group has two. The large batches have six images and four.
    small, large = train(tmp_path / 'small', 2, 3, epochs=3), train(tmp_path / 'large', 6, 1, epochs=3)
    torch.testing.assert_close(small, large)


def test_a_resumed_training_loses_no_gradient(tmp_path):
    straight = train(tmp_path / 'straight', 2, 3, epochs=2)
    train(tmp_path / 'resumed', 2, 3, epochs=1)
    resumed = train(tmp_path / 'resumed', 2, 3, epochs=2, resume=True)
    torch.testing.assert_close(resumed, straight, rtol=0, atol=0)


@pytest.mark.parametrize(('counts', 'gamma'), [(1, 15 / 2), (3, 6 / 2)])
def test_an_average_that_follows_from_the_length_of_the_training(tmp_path, counts, gamma):
    # Five batches an epoch.
    wanted = train(tmp_path / 'said', 2, counts, epochs=3, ema=dict(gamma=gamma))
    found = train(tmp_path / 'found', 2, counts, epochs=3, ema=dict(beta=2))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize('options', [dict(beta=0), dict(beta=15, gamma=3)])
def test_a_length_of_the_average_that_is_none(options):
    with pytest.raises(UserError, match=f'UpdateEMAHook: beta={options["beta"]}.*one of them alone'):
        UpdateEMAHook('YOLOXEMA', **options)


def one(batch, index):
    """The image of that index of a batch, as a batch."""
    samples = {key: value[index : index + 1] for key, value in batch['data_samples'].items()}
    return dict(inputs=batch['inputs'][index : index + 1], data_samples=samples)


def test_a_detector_takes_the_mean_of_the_batches():
    """Equal to the large batch where each batch has as many positive priors; here, one an object."""
    cfg = load_config('yolox_nano_fast_8xb8-300e_coco', {'model.norm_eval': True}).model
    cfg.data_preprocessor.batch_augments = []
    weights = []
    for counts in (1, 2):
        torch.manual_seed(0)
        model = MODELS.build(cfg).train()
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=counts)
        batch = make_batch()
        for part in [batch] if counts == 1 else [one(batch, 0), one(batch, 1)]:
            model.train_step(part, wrapper)
        weights.append(dict(model.named_parameters()))
    torch.testing.assert_close(*weights)


def scaled(tmp_path, batch, counts=1, enable=False, resume=False):
    """The rate after scaling, and what the log says."""
    runner = YOLOXRunner(
        Linear(),
        str(tmp_path),
        train_dataloader=dict(dataset=list(IMAGES), batch_size=batch, sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.8)),
        cfg=Config(dict(optim_wrapper=dict(accumulative_counts=counts))),
        experiment_name=f'scaled-{tmp_path.name}',
        resume=resume,
    )
    wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.8))
    runner._train_loop = runner.build_train_loop(dict(by_epoch=True, max_epochs=1))
    runner.scale_lr(wrapper, dict(base_batch_size=8, enable=enable))
    (log,) = tmp_path.rglob('*.log')
    return wrapper.optimizer.param_groups[0]['lr'], log.read_text()


@pytest.mark.parametrize(('batch', 'counts', 'rate'), [(8, 1, 0.8), (2, 1, 0.2), (2, 4, 0.8), (8, 2, 1.6)])
def test_batches_of_a_step_count_when_the_rate_is_scaled(tmp_path, batch, counts, rate):
    assert scaled(tmp_path, batch, counts, enable=True)[0] == pytest.approx(rate)


@pytest.mark.parametrize(
    ('batch', 'counts', 'resume', 'said'),
    [
        (8, 1, False, None),
        (2, 4, False, None),
        (4, 1, True, None),  # the checkpoint has the rate
        (4, 1, False, 'this training has 4 (processes x batches a step x images: 1 x 1 x 4)'),
        (8, 4, False, '--auto-scale-lr multiplies it by 4'),
    ],
)
def test_a_rate_for_another_batch_is_told(tmp_path, batch, counts, resume, said):
    rate, log = scaled(tmp_path, batch, counts, resume=resume)
    assert rate == 0.8
    assert ('The learning rate is for a total batch of 8 images' in log) is (said is not None)
    assert (said or '') in log


def test_the_variable_of_the_configs():
    cfg = load_config('yolox_nano_fast_8xb8-300e_coco', {'accumulative_counts': 4})
    assert cfg.optim_wrapper.accumulative_counts == 4
    with pytest.raises(UserError, match='accumulative_counts=0: it must be at least 1'):
        load_config('yolox_nano_fast_8xb8-300e_coco', {'accumulative_counts': 0})
