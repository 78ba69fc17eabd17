"""What is said of options of other programs."""

import argparse
import re
from pathlib import Path

import pytest

from mmyolox.errors import UserError
from mmyolox.tool_parser import ELSEWHERE, ToolParser, add_cfg_options
from tests.tools.tool_loading import load_tool


def training_parser():
    parser = ToolParser()
    parser.add_argument('config', nargs='?')
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--load-from')
    add_cfg_options(parser)
    return parser


@pytest.mark.parametrize(
    ('arguments', 'here'),
    [
        ('--epochs 3', '--cfg-options max_epochs=3'),
        ('--epochs=3', '--cfg-options max_epochs=3'),
        ('yolox_s --batch_size 4', '--cfg-options train_batch_size_per_gpu=4'),
        ('imgsz=640', '--cfg-options img_scale="(640,640)"'),
        ('data=set', '--cfg-options data_root=set'),
        ('--data --amp', '--cfg-options data_root=...'),
        ('yolox_s val_interval=2', '--cfg-options val_interval=2'),
        ('model=a.pt', 'a.pt, the argument config'),
        ('weights=a.pt', '--load-from a.pt'),
        ('half=True', '--amp'),
        ('amp=True', '--amp'),
        ('load_from=a.pt', '--load-from a.pt'),
    ],
)
def test_options_of_other_programs_get_ours_in_a_line(arguments, here):
    with pytest.raises(UserError, match=rf'^\S+: give it as {re.escape(here)}$'):
        training_parser().parse_args(arguments.split())


@pytest.mark.parametrize(
    ('tool', 'arguments', 'here'),
    [
        ('image_demo.py', 'source=a.jpg', 'a.jpg, the argument input'),
        ('image_demo.py', '--source a.jpg', 'a.jpg, the argument input'),
        ('image_demo.py', 'a.jpg model=b.pth', 'b.pth, the argument checkpoint'),
        ('image_demo.py', 'a.jpg conf=0.5', '--score-thr 0.5'),
        ('image_demo.py', 'a.jpg --imgsz 320', '--cfg-options img_scale="(320,320)"'),
        ('image_demo.py', 'a.jpg --half', '--dtype float16'),
        ('image_demo.py', 'a.jpg --project b', '--out-dir b'),
        ('deployment/export.py', 'yolox_s imgsz=320', '--size 320'),
        ('deployment/export.py', 'yolox_s format=onnx', '--format onnx'),
        ('deployment/export.py', 'yolox_s --half', '--precision fp16'),
        ('test.py', 'yolox_s batch=2', '--cfg-options val_batch_size_per_gpu=2'),
        ('test.py', 'yolox_s --epochs 2', '--cfg-options max_epochs=2'),
        ('analysis_tools/browse_dataset.py', 'yolox_s data=b', '--cfg-options data_root=b'),
    ],
)
def test_each_tool_has_its_own(tool, arguments, here):
    with pytest.raises(UserError, match=rf'^\S+: give it as {re.escape(here)}$'):
        load_tool(tool).parse_args(arguments.split())


TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.mark.parametrize(
    'tool',
    [
        str(path.relative_to(TOOLS))
        for path in sorted(TOOLS.rglob('*.py'))
        if 'add_cfg_options(parser)' in path.read_text(encoding='utf-8')
    ],
)
def test_every_tool_with_options_of_configs_answers(tool, monkeypatch):
    monkeypatch.setattr('sys.argv', [tool, 'yolox_s', 'data_root=b', 'epochs=3'])
    with pytest.raises(UserError, match=r'epochs=3: give it as --cfg-options max_epochs=3$'):
        load_tool(tool).parse_args()


def test_each_of_several_is_answered():
    with pytest.raises(UserError) as caught:
        training_parser().parse_args(['model=yolox_s', 'data=set', '--epochs', '3'])
    assert str(caught.value).split('; ') == [
        'model=yolox_s: give it as yolox_s, the argument config',
        'data=set: give it as --cfg-options data_root=set',
        '--epochs: give it as --cfg-options max_epochs=3',
    ]


def test_a_folder_may_be_that_of_the_data(tmp_path):
    with pytest.raises(UserError, match=rf'^{tmp_path}: give it as --cfg-options data_root={tmp_path}$'):
        training_parser().parse_args(['yolox_s', str(tmp_path)])


@pytest.mark.parametrize('arguments', ['--quiet', '--quiet=1', 'word word'])
def test_other_unknown_arguments_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        training_parser().parse_args(arguments.split())
    assert f'unrecognized arguments: {arguments.split()[-1]}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'found'),
    [
        (['--cfg-options', 'epochs=3', 'lr=2'], dict(cfg_options=dict(epochs='3', lr='2'))),
        (['--load-from', 'weights=1.pth'], dict(load_from='weights=1.pth')),
        (['--load', 'a.pth'], dict(load_from='a.pth')),
        (['--', 'model=a'], dict(config='model=a')),
        (['data=here.py'], dict(config='data=here.py')),
    ],
)
def test_values_and_files_of_such_names_stay(arguments, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('data=here.py').touch()
    assert found.items() <= vars(training_parser().parse_args(arguments)).items()


def test_a_parser_without_options_of_configs_says_nothing_of_them(capsys):
    with pytest.raises(SystemExit):
        ToolParser().parse_args(['epochs=3'])
    assert 'unrecognized arguments: epochs=3' in capsys.readouterr().err


def test_words_are_as_they_are_looked_up():
    assert all(name == name.lower().replace('_', '-') for name in ELSEWHERE)


def _parse(*arguments: str) -> dict | None:
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(arguments).cfg_options


def test_options_are_collected_and_the_last_wins():
    assert _parse() is None
    assert _parse('--cfg-options', 'a=1', 'b.c=x=y', '--cfg-options', 'a=2') == {'a': '2', 'b.c': 'x=y'}


@pytest.mark.parametrize('argument', ['a', '=1'])
def test_malformed_option_is_a_usage_error(argument, capsys):
    with pytest.raises(SystemExit) as exit_info:
        _parse('--cfg-options', argument)
    assert exit_info.value.code == 2
    assert argument in capsys.readouterr().err
