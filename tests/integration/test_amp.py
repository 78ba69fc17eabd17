"""Mixed precision from the command line, on whatever device there is."""

import torch
from mmengine.device import get_device

from mmyolox.utils.devices import has_bfloat16
from tests.integration.runs import ONE_EPOCH, load, read_record, run_tool, succeed


def test_amp_trains_float32_weights_or_says_that_it_cannot(config, one_epoch, tmp_path):
    run = run_tool('train.py', config, '--amp', '--work-dir', tmp_path / 'run', '--cfg-options', *ONE_EPOCH)
    if get_device() == 'cpu' and not has_bfloat16(torch.device('cpu')):
        assert run.returncode == 1
        assert 'error: --amp' in run.stderr
        return
    succeed(run)
    state = load(tmp_path / 'run/epoch_1.pth')['state_dict'].values()
    assert {value.dtype for value in state if value.is_floating_point()} == {torch.float32}
    mixed_loss, plain_loss = (
        read_record(folder)[0]['losses']['loss'] for folder in (tmp_path / 'run', one_epoch)
    )
    assert mixed_loss != plain_loss
    assert abs(mixed_loss - plain_loss) < 0.05 * plain_loss
