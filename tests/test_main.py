"""The command ``mmyolox``: the overview, the words, and that a tool runs as the script that it is."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from mmyolox import __main__ as command, compat
from mmyolox.errors import UserError

TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with arguments; returns its status and what it printed."""

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['anything', *args])
        monkeypatch.setattr(sys, 'path', list(sys.path))
        monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])
        monkeypatch.setattr('mmyolox.utils.cli.keep_freed_memory', bool)
        try:
            status = command.run_command()
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr().out

    return run


def test_every_tool_has_a_word():
    tools = {
        path for path in TOOLS.rglob('*.py') if '\n    run_tool(main' in path.read_text(encoding='utf-8')
    }
    assert {TOOLS / tool for tool in command.COMMANDS.values()} == tools


@pytest.mark.parametrize(('args', 'status'), [([], 2), (['-h'], 0), (['--help', 'train'], 0)])
def test_the_overview_says_a_line_of_each_tool(run, args, status):
    code, text = run(*args)
    assert code == status
    assert text.startswith('usage: mmyolox COMMAND')
    told = dict(re.findall(r'^  (\S+) +(.+)$', text, re.MULTILINE))
    assert told.keys() == command.COMMANDS.keys()
    assert told['train'] == 'Trains a detector.'
    assert all(re.fullmatch(r'[A-Z].+\.', line) for line in told.values())


@pytest.mark.parametrize('word', command.COMMANDS)
def test_the_tool_of_a_word_shows_its_usage_under_that_word(run, word):
    status, text = run(word, '-h')
    assert status == 0
    assert text.startswith(f'usage: mmyolox {word} [-h]')
    [line] = [line for line in run()[1].splitlines() if line.startswith(f'  {word} ')]
    assert line.split(maxsplit=1)[1].split() == text.partition('\n\n')[2].partition('\n\n')[0].split()


def test_the_usages_need_no_docstrings(run, monkeypatch):
    """As ``python -OO``, which has none."""
    monkeypatch.setattr(command, 'compile', partial(compile, optimize=2), raising=False)
    assert [run(word, '-h')[0] for word in command.COMMANDS] == [0] * len(command.COMMANDS)


@pytest.mark.parametrize(
    ('word', 'hint'),
    [
        ('trian', '; did you mean train?'),
        ('val', '; here it is test'),
        ('detect', '; here it is predict'),
        ('--quiet', ''),
        ('tools/train.py', ''),
    ],
)
def test_an_unknown_word_is_an_error_with_the_nearest(run, word, hint):
    with pytest.raises(
        UserError, match=rf'^mmyolox has no command {word}{re.escape(hint)}; mmyolox -h lists'
    ):
        run(word)


def test_the_versions_are_told(run, monkeypatch):
    absent = compat._Requirement('mmdet', '3.3.0', ('no-such-distribution',))
    monkeypatch.setattr(compat, '_REQUIREMENTS', (*compat._REQUIREMENTS[:1], absent))
    status, text = run('--version')
    told = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert status == 0
    assert told['mmyolox'].startswith(f'{command.__version__} in ')
    assert told['torch'] == torch.__version__
    assert re.search(r'mmengine\S* \d', told['mmengine'])
    assert told['mmdet'] == 'not installed'
    assert told.keys() >= {'Python', 'device'}


SCRIPT = """
import multiprocessing
import sys
import beside

def work(queue):
    queue.put((__name__, beside.answer))

if __name__ == '__main__':
    context = multiprocessing.get_context('spawn')
    queue = context.Queue()
    worker = context.Process(target=work, args=(queue,))
    worker.start()
    print(sys.argv, sys.stdin.read(), queue.get())
    sys.exit(7)
"""


def test_a_tool_is_the_main_script_of_its_process(tmp_path):
    """Its neighbours are imported, workers that start anew find it; stdin and the status are its own."""
    (tmp_path / 'tool.py').write_text(SCRIPT)
    (tmp_path / 'beside.py').write_text('answer = 42')
    code = (
        'from pathlib import Path; from mmyolox.__main__ import run_script; '
        f"run_script(Path({str(tmp_path / 'tool.py')!r}), 'mmyolox tool', ['-x', 'a b'])"
    )
    done = subprocess.run([sys.executable, '-c', code], input='typed', capture_output=True, text=True)
    assert done.stdout == "['mmyolox tool', '-x', 'a b'] typed ('__mp_main__', 42)\n", done.stderr
    assert done.returncode == 7


def test_the_module_is_the_command_and_imports_nothing_heavy():
    code = (
        "import sys, runpy; sys.argv = ['x', '-h']\n"
        "try: runpy.run_module('mmyolox', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'torch', 'mmengine', 'cv2', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == '0 set()'
