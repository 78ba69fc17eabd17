"""The tools' runner and ``--cfg-options``."""

import argparse
import subprocess
import sys

import pytest

from mmyolox.errors import UserError
from mmyolox.utils.cli import add_cfg_options, parse_option_value, run_tool


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ('main', 'status', 'message'),
    [
        (lambda: None, None, ''),
        (lambda: 3, 3, ''),
        (lambda: _raise(UserError('file x: mend it')), 1, 'error: file x: mend it\n'),
        (lambda: _raise(KeyboardInterrupt()), 130, 'error: interrupted\n'),
    ],
)
def test_run_tool_exits_with_status_and_one_line(main, status, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        run_tool(main)
    assert exit_info.value.code == status
    assert capsys.readouterr().err == message


def test_run_tool_leaves_our_own_faults_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 // 0)


SAME_AS_MMENGINE = [
    '1', '-3', '0.5', '1e-3', 'true', 'False', 'None', 'none', 'abc', '', 'a,b', '1,2.5,x', '[1,2]', '[]',
    '()', '(1,2)', '(1,)', 'a,', '[a]', '[(1,2),(3,4)]', '[(1,2),[a,b],c]', '"abc"', "'1'", '"[1, 2]"',
    '[1, 2]', '(0.5, 1.5)', '["a", \'b\']', 'data/coco/', 'a=b', '[[1,2],[3,[4,5]]]', '((1,2),3)', 'inf',
    ',a', '[a,,b]', '1_000', '/a(b)/c', '[True,None]',
]  # fmt: skip


@pytest.mark.parametrize('text', SAME_AS_MMENGINE)
def test_values_are_read_as_by_mmengine(text):
    from mmengine.config import DictAction

    expected = DictAction._parse_iterable(text)
    value = parse_option_value(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/my photos/a b.json', '/my photos/a b.json'),
        ('red cell,white cell', ['red cell', 'white cell']),
        ('[red cell, "white cell"]', ['red cell', 'white cell']),
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        ('[1,2],[3]', [[1, 2], [3]]),
    ],
)
def test_values_that_mmengine_spoils(text, value):
    assert parse_option_value(text) == value


def _parse(*arguments: str) -> dict | None:
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(arguments).cfg_options


def test_options_are_collected_and_the_last_wins():
    assert _parse() is None
    assert _parse('--cfg-options', 'a=1', 'b.c=x=y', '--cfg-options', 'a=2') == {'a': 2, 'b.c': 'x=y'}


@pytest.mark.parametrize('argument', ['a', '=1', 'a=[1', 'a=(1]),2', 'a=)1('])
def test_malformed_option_is_a_usage_error(argument, capsys):
    with pytest.raises(SystemExit) as exit_info:
        _parse('--cfg-options', argument)
    assert exit_info.value.code == 2
    assert argument in capsys.readouterr().err


def test_cli_imports_nothing_heavy():
    code = 'import sys, mmyolox.utils.cli; print({"torch", "mmengine", "cv2", "numpy"} & set(sys.modules))'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout == 'set()\n'
