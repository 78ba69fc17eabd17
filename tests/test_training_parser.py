"""What is said of options of other programs."""

import re

import pytest

from mmyolox.errors import UserError
from mmyolox.training_parser import TrainingParser


@pytest.mark.parametrize(
    ('arguments', 'option'),
    [
        ('--epochs 3', 'max_epochs=3'),
        ('--epochs=3', 'max_epochs=3'),
        ('epochs=3 batch=4', 'max_epochs=3'),
        ('--batch_size 4', 'train_batch_size_per_gpu=4'),
        ('imgsz=640', 'img_scale="(640,640)"'),
        ('data=set', 'data_root=set'),
        ('val_interval=2', 'val_interval=2'),
        ('--data', 'data_root=...'),
    ],
)
def test_options_of_other_programs_get_ours_in_a_line(arguments, option):
    with pytest.raises(UserError, match=rf'^\S+: give it as --cfg-options {re.escape(option)}$'):
        TrainingParser().parse_args(arguments.split())


@pytest.mark.parametrize('arguments', ['--quiet', '--quiet=1', 'word'])
def test_other_unknown_arguments_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        TrainingParser().parse_args(arguments.split())
    assert f'unrecognized arguments: {arguments}' in capsys.readouterr().err
