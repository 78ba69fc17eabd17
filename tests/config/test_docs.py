"""The examples of docs/config.md are true."""

import doctest
import json
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / 'docs/config.md'


def test_the_examples_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    (tmp_path / 'my_data/annotations').mkdir(parents=True)
    (tmp_path / 'my_data/annotations/train.json').write_text(json.dumps(dict(categories=categories)))
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
