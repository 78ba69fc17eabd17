"""The examples of docs/config.md, docs/settings.md and docs/scale.md are true."""

import argparse
import doctest
import json
import re
import shlex
from collections import Counter
from pathlib import Path

from mmyolox.config import load_config
from mmyolox.config.find import find_config
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.tool_parser import add_cfg_options
from tests.datasets.small_sets import write_coco

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


def test_the_config_of_the_scale(tmp_path):
    (text,) = re.findall(r'```python\n(.*?)```', PAGE.with_name('scale.md').read_text('utf-8'), re.DOTALL)
    (tmp_path / 'part').mkdir()
    content = write_coco(tmp_path / 'part', 20)
    for old, new in {
        's3://bucket/shards/part_{number:02d}/': f'{content}/',
        '/data/annotations/part_{number:02d}.json': 'ann.json',
        'range(10)': 'range(2)',
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / 'scale.py').write_text(text)
    options = dict(train_batch_size_per_gpu=4, train_num_workers=0, img_scale=(64, 64))
    cfg = load_config(tmp_path / 'scale.py', options)
    assert cfg.train_cfg.max_epochs == 3000
    for part in cfg.train_dataloader.dataset.datasets:
        part.metainfo = dict(classes=('a', 'b', 'c'))
    cfg.train_dataloader.sampler.pass_epochs = 2
    loader = YOLOXRunner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.sampler.chunk_size == 64
    seen = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        seen += [meta['img_path'] for batch in loader for meta in batch['data_samples']['metas']]
    assert sorted(Counter(seen).values()) == [2] * 20
    steps = [type(step).__name__ for step in loader.dataset.datasets[0].pipeline.transforms]
    assert loader.dataset.datasets[1].pipeline.transforms[steps.index('RecentSamples')].max_images == 8
