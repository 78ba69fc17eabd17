"""Finding the weights in files of all kinds."""

import pickle
import tracemalloc
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch

from mmyolox.checkpoints.classes import recorded_data
from mmyolox.checkpoints.load import read_weights
from mmyolox.errors import UserError

WEIGHTS = {'a': torch.zeros(2)}
RAW = {'a': torch.ones(2)}


@pytest.mark.parametrize(
    ('content', 'others'),
    [
        (WEIGHTS, ()),
        (dict(WEIGHTS, version=3), ('version',)),
        (dict(model=WEIGHTS), ()),
        (dict(state_dict=WEIGHTS, meta=dict(epoch=3)), ('meta',)),
        (
            dict(start_epoch=3, model=WEIGHTS, optimizer=dict(state={}), best_ap=np.float64(0.4)),
            ('start_epoch', 'optimizer', 'best_ap'),
        ),
        (
            dict(net=RAW, acc=0.4, ema_net=WEIGHTS),
            ('net (the raw weights; their moving average ema_net is taken)', 'acc'),
        ),
        (dict(net=WEIGHTS, acc=0.4), ('acc',)),
        (dict(state_dict=WEIGHTS, net=RAW), ('net',)),
        (
            dict(ema_model=WEIGHTS, model=RAW),
            ('model (the raw weights; their moving average ema_model is taken)',),
        ),
        # MMEngine swaps both when it saves.
        (
            dict(meta={}, state_dict=WEIGHTS, optimizer={}, ema_state_dict=RAW),
            (
                'meta',
                'optimizer',
                'ema_state_dict (the raw weights; state_dict holds their moving average)',
            ),
        ),
    ],
)
def test_weights_are_found_in_all_kinds_of_files(tmp_path, content, others):
    torch.save(content, tmp_path / 'w.pth')
    state_dict, found = read_weights(tmp_path / 'w.pth')
    assert list(state_dict) == ['a']
    assert torch.equal(state_dict['a'], WEIGHTS['a'])
    assert found == others


@pytest.mark.parametrize(
    'content',
    [
        dict(ema_state_dict={'module.a': WEIGHTS['a'], 'steps': torch.tensor(7)}),
        dict(ema_state_dict={'module.a': WEIGHTS['a'], 'steps': torch.tensor(7)}, meta={}),
        {'module.a': WEIGHTS['a'], 'steps': torch.tensor(7)},
        dict(model=RAW, ema_state_dict=WEIGHTS),
        dict(model=RAW, model_ema={'module.a': WEIGHTS['a'], 'n_averaged': torch.tensor(7)}),
        dict(state_dict=RAW, state_dict_ema=WEIGHTS),
        dict(model=RAW, ema=dict(module=WEIGHTS, updates=7)),
    ],
)
def test_the_average_is_found_wherever_it_is(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    state_dict, _ = read_weights(tmp_path / 'w.pth')
    assert list(state_dict) == ['a']
    assert torch.equal(state_dict['a'], WEIGHTS['a'])


@pytest.mark.parametrize(
    ('name', 'plain'),
    [
        ('module.a.b', 'a.b'),
        ('_orig_mod.module.a.b', 'a.b'),
        ('module._orig_mod.module.a.b', 'a.b'),
        ('a._orig_mod.b', 'a.b'),
        ('a.module.b', 'a.b'),
        ('_fsdp_wrapped_module.a._checkpoint_wrapped_module.b', 'a.b'),
        ('a.modules.b', 'a.modules.b'),
    ],
)
def test_names_of_wrappers_are_dropped(tmp_path, name, plain):
    torch.save(dict(state_dict={name: WEIGHTS['a']}), tmp_path / 'w.pth')
    assert list(read_weights(tmp_path / 'w.pth')[0]) == [plain]


@pytest.mark.parametrize('owner', ['model.', 'ema_model.', 'module.model.', 'model._orig_mod.'])
def test_the_name_of_the_owner_before_all_names_is_dropped(tmp_path, owner):
    names = ('backbone.stem.weight', 'head.model.weight')
    counters = dict(initted=torch.tensor(True), step=torch.tensor(7)) if owner == 'ema_model.' else {}
    tensors = {f'{owner}{name}': WEIGHTS['a'] for name in names}
    torch.save(dict(state_dict=tensors | counters), tmp_path / 'w.pth')
    assert tuple(read_weights(tmp_path / 'w.pth')[0]) == names


@pytest.mark.parametrize(
    'names', [('model.backbone.a', 'loss.b'), ('model.a', 'model.b'), ('model.model.a',)]
)
def test_other_names_stay(tmp_path, names):
    torch.save(dict(state_dict=dict.fromkeys(names, WEIGHTS['a'])), tmp_path / 'w.pth')
    assert tuple(read_weights(tmp_path / 'w.pth')[0]) == names


def test_a_name_that_would_be_there_twice_stays(tmp_path):
    names = ['module.a', 'a', '_orig_mod.b', 'module.b']
    torch.save(dict.fromkeys(names, WEIGHTS['a']), tmp_path / 'w.pth')
    assert list(read_weights(tmp_path / 'w.pth')[0]) == ['module.a', 'a', 'b', 'module.b']


def test_old_pytorch_files_are_read(tmp_path):
    torch.save(dict(model=WEIGHTS), tmp_path / 'w.pth', _use_new_zipfile_serialization=False)
    assert torch.equal(read_weights(tmp_path / 'w.pth')[0]['a'], WEIGHTS['a'])


@pytest.mark.parametrize('content', [{}, dict(model='text'), dict(model={}), {1: torch.zeros(2)}])
def test_a_file_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r'w\.pth holds no weights'):
        read_weights(tmp_path / 'w.pth')


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('save', [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_code_in_a_file_is_not_run(tmp_path, save):
    trap, path = tmp_path / 'sprung', tmp_path / 'w.pth'
    save(dict(model=WEIGHTS, more=Trap(trap)), path)
    with pytest.raises(UserError, match=r'w\.pth is (refused|damaged)'):
        read_weights(path)
    assert not trap.exists()


def test_a_file_of_trusted_origin_may_hold_anything(tmp_path):
    trap, path = tmp_path / 'sprung', tmp_path / 'w.pth'
    torch.save(dict(model=WEIGHTS, more=Trap(trap)), path)
    state_dict, others = read_weights(path, allow_unsafe=True)
    assert (list(state_dict), others) == (['a'], ('more',))
    assert trap.exists()


@pytest.mark.parametrize(
    'content',
    [b'', b'<html>', b'\n<html>404</html>', b'\x08\x07 no model', b'\x0a\xff\xff\xff', b'PK\x03\x04'],
)
def test_other_files_are_one_clear_line(tmp_path, content):
    path = tmp_path / 'w.pth'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'w\.pth') as caught:
        read_weights(path)
    assert '\n' not in str(caught.value)


@pytest.mark.filterwarnings('ignore:torch.quantize_per_tensor')
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda tensor: tensor * float('nan'), 'holds numbers that are not finite'),
        (lambda tensor: tensor.half() * float('inf'), 'holds numbers that are not finite'),
        (lambda tensor: tensor.to('meta'), 'has no values'),
        (lambda tensor: tensor.to_sparse(), 'torch.sparse_coo: needed are dense'),
        (lambda tensor: tensor.to(torch.complex64), 'is torch.complex64'),
        (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), 'is torch.qint8'),
        (lambda tensor: tensor[:1].expand(10**12), 'repeats fewer numbers'),
    ],
)
def test_tensors_that_no_layer_can_have_are_named(tmp_path, change, message):
    torch.save(dict(state_dict=dict(WEIGHTS, b=change(torch.ones(2)))), tmp_path / 'w.pth')
    with pytest.raises(UserError, match=rf'w\.pth: its tensor b .*{message}'):
        read_weights(tmp_path / 'w.pth')


@pytest.mark.parametrize('name', ['a.bn.running_var', 'a.bn.moving_variance'])
def test_variances_below_0_are_named(tmp_path, name):
    torch.save({name: torch.tensor([1.0, -0.1])}, tmp_path / 'w.pth')
    with pytest.raises(UserError, match=rf'w\.pth: its tensor {name} holds variances below 0'):
        read_weights(tmp_path / 'w.pth')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floats_of_all_sizes_are_weights(tmp_path, dtype):
    torch.save(
        dict(WEIGHTS, b=torch.zeros(0), n=torch.tensor(3), c=torch.ones(2, dtype=dtype)), tmp_path / 'w.pth'
    )
    assert read_weights(tmp_path / 'w.pth')[0]['c'].dtype == dtype


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'w.pth')
    with ZipFile(tmp_path / 'w.pth') as good, ZipFile(tmp_path / 'b.pth', 'w', ZIP_DEFLATED) as bomb:
        for name in good.namelist():
            content = good.read(name) if not name.endswith('data/0') else bytes(300 << 20)
            bomb.writestr(name.replace('w/', 'b/', 1), content)
    tracemalloc.start()
    with pytest.raises(UserError, match=r'b\.pth is damaged .* \(its [\d,]+ bytes would unpack to 314,'):
        read_weights(tmp_path / 'b.pth')
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_an_archive_that_was_compressed_is_read(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'w.pth')
    with ZipFile(tmp_path / 'w.pth') as good, ZipFile(tmp_path / 'c.pth', 'w', ZIP_DEFLATED) as small:
        for name in good.namelist():
            small.writestr(name.replace('w/', 'c/', 1), good.read(name))
    assert torch.equal(read_weights(tmp_path / 'c.pth')[0]['a'], WEIGHTS['a'])


def holds_itself():
    meta: dict[str, object] = {}
    meta['dataset_meta'] = meta
    return meta


def doubled(value, times=60):
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize('content', [b'', b'\x1f\x8b\x08\x00', b'PK\x03\x04'])
def test_a_damaged_file_of_the_cache_may_be_deleted(tmp_path, monkeypatch, content):
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'home'))
    for folder, hint in (
        ('home/weights', 'delete it, and it is downloaded again'),
        ('mine', 'take another copy'),
    ):
        path = tmp_path / folder / 'w.pth'
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf'w\.pth is damaged or no checkpoint .*{hint}$'):
            read_weights(path)


@pytest.mark.parametrize('meta', [holds_itself(), dict(CLASSES=doubled('a')), dict(mmyolox=doubled(()))])
def test_meta_without_an_end_is_refused(tmp_path, meta):
    torch.save(dict(state_dict=WEIGHTS, meta=meta), tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r'w\.pth is damaged or no checkpoint \(its meta has no end\)'):
        read_weights(tmp_path / 'w.pth')


@pytest.mark.parametrize(
    'meta',
    [dict(dataset_meta=dict(classes='cat')), dict(dataset_meta=dict(classes=5)), dict(CLASSES=[['a']])],
)
def test_classes_that_are_no_names_are_told(meta):
    with pytest.raises(
        UserError, match=r'checkpoint w\.pth: the classes in its meta \(dataset_meta\) are no list'
    ):
        recorded_data(dict(meta=meta), {}, 'w.pth')


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ({}, {}),
        (dict(meta='text'), {}),
        (dict(meta=dict(dataset_meta=dict(classes=('a',), palette=[]))), dict(classes=('a',), palette=[])),
        (dict(meta=dict(dataset_meta=None)), {}),
        (dict(meta=dict(dataset_meta=['a'], CLASSES=5)), {}),
        (dict(meta=dict(CLASSES=['a', 'b'])), dict(classes=('a', 'b'))),  # MMDetection 2
        (dict(meta=dict(CLASSES=None)), {}),
        (
            dict(meta=dict(dataset_meta=dict(CLASSES=('a',)))),
            dict(classes=('a',)),
        ),  # MMDetection 3.0's candidates
    ],
)
def test_what_is_known_of_the_data(content, expected):
    assert recorded_data(content, {}, 'w.pth') == expected


CLASS_ROWS = {f'bbox_head.head_module.multi_level_conv_cls.0.{part}': torch.zeros(3) for part in ('w', 'b')}
ABC = ['a', 'b', 'c']


@pytest.mark.parametrize(
    ('data', 'kept', 'message'),
    [
        (
            dict(classes=ABC, cat_ids=[1, 2, 3], other=[1]),
            dict(classes=ABC, cat_ids=[1, 2, 3], other=[1]),
            '',
        ),
        (dict(classes=ABC, palette=[0] * 80), dict(classes=ABC, palette=[0] * 80), ''),  # MMDetection's
        (
            dict(classes=ABC[:2], cat_ids=[1, 2], other=[1]),
            dict(other=[1]),
            'names 2 classes (a, b), but its class layers are for 3; what it says of classes is not used',
        ),
        (dict(classes=[*ABC, 'd']), {}, 'names 4 classes (a, b, c, d), but its class layers are for 3'),
        (dict(classes=['a', 'b', 'a']), {}, 'names a class more than once (a)'),
        (dict(classes=ABC, cat_ids=[1, 2]), dict(classes=ABC), 'has 2 cat_ids for 3 classes (a, b, c)'),
        (dict(classes=ABC, cat_ids=[1, 2, 3, 4]), dict(classes=ABC), 'has 4 cat_ids for 3 classes'),
        (dict(classes=ABC, palette=[0, 0]), dict(classes=ABC), 'has 2 palette for 3 classes'),
    ],
)
def test_what_is_recorded_of_classes_fits_the_weights_or_is_told(monkeypatch, data, kept, message):
    told = []
    monkeypatch.setattr('mmyolox.checkpoints.classes.print_log', lambda line, *_: told.append(line))
    assert recorded_data(dict(meta=dict(dataset_meta=data)), CLASS_ROWS, 'w.pth') == kept
    assert len(told) == bool(message)
    assert message in ''.join(told)


def test_an_absent_file(tmp_path):
    with pytest.raises(UserError, match=r'w\.pth does not exist'):
        read_weights(tmp_path / 'w.pth')


@pytest.mark.parametrize('name', ['yolox_s.py', 'yolov8n.yaml'])
def test_a_config_in_the_place_of_a_checkpoint_is_told_as_such(tmp_path, name):
    (tmp_path / name).write_text('max_epochs: 3')
    with pytest.raises(UserError, match=f'{name}: this is a config; it stands before the checkpoint$'):
        read_weights(tmp_path / name)
