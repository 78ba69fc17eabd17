"""The examples of docs/config.md and docs/settings.md are true."""

import argparse
import doctest
import json
import re
import shlex
from pathlib import Path

from mmyolox.config import load_config
from mmyolox.config.find import find_config
from mmyolox.tool_parser import add_cfg_options

PAGE = Path(__file__).parents[2] / 'docs/config.md'
SETTINGS = PAGE.with_name('settings.md')


def write_data(folder):
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    (folder / 'my_data/annotations').mkdir(parents=True)
    (folder / 'my_data/annotations/train.json').write_text(json.dumps(dict(categories=categories)))


def test_the_examples_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL)
    for block in blocks:
        if file := re.match(r'# (\w+\.py)\n', block):
            (tmp_path / file[1]).write_text(block)
    examples = ''.join(block for block in blocks if block.startswith('>>>'))
    test = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert not result.failed, ''.join(report)
    assert result.attempted > 15


def test_the_commands_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    text = SETTINGS.read_text(encoding='utf-8')
    for name, file in re.findall(r'```python\n# (\w+\.py)\n(.*?)```', text, re.DOTALL):
        (tmp_path / name).write_text(file, encoding='utf-8')
    commands = re.findall(r'^mmyolox (?:train|kfold) (.*)$', text.replace('\\\n', ''), re.MULTILINE)
    assert len(commands) >= len(re.findall('^## ', text, re.MULTILINE)) - 1
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--auto-scale-lr', action='store_true')
    parser.add_argument('--load-from')
    parser.add_argument('--folds')
    add_cfg_options(parser)
    for command in commands:
        args = parser.parse_args(shlex.split(command))
        with_it, without = (
            load_config(find_config(args.config, 'custom'), options)
            for options in (args.cfg_options, dict(data_root='my_data'))
        )
        is_elsewhere = args.auto_scale_lr or args.folds or args.config.endswith('.py')
        assert is_elsewhere or with_it.to_dict() != without.to_dict()
