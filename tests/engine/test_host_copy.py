"""Copies that do not stop the device."""

import pytest
import torch

from mmyolox.engine.host_copy import DeviceMark, HostCopy


def test_values_are_those_at_the_time_of_the_copy():
    scalars = dict(loss=torch.tensor(1.5, requires_grad=True) * 2, other=torch.tensor([0.1]))
    copied = HostCopy(scalars)
    scalars['other'].zero_()
    assert copied.wait() == dict(loss=3.0, other=pytest.approx(0.1))


def test_bfloat16_and_float32_together():
    assert HostCopy(dict(a=torch.tensor(0.5).bfloat16(), b=torch.tensor(0.1))).wait()['b'] == pytest.approx(
        0.1
    )


def test_the_cpu_has_always_come_so_far():
    mark = DeviceMark(torch.device('cpu'))
    mark.wait()
    assert mark.is_reached()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_the_device_is_not_waited_for():
    torch.cuda._sleep(1)
    torch.cuda.synchronize()
    torch.cuda._sleep(500_000_000)  # cycles: some tenths of a second
    copied = HostCopy(dict(loss=torch.ones((), device='cuda')))
    mark = DeviceMark(torch.device('cuda'))
    assert not mark.is_reached()
    assert copied.wait() == dict(loss=1.0)
    mark.wait()
    assert mark.is_reached()
