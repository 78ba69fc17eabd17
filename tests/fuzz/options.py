"""``--cfg-options`` and config files: any key, value and nesting."""

import argparse
import contextlib
import functools
import io
import json
import math

from hypothesis import strategies as st
from mmengine.config import Config, DictAction

from mmyolox.config import load_config
from mmyolox.config.check import value_at
from mmyolox.config.option_values import parse_option_value
from mmyolox.config.scopes import resolve_scopes
from mmyolox.config.training import settle_training
from mmyolox.tool_parser import add_cfg_options
from tests.fuzz.checks import Target
from tests.fuzz.strategies import changed, places

RECIPE = 'yolox_nano_fast_8xb8-300e_coco'
SCALARS = st.sampled_from(
    [
        '1',
        '0',
        '-1',
        '0.5',
        '1e-3',
        'nan',
        'inf',
        '1e999',
        '9' * 400,
        'true',
        'False',
        'None',
        'none',
        '',
        "''",
    ]
    + [
        'a',
        'cat',
        'mmdet.RandomFlip',
        'EMAHook',
        'AdamW',
        'SGD',
        '2024_05',
        '1_0',
        '0x10',
        '\u0661',
        'a b',
        'a=b',
    ]
    + [
        '/',
        '~',
        '..',
        '\\',
        '"',
        '{}',
        '{a:1}',
        'dict(a=1)',
        '$HOME',
        '{{fileDirname}}',
        '\u202e',
        '\ud800',
        '\0',
    ]
)


def nested(inner):
    lists = st.lists(inner, max_size=3).map(','.join)
    return st.one_of(lists.map(lambda s: f'[{s}]'), lists.map(lambda s: f'({s})'), lists)


VALUES = st.one_of(
    SCALARS,
    st.recursive(SCALARS, nested, max_leaves=6),
    st.text(max_size=10),
    st.text(alphabet='[](),\'" 01a.=-', max_size=12),
    st.sampled_from(['[' * 3000, '(' * 3000 + ')' * 3000, '[' * 200 + ']' * 200, ',' * 50]),
)


@functools.cache
def written():
    """The config as it is dumped, as plain data."""
    return load_config(RECIPE).to_dict()


@functools.cache
def keys():
    """The dotted keys of the config."""
    return ['.'.join(map(str, way)) for way in places(json.loads(json.dumps(written(), default=list)))]


WORDS = st.sampled_from(
    [
        'type',
        '0',
        '-1',
        '99',
        '',
        'x',
        '_delete_',
        '_scope_',
        '_base_',
        'custom_hooks',
        'batch_size',
        'lr',
        'a b',
        '\0',
    ]
    + [
        'train_cfg',
        'model',
        'optim_wrapper',
        'load_from',
        'default_scope',
        'filename',
        'pop',
        '__class__',
        'items',
    ]
)
KNOWN = st.deferred(lambda: st.sampled_from(keys()))
KEYS = st.one_of(
    KNOWN,
    KNOWN,
    KNOWN,
    st.builds('{}.{}'.format, KNOWN, WORDS),
    st.lists(WORDS, min_size=1, max_size=4).map('.'.join),
    st.text(max_size=8),
)


def command_line(case):
    """The options as the parser of a tool gets them."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_cfg_options(parser)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return parser.parse_args(
                ['--cfg-options', *(f'{key}={value}' for key, value in case)]
            ).cfg_options
        except (SystemExit, argparse.ArgumentError):
            return None


def read_options_of_file(case, folder):
    """Options on a config file; what is accepted equals what MMEngine makes of the options."""
    path = folder / 'c.json'
    path.write_text(dumped())
    options = command_line(case)
    if not options:
        return
    cfg = load_config(path, dict(options))
    expected = Config.fromfile(path)
    for key, text in options.items():
        was, bare = value_at(expected, key), str(text).strip(' \'"')
        is_text = isinstance(was, str) and bare != 'None' and not bare.startswith(('[', '('))
        expected.merge_from_dict({key: bare if is_text else parse_option_value(text)})
    settle_training(expected)
    resolve_scopes(expected)
    found, wanted = (json.dumps(one.to_dict(), default=repr, sort_keys=True) for one in (cfg, expected))
    assert found == wanted, next(
        pair for pair in zip(found.split(', '), wanted.split(', '), strict=False) if pair[0] != pair[1]
    )


@functools.cache
def dumped():
    return json.dumps(written(), default=list)


def read_options_of_recipe(case, folder):
    """Options on one of our configs with all its bases and variables."""
    options = command_line(case)
    if options:
        load_config(RECIPE, dict(options))


def read_value(text, folder):
    """One value; it is what MMEngine makes of it, where no spaces or quotes are in it."""
    try:
        value = parse_option_value(text)
    except ValueError:
        return
    if any(char in text for char in ' \'"') or '),(' in text or '],[' in text or not text.isascii():
        return
    try:
        with contextlib.suppress(RecursionError):
            expected = DictAction._parse_iterable(text)
            assert same(value, expected), (value, expected)
    except AssertionError as error:
        if isinstance(error.args[0] if error.args else None, tuple):
            raise  # else MMEngine's own, about brackets


def same(value, other):
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(same, value, other))
    both_nan = (
        isinstance(value, float) and isinstance(other, float) and math.isnan(value) and math.isnan(other)
    )
    return both_nan or value == other


def read_config_file(case, folder):
    """A config file in which values are replaced."""
    path = folder / 'c.json'
    path.write_text(json.dumps(case))
    load_config(path)


CASES = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=2)

TARGETS = dict(
    option_values=Target(VALUES, read_value, 10000),
    options=Target(CASES, read_options_of_file, 3000),
    options_of_recipes=Target(CASES, read_options_of_recipe, 1000),
    config_files=Target(st.deferred(lambda: changed(json.loads(dumped()), most=2)), read_config_file, 2000),
)
