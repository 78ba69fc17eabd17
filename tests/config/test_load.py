"""Loading configs: variables that propagate, bases, names, classes from the annotation file."""

import json
import textwrap
from pathlib import Path

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

BASE = """
max_epochs = 300  # ü: offsets are bytes
num_last_epochs = 15; lr = 0.01
data_root = 'data/coco/'
ann_file = data_root + 'train.json'
sizes = [s * 32 for s in range(2)]
for scale in (1, 2):
    biggest = scale
twice = 1
twice *= 10
word: str = 'x'
left, right = 1, 2; both = left + right
scheduler = dict(T_max=max_epochs - num_last_epochs, milestones=[max_epochs], lr=lr)
derived = dict(scale=biggest * 2, twice=twice + 1, right=right + 1, left=left, word=word)
same_line = dict(both=both)
val_dataloader = dict(num_workers=2)
test_dataloader = dict(num_workers=val_dataloader['num_workers'])
"""


@pytest.fixture
def write(tmp_path):
    """Write a config and return its path."""

    def write_file(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding='utf-8')
        return path

    write_file('base.py', BASE)
    return write_file


def test_option_reaches_all_that_is_computed_from_it(write):
    cfg = load_config(write('c.py', "_base_ = './base.py'\n"), {'max_epochs': 50, 'data_root': '/d/'})
    assert cfg.max_epochs == 50
    assert cfg.scheduler == dict(T_max=35, milestones=[50], lr=0.01)
    assert cfg.ann_file == '/d/train.json'


@pytest.mark.parametrize(
    ('options', 'derived'),
    [
        ({'biggest': 7}, dict(scale=14, twice=11, right=3, left=1, word='x')),
        ({'twice': 5}, dict(scale=4, twice=6, right=3, left=1, word='x')),
        ({'right': 8}, dict(scale=4, twice=11, right=9, left=1, word='x')),
        ({'word': 'a "quoted\\" \n ü'}, dict(scale=4, twice=11, right=3, left=1, word='a "quoted\\" \n ü')),
    ],
)
def test_every_form_of_assignment_is_overridden(write, options, derived):
    assert load_config(write('base.py', BASE), options).derived == derived


def test_later_statements_of_the_same_line_follow(write):
    assert load_config(write('base.py', BASE), {'left': 5}).same_line.both == 7


@pytest.mark.parametrize(
    'reference', ['_base_.max_epochs', '{{_base_.max_epochs}}', '{{ _base_.max_epochs }}']
)
def test_references_to_base_variables_follow(write, reference):
    path = write('c.py', f"_base_ = ['./base.py']\nhook = dict(at={reference})\n")
    assert load_config(path, {'max_epochs': 50}).hook.at == 50


def test_constants_of_a_child_reach_its_bases(write):
    write('mid.py', "_base_ = './base.py'\nnum_last_epochs = 20\nmax_epochs = _base_.max_epochs + 1\n")
    cfg = load_config(write('leaf/c.py', "_base_ = '../mid.py'\nmax_epochs = 5 * 10\nlr = -0.5\n"))
    assert cfg.scheduler == dict(T_max=30, milestones=[50], lr=-0.5)
    assert cfg.max_epochs == 50


def test_computed_values_of_a_child_stay_in_the_child(write):
    cfg = load_config(write('c.py', "_base_ = './base.py'\nmax_epochs = _base_.max_epochs * 2\n"))
    assert cfg.max_epochs == 600
    assert cfg.scheduler.T_max == 285


def test_option_wins_over_the_child(write):
    path = write('c.py', "_base_ = './base.py'\nmax_epochs = 50\n")
    assert load_config(path, {'max_epochs': 20}).scheduler.T_max == 5


def test_dicts_are_merged_not_propagated(write):
    path = write('c.py', "_base_ = './base.py'\nscheduler = dict(lr=1)\nval_dataloader = None\n")
    cfg = load_config(path, {'scheduler.T_max': 3, 'scheduler.milestones': [4]})
    assert cfg.scheduler == dict(T_max=3, milestones=[4], lr=1)
    assert cfg.val_dataloader is None
    assert cfg.test_dataloader == dict(num_workers=2)


def test_lists_are_changed_by_index(write):
    path = write('c.py', "custom_hooks = [dict(type='EMAHook', momentum=1), dict(type='SyncBuffersHook')]\n")
    cfg = load_config(path, {'custom_hooks.0.momentum': 2e-4})
    assert [hook.get('momentum') for hook in cfg.custom_hooks] == [2e-4, None]


def test_file_name_and_text_are_those_of_the_original(write, tmp_path):
    text = "work = '{{ fileDirname }}/{{fileBasenameNoExtension}}'\nn = 1\nm = n\n"
    path = write('named.py', text)
    cfg = load_config(path, {'n': 2})
    assert cfg.work == f'{tmp_path}/named'
    assert cfg.filename == str(path)
    assert cfg.text == text
    cfg.dump(str(tmp_path / 'dumped.py'))
    assert load_config(tmp_path / 'dumped.py').m == 2


@pytest.mark.parametrize(
    'name', ['a b', r'back\1slash', "quo'te", 'dou"ble', 'new\nline', 'ü', '{x}', 'no\udcff']
)
def test_the_folder_of_a_config_may_have_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / 'base.py').write_text('n = 1\nm = n\n')
    (folder / 'c.py').write_text("_base_ = 'base.py'\nwork = '{{ fileDirname }}/work'\nn = 2\n")
    cfg = load_config(folder / 'c.py')
    assert (cfg.work, cfg.m) == (f'{folder}/work', 2)


@pytest.mark.parametrize('value', ['{{ fileDirname }}/data', '{{{fileBasename}}}'])
def test_braces_in_an_option_stay(write, value):
    path = write('c.py', "root = 'data'\nfile = root + '/a'\n")
    assert load_config(path, {'root': value}).file == f'{value}/a'


@pytest.mark.parametrize(('default', 'marked'), [('mmdet', None), ('mmyolox', 'mmdet')])
def test_base_of_another_package_keeps_its_scope_and_propagates(write, default, marked):
    pytest.importorskip('mmdet')
    base = "_base_ = 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'\nmax_epochs = 40\n"
    cfg = load_config(write('c.py', f"{base}default_scope = '{default}'\n"))
    assert cfg.train_cfg.max_epochs == 40
    assert cfg.param_scheduler[1].T_max == 25
    assert cfg.model.get('_scope_') == marked


def test_environment_variables_are_filled_in(write, monkeypatch):
    monkeypatch.setenv('SOME_ROOT', '/env')
    assert load_config(write('c.py', "root = '{{$SOME_ROOT:/x}}/a'\n")).root == '/env/a'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = (1,\n', 'c.py, line 1'),
        ("_base_ = './absent.py'\n", r'absent.py does not exist \(a base of .*c.py\)'),
        ("_base_ = './c.py'\n", 'inherits from itself'),
        ('a = 1\nb = undefined_name\n', r"c.py, line 2\): NameError: name 'undefined_name'"),
        ("_base_ = 'nopackage::a/b.py'\n", "base 'nopackage::a/b.py' cannot be found"),
        ("_base_ = 'mmyolox::yolox/no_such.py'\n", 'no_such.py does not exist'),
        ("_base_ = './base.py'\nscheduler = dict(lr=1)\nlr = dict(a=1)\n", 'TypeError'),
    ],
)
def test_faulty_files_are_named(write, text, message):
    with pytest.raises(UserError, match=message):
        load_config(write('c.py', text))


def test_absent_config_and_wrong_suffix_are_refused(write, tmp_path):
    with pytest.raises(UserError, match=r'absent\.py does not exist'):
        load_config(tmp_path / 'absent.py')
    with pytest.raises(UserError, match='must end in'):
        load_config(write('c.txt', ''))


@pytest.mark.parametrize('key', ['scheduler.milestones.5', 'lr.a', 'scheduler.milestones.x'])
def test_option_that_does_not_fit_is_named(write, key):
    with pytest.raises(UserError, match=key):
        load_config(write('base.py', BASE), {key: 1})


CUSTOM = """
data_root = 'unset/'
train_ann_file = 'train.json'
classes = None
num_classes = None
metainfo = dict(classes=classes)
head = dict(num_classes=num_classes)
"""


@pytest.fixture
def custom(write, tmp_path):
    categories = [dict(id=7, name='cat'), dict(id=3, name='dog'), dict(id=9, name='traffic light')]
    (tmp_path / 'train.json').write_text(json.dumps(dict(categories=categories)))
    write('custom.py', CUSTOM)
    return write('leaf.py', f"_base_ = './custom.py'\ndata_root = '{tmp_path}/'\n")


def test_classes_come_from_the_annotation_file(custom, tmp_path):
    names = ('cat', 'dog', 'traffic light')
    for cfg in (load_config(custom), load_config(tmp_path / 'custom.py', {'data_root': str(tmp_path)})):
        assert cfg.metainfo.classes == names
        assert cfg.head.num_classes == cfg.num_classes == 3


@pytest.mark.parametrize(
    ('classes', 'names'),
    [(['a', 'b'], ('a', 'b')), ('cat', ('cat',)), ([1, 2], ('1', '2')), (('a',), ('a',))],
)
def test_given_classes_set_their_number(write, classes, names):
    cfg = load_config(write('custom.py', CUSTOM), {'classes': classes})
    assert cfg.classes == cfg.metainfo.classes == names
    assert cfg.head.num_classes == len(names)


def test_classes_of_a_child_replace_the_number_of_its_base(write):
    write('coco.py', CUSTOM.replace('num_classes = None', 'num_classes = 80'))
    cfg = load_config(write('leaf.py', "_base_ = './coco.py'\nclasses = ('a', 'b')\n"))
    assert cfg.head.num_classes == 2


@pytest.mark.parametrize(
    ('leaf', 'options'),
    [
        ("classes = ('a', 'b')\nnum_classes = 3\n", {}),
        ("classes = ('a', 'b')\n", {'num_classes': 3}),
        ('num_classes = 4\n', {'classes': ['a', 'b', 'c'], 'num_classes': 4}),
    ],
)
def test_disagreeing_classes_and_number_are_refused(write, leaf, options):
    write('custom.py', CUSTOM)
    with pytest.raises(UserError, match=r'num_classes=\d, but classes has \d classes \(a, b'):
        load_config(write('leaf.py', "_base_ = './custom.py'\n" + leaf), options)


def test_number_that_disagrees_with_the_file_is_refused(custom):
    with pytest.raises(UserError, match=r'num_classes=5, but .*train.json has 3 classes \(cat, dog'):
        load_config(custom, {'num_classes': 5})


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'not found; set data_root and train_ann_file'),
        ('{', 'not valid JSON'),
        ('[]', 'not a COCO detection file'),
        ('{"categories": [{"id": 1}]}', "no valid 'name'"),
        ('{"categories": []}', 'categories. is empty'),
        ('{"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}', 'same name: a'),
    ],
)
def test_unusable_annotation_files_are_named(write, tmp_path, content, message):
    if content is not None:
        (tmp_path / 'train.json').write_text(content)
    with pytest.raises(UserError, match=f'train.json.*{message}'):
        load_config(write('custom.py', CUSTOM), {'data_root': str(tmp_path)})


CONFIGS = Path(__file__).parents[2] / 'configs'
NANO = 'yolox_nano_fast_8xb8-300e_coco'


def test_our_configs_follow_a_child_outside_of_the_repository(write):
    text = f"""
    _base_ = 'mmyolox::yolox/{NANO}.py'
    max_epochs = 50
    num_last_epochs = 5
    data_root = '/d/'
    """
    cfg = load_config(write('c.py', text), {'max_epochs': 40, 'default_hooks.ema.momentum': 1e-3})
    assert cfg.train_cfg.max_epochs == 40
    assert cfg.train_cfg.dynamic_intervals == [(35, 1)]
    assert cfg.default_hooks.mode_switch.num_last_epochs == 5
    assert cfg.default_hooks.ema.momentum == 1e-3
    assert cfg.test_dataloader.dataset.data_root == '/d/'
    assert cfg.train_dataloader.collate_fn == dict(type='yolox_collate')


def test_our_fine_tuning_configs_take_the_classes_of_the_data(custom, tmp_path):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'train.json').rename(tmp_path / 'annotations/train.json')
    cfg = load_config('yolox_nano_fast_1xb8-50e_custom', {'data_root': str(tmp_path)})
    assert cfg.model.bbox_head.head_module.num_classes == 3
    assert cfg.val_dataloader.dataset.metainfo.classes == ('cat', 'dog', 'traffic light')
