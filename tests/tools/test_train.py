"""tools/train.py: the config that a training starts with."""

import pytest
import torch

from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.checkpoints.record import IMAGENET, KEY, UNIT, InputRecord
from mmyolox.config.recorded import Normalisation, normalisation
from tests.checkpoints.layouts import our_weights
from tests.tools.tool_loading import load_tool

tool = load_tool('train.py')
MEAN_AND_STD = ('model.data_preprocessor.mean=[1,1,1]', 'model.data_preprocessor.std=[2,2,2]')


@pytest.mark.parametrize(
    ('stem', 'record', 'options', 'expected'),
    [
        (0.005, None, (), Normalisation()),
        (0.4, None, (), IMAGENET),
        (1.3, None, (), UNIT),
        (0.4, Normalisation(), (), Normalisation()),
        (0.005, UNIT, (), UNIT),
        (1.3, None, MEAN_AND_STD, Normalisation((1.0,) * 3, (2.0,) * 3)),
    ],
)
@pytest.mark.parametrize('how', ['--load-from', '--resume'])
def test_a_training_takes_the_pixels_of_the_weights_it_starts_from(
    run, monkeypatch, tmp_path, how, stem, record, options, expected
):
    state = our_weights(Architecture('nano', *PUBLISHED['nano']), 'cpu')
    state['backbone.stem.conv.conv.weight'].fill_(stem)
    for name in ('weight', 'running_var'):
        state[f'backbone.stem.conv.bn.{name}'].fill_(1)
    meta = {KEY: InputRecord(normalisation=record).to_meta()} if record else {}
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'w.pth')
    configs = []

    class Runner:
        def train(self):
            pass

    monkeypatch.setattr('mmyolox.engine.launch.build_runner', lambda cfg: configs.append(cfg) or Runner())
    folder = (how, tmp_path / 'w.pth', '--work-dir', tmp_path / 'run')
    run(tool, 'yolox_nano_fast_8xb8-300e_coco', *folder, '--cfg-options', 'max_epochs=1', *options)
    assert normalisation(configs[0].model.data_preprocessor) == expected
