"""How the values of ``--cfg-options`` are read."""

import pytest

from mmyolox.config import load_config
from mmyolox.config.option_values import parse_option_value
from mmyolox.errors import UserError
from mmyolox.tool_parser import OptionText

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


CONFIG = """
data_root = 'data/'
base_lr = 2e-3
max_epochs = 50
img_scale = (64, 64)
is_deep = True
steps = [dict(a=1)]
own = dict(name='x', depth=1, steps=steps)
used = [data_root, base_lr, max_epochs, img_scale, is_deep]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ('key', 'text', 'value'),
    [
        ('data_root', '2024_05', '2024_05'),
        ('data_root', '007', '007'),
        ('data_root', 'true', 'true'),
        ('data_root', 'a,b (1)', 'a,b (1)'),
        ('data_root', '"/my photos"', '/my photos'),
        ('data_root', 'None', None),
        ('data_root', '[a,b]', '[a,b]'),
        ('own.name', '1e5', '1e5'),
        ('own.depth', '2', 2),
        ('own.new', '2024_05', 202405),
        ('base_lr', '1', 1),
        ('max_epochs', '2.5', 2.5),
        ('img_scale', '64,96', [64, 96]),
        ('is_deep', 'false', False),
    ],
)
def test_what_is_text_in_the_config_stays_text(path, key, text, value):
    cfg = load_config(path, {key: OptionText(text)})
    for step in key.split('.'):
        cfg = cfg[step]
    assert cfg == value
    assert type(cfg) is type(value)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('base_lr', OptionText('fast'), "base_lr='fast' must be a number, as in the config: base_lr=0.002"),
        ('base_lr', 'fast', "base_lr='fast' must be a number"),
        ('base_lr', None, 'base_lr=None must be a number'),
        ('max_epochs', True, 'max_epochs=True must be a number'),
        ('img_scale', 64, r'img_scale=64 must be a list, as in the config: img_scale="[\[(]\d+, \d+[\])]"$'),
        ('is_deep', 1, 'is_deep=1 must be true or false'),
        ('is_deep', OptionText('[1'), r"is_deep=\[1: the brackets in '\[1' do not match"),
        ('data_root', 1, 'data_root=1 must be text'),
        ('steps', [dict(a=1), 2], 'steps=.* must be a list of dicts'),
        ('own.steps', 'x', "own.steps='x' must be a list"),
        ('own.depth', 'deep', "own.depth='deep' must be a number"),
        ('img_scale', OptionText('(1]),2'), 'img_scale=.*do not match'),
        ('img_scale', OptionText('[' * 3000 + ']' * 3000), 'img_scale=.*nested more than 20 deep'),
    ],
)
def test_an_option_is_of_the_type_of_what_it_replaces(path, key, value, message):
    with pytest.raises(UserError, match=message):
        load_config(path, {key: value})
