"""Variables of a config that are read from the training annotations."""

import cProfile
import json

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

BASE = """
data_root = 'unset/'
train_ann_file = 'train.json'
shape = None
data_variables = dict(shape='mmengine.fileio.load')
metainfo = dict(shape=shape)
"""
LEAF = """
_base_ = './base.py'
part = dict(shape=_base_.shape)
"""
READ = dict(categories=[], names=['a', 'b'], sizes=[0.5, 1])


@pytest.fixture
def write(tmp_path):
    def write_leaf(text='', base=BASE):
        (tmp_path / 'base.py').write_text(base)
        (tmp_path / 'leaf.py').write_text(LEAF + text)
        return tmp_path / 'leaf.py'

    (tmp_path / 'train.json').write_text(json.dumps(READ))
    return write_leaf


def assert_everywhere(cfg, value):
    assert cfg.shape == cfg.metainfo.shape == cfg.part.shape == value


def test_the_value_comes_from_the_file_and_all_follows(write, tmp_path):
    assert_everywhere(load_config(write(), {'data_root': f'{tmp_path}/'}), READ)
    assert_everywhere(load_config(write(f'data_root = {str(tmp_path)!r}\n')), READ)


@pytest.mark.parametrize('given', [dict(names=['c']), [1, 2], 'name', 0])
def test_a_given_value_reaches_the_base_and_needs_no_file(write, given):
    cfg = load_config(write(f'shape = {given!r}\npart = dict(shape=shape)\n'))
    assert_everywhere(cfg, given)


@pytest.mark.parametrize(
    'text',
    [
        "dict(a=[1], b=dict(c='d'))",
        "{'a': [1], 'b': {'c': 'd'}}",
        "dict(_delete_=True, a=[n for n in (1,)], b=dict(c='d'))",
    ],
)
def test_every_form_of_dict_replaces_none(write, text):
    cfg = load_config(write(f'shape = {text}\npart = dict(shape=shape)\n'))
    assert cfg.shape == cfg.metainfo.shape == dict(a=[1], b=dict(c='d'))


def test_a_dict_replaces_nothing_else(write):
    base = 'steps = dict(a=1)\ncopied = steps\nuse = dict(copied=copied)\n'
    cfg = load_config(write('shape = 1\ncopied = dict(b=2)\n', base=BASE + base))
    assert cfg.copied == dict(a=1, b=2)
    assert cfg.use.copied == dict(a=1)


@pytest.mark.parametrize('recorded', [dict(names=['c']), [1, 2]])
def test_what_is_recorded_needs_no_file(write, recorded):
    assert_everywhere(load_config(write(), recorded=dict(shape=recorded, other=3)), recorded)


def test_what_is_given_goes_before_what_is_recorded(write):
    leaf = write()
    assert_everywhere(load_config(leaf, {'shape': 'option'}, dict(shape='recorded')), 'option')
    given = write("shape = 'leaf'\npart = dict(shape=shape)\n")
    assert_everywhere(load_config(given, recorded=dict(shape='recorded')), 'leaf')


def test_recorded_classes_replace_the_number_of_a_base(write):
    base = BASE + 'classes = None\nnum_classes = 80\nhead = dict(num_classes=num_classes, classes=classes)\n'
    cfg = load_config(write(base=base), recorded=dict(classes=['a', 'b'], shape='x'))
    assert cfg.head == dict(num_classes=2, classes=('a', 'b'))


@pytest.mark.parametrize('recorded', [{}, dict(shape=None), dict(shape={})])
def test_nothing_recorded_means_the_file(write, tmp_path, recorded):
    assert_everywhere(load_config(write(f'data_root = {str(tmp_path)!r}\n'), recorded=recorded), READ)


def test_without_annotations_it_stays_open(write):
    assert_everywhere(load_config(write(base=BASE.replace("'train.json'", 'None'))), None)


@pytest.mark.parametrize(
    ('function', 'message'),
    [
        ('mmengine.fileio.no_such', 'data_variables.shape: there is no function mmengine.fileio.no_such'),
        ('no_such_module.read', 'data_variables.shape: there is no function no_such_module.read'),
        ('json', 'data_variables.shape: there is no function json'),
    ],
)
def test_a_wrong_function_is_named(write, function, message):
    with pytest.raises(UserError, match=message):
        load_config(write(base=BASE.replace('mmengine.fileio.load', function)))


def test_a_module_that_does_not_import_says_why(write):
    text = "custom_imports = dict(imports=['no_such_module'])\n"
    with pytest.raises(UserError, match=r"leaf\.py: ImportError: No module named 'no_such_module'"):
        load_config(write(text))


CLASSES = """
data_root = ''
train_ann_file = 'many.json'
classes = None
num_classes = None
first = classes and classes[:1]
more = dict(metainfo=dict(classes=classes), first=first, pair=classes and ('none',) + classes[-1:])
"""


@pytest.fixture
def many(tmp_path):
    """Loads a config that takes the given classes from a file."""

    def load(names):
        (tmp_path / 'base.py').write_text(CLASSES)
        (tmp_path / 'many.py').write_text(
            "_base_ = './base.py'\nmetainfo = dict(classes=_base_.classes, count=len(_base_.classes or ()))\n"
        )
        content = dict(categories=[dict(id=i, name=name) for i, name in enumerate(names)])
        (tmp_path / 'many.json').write_text(json.dumps(content))
        return load_config(tmp_path / 'many.py', {'data_root': str(tmp_path)})

    return load


def test_names_arrive_as_they_are(many):
    names = ("it's", 'a "b"', '{{ _base_.classes }}', '{{$HOME:x}}', 'Äß\u4e2d', 'two\nlines', '\0')
    cfg = many(names)
    assert cfg.classes == cfg.metainfo.classes == cfg.more.metainfo.classes == names
    assert (cfg.num_classes, cfg.metainfo.count) == (7, 7)
    assert cfg.more.first == names[:1]
    assert cfg.more.pair == ('none', '\0')


def test_many_classes_cost_little_each(many):
    """MMEngine visits every item of a list in every file, several times."""

    def calls(count):
        profile = cProfile.Profile()
        profile.enable()
        many([f'class {number}' for number in range(count)])
        profile.disable()
        return sum(entry.callcount for entry in profile.getstats())

    calls(10)
    assert (calls(3000) - calls(1000)) / 2000 < 150


def test_long_configs_are_not_laid_out(many, monkeypatch):
    names = tuple(f'class {number}' for number in range(5000))
    short, long = many(names[:3]), many(names)
    assert short.pretty_text.count('\n') > 10
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', None)
    variables = {}
    exec(long.pretty_text, variables)
    assert variables['classes'] == names
