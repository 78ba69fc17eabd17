"""Weights with folded batch norms train as those that they were folded from."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import MMLogger
from torch import distributed, multiprocessing, nn

from mmyolox.engine import UnfoldNormsHook


class Network(nn.Module):
    """Two convolutions, each with a norm, and what the hook sees of a detector."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False),
            nn.BatchNorm2d(8, momentum=None),  # the plain mean of all batches
            nn.SiLU(),
            nn.Conv2d(8, 6, 3, bias=False),
            nn.BatchNorm2d(6, eps=1e-3, momentum=None),
        )
        self.num_preprocessed = 0

    @property
    def norms(self):
        return self.layers[1], self.layers[4]

    def data_preprocessor(self, batch, training):
        self.num_preprocessed += training
        return dict(inputs=batch)

    def forward(self, inputs):
        return self.layers(inputs)


def some_batches(seed, count=6):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, 3, 12, 12, generator=generator) * 5 + 2 for _ in range(count)]


def trained_network(data):
    """One with scales and statistics far from 1 and 0."""
    network = Network()
    for norm in network.norms:
        norm.weight.data.uniform_(0.2, 3)
        norm.bias.data.normal_()
    for batch in data:
        network(batch)
    return network


def folded(network):
    """The same network, as it is read from an export."""
    fused, result = fuse_conv_bn(copy.deepcopy(network).eval()), copy.deepcopy(network)
    for conv, norm in ((0, 1), (3, 4)):
        result.layers[conv].weight.data.copy_(fused.layers[conv].weight)
        result.layers[norm].reset_running_stats()
        result.layers[norm].weight.data.fill_((1 + result.layers[norm].eps) ** 0.5)
        result.layers[norm].bias.data.copy_(fused.layers[conv].bias)
    return result


def unfold(network, data, iteration=0, **settings):
    logger = MMLogger.get_instance('unfold')
    runner = SimpleNamespace(model=network, train_dataloader=data, logger=logger, iter=iteration)
    UnfoldNormsHook(**settings).before_train(runner)
    return network


def test_predictions_stay_and_training_steps_become_those_of_the_original():
    data, (batch,) = some_batches(1), some_batches(2, count=1)
    original = trained_network(data)
    export, unfolded = folded(original), unfold(folded(original), data)
    predicted, step = original.eval()(batch), original.train()(batch)
    torch.testing.assert_close(export.eval()(batch), predicted, rtol=1e-4, atol=1e-4)
    assert (export.train()(batch) - step).abs().mean() > 0.3  # what is mended here
    assert unfolded.training
    torch.testing.assert_close(unfolded.eval()(batch), predicted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(unfolded.train()(batch), step, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ('build', 'iteration'),
    [
        (Network, 0),
        (lambda: trained_network(some_batches(1)), 0),
        (lambda: folded(trained_network(some_batches(1))), 2),  # as after steps with frozen norms
    ],
    ids=['random', 'trained', 'resumed'],
)
def test_other_norms_stay_as_they_are_and_no_batch_is_read(build, iteration):
    network = build()
    before = copy.deepcopy(network.state_dict())
    unfold(network, some_batches(2), iteration)
    assert network.num_preprocessed == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_random_norms_beside_folded_ones_stay_random():
    network = folded(trained_network(some_batches(1)))
    network.norms[1].bias.data.zero_()
    unfold(network, some_batches(1))
    assert network.norms[0].running_mean.any()
    assert not network.norms[1].running_mean.any()


@pytest.mark.parametrize(('num_batches', 'read'), [(2, 2), (8, 6)])
def test_so_many_batches_are_read(num_batches, read):
    network = unfold(folded(trained_network(some_batches(1))), some_batches(1), num_batches=num_batches)
    assert network.num_preprocessed == read


def unfold_in_process(rank, store, results):
    """One of two processes with half of the data each; keeps its weights in a file."""
    distributed.init_process_group('gloo', store=distributed.FileStore(store, 2), rank=rank, world_size=2)
    data = some_batches(1)
    torch.save(unfold(folded(trained_network(data)), data[rank::2]).state_dict(), f'{results}{rank}')
    distributed.destroy_process_group()


def test_two_processes_measure_together(tmp_path):
    results = tmp_path / 'results'
    args = str(tmp_path / 'store'), str(results)
    multiprocessing.start_processes(unfold_in_process, args, nprocs=2, start_method='fork')
    data = some_batches(1)
    alone = unfold(folded(trained_network(data)), data).state_dict()
    for rank in (0, 1):
        for name, value in torch.load(f'{results}{rank}').items():
            torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=1e-4, msg=name)
