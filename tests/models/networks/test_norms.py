"""Our batch norm is PyTorch's, in all that PyTorch's can be told."""

import pytest
import torch
from torch import nn

from mmyolox.models.networks.norms import YOLOXBatchNorm, count_batch


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(momentum=0.03, eps=0.001),
        dict(momentum=0.0),
        dict(momentum=None),
        dict(affine=False),
        dict(track_running_stats=False),
        dict(track_running_stats=False, momentum=None),
    ],
    ids=str,
)
def test_norms_are_those_of_pytorch(options):
    torch.manual_seed(0)
    ours, theirs = YOLOXBatchNorm(3, **options), nn.BatchNorm2d(3, **options)
    for training in (True, True, False, True):
        ours.train(training)
        theirs.train(training)
        features = torch.randn(2, 3, 4, 5)
        count_batch([ours])
        assert torch.equal(ours(features), theirs(features))
        state = ours.state_dict()
        assert state.keys() == theirs.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())
