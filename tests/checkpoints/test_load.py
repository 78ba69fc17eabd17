"""Checkpoints are read without running what they contain."""

import io
import os
import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dist import barrier
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, save_checkpoint
from mmengine.runner.checkpoint import load_from_http, load_from_local

from mmyolox.checkpoints.load import latest_checkpoint, load_checkpoint, use_safe_loading
from mmyolox.deploy.archives import archive_fault
from mmyolox.errors import UserError

from .web import serving


def _mmengine_content() -> dict:
    """One of everything that MMEngine, mmdet and mmpose put into their files."""
    loss = HistoryBuffer([1.0, 2.0], [1, 1])
    loss.update(0.5)
    return dict(
        meta=dict(
            epoch=3,
            seed=7,
            dataset_meta=dict(classes=('a', 'b'), palette=[(1, 2, 3)], info=ConfigDict(keypoints=dict(a=1))),
            sigmas=np.array([0.1, 0.2], np.float32),
        ),
        state_dict=OrderedDict(w=torch.ones(2, 3), n=torch.tensor(4)),
        message_hub=dict(
            log_scalars=OrderedDict({'train/loss': loss}),
            runtime_info=OrderedDict(best_score=np.float64(0.5), flag=np.bool_(True), it=np.int64(3)),
        ),
        optimizer=dict(
            state={0: dict(momentum_buffer=torch.zeros(2))}, param_groups=[dict(lr=0.1, nesterov=True)]
        ),
        param_schedulers=[dict(last_step=3, _last_value=[0.1], begin=0, end=float('inf'))],
    )


def test_all_that_mmengine_saves_is_read(tmp_path):
    path = tmp_path / 'epoch_3.pth'
    save_checkpoint(_mmengine_content(), str(path))
    loaded = load_checkpoint(path)
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert np.array_equal(history.data[0], [1.0, 2.0, 0.5])
    assert history.statistics('max') == 2.0
    assert loaded['message_hub']['runtime_info'] == dict(best_score=0.5, flag=True, it=3)
    assert loaded['meta']['dataset_meta']['info'] == dict(keypoints=dict(a=1))
    assert np.array_equal(loaded['meta']['sigmas'], np.array([0.1, 0.2], np.float32))
    assert torch.equal(loaded['state_dict']['w'], torch.ones(2, 3))
    assert loaded['param_schedulers'][0]['end'] == float('inf')


@pytest.mark.parametrize('package', ['core', '_core'])
def test_files_of_numpy_1_and_2_are_read(tmp_path, package):
    content = dict(a=np.arange(3), s=np.float64(2), none=np.zeros((0, 3), np.uint8))
    pickled = pickle.dumps(content, protocol=2)
    for other in ('core', '_core'):
        pickled = pickled.replace(f'numpy.{other}.multi'.encode(), f'numpy.{package}.multi'.encode())
    path = tmp_path / 'numpy.pth'
    path.write_bytes(_legacy(pickled))
    loaded = load_checkpoint(path)
    assert loaded['s'] == 2
    assert np.array_equal(loaded['a'], np.arange(3))
    assert loaded['none'].shape == (0, 3)


class _OldConfigDict:
    """Pickles as MMEngine's ``ConfigDict`` did up to 0.7: an empty one, and the items."""

    def __reduce_ex__(self, protocol):
        return ConfigDict, (), None, None, iter({'a': 1, 'b': dict(c=2)}.items())


def test_config_dicts_of_old_files_are_read(tmp_path):
    torch.save(dict(meta=_OldConfigDict()), tmp_path / 'old.pth')
    assert load_checkpoint(tmp_path / 'old.pth')['meta'] == dict(a=1, b=dict(c=2))


def _legacy(pickled: bytes) -> bytes:
    """Put a pickle where PyTorch's format of before 2020 has the object: after magic, version and system."""
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    head = buffer.getvalue()
    at = head.index(pickle.dumps({}, protocol=2), head.index(b'type_sizes'))
    return head[:at] + pickled + head[at + len(pickle.dumps({}, protocol=2)) :]


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _nested(value: object) -> dict:
    return dict(meta=dict(x=value), state_dict={})


@pytest.mark.parametrize(
    ('value', 'named'),
    [
        (_Call(os.system, 'touch MARK'), 'system'),
        (_Call(eval, "open('MARK', 'w')"), 'eval'),
        (_Call(exec, "open('MARK', 'w')"), 'exec'),
        (_Call(open, 'MARK', 'w'), 'open'),
        (_Call(getattr, shutil, 'copy'), 'shutil'),
        (_Call(getattr, HistoryBuffer, '__init__'), 'getattr'),
        (_Call(getattr, HistoryBuffer, 'register_statistics'), 'getattr'),
        (_Call(getattr, np.ndarray, 'tofile'), 'getattr'),
        (_Call(np.dtype, 'O'), 'dtype'),
        (_Call(np.dtype, 'V8'), 'dtype'),
        (_Call(np.save, 'MARK.npy', 1), 'save'),
        (_Call(barrier), 'barrier'),
        (np.array([object()], dtype=object), 'dtype'),
    ],
)
def test_code_in_a_file_is_named_and_not_run(tmp_path, monkeypatch, value, named):
    monkeypatch.chdir(tmp_path)
    if isinstance(value, _Call) and value.call[0] is getattr and value.call[1][0] is shutil:
        value = _Call(getattr, _Call(__import__, 'shutil'), 'copy')
        named = '__import__'
    torch.save(_nested(value), 'bad.pth')
    with pytest.raises(UserError, match=f'bad.pth is refused.*{named}.*--allow-unsafe-checkpoint'):
        load_checkpoint('bad.pth')
    assert os.listdir() == ['bad.pth']


def test_foreign_objects_load_only_under_the_option(tmp_path):
    path = tmp_path / 'model.pth'
    torch.save(dict(model=torch.nn.Linear(2, 2)), path)
    with pytest.raises(UserError, match=r'refused.*torch\.nn.modules\.linear\.Linear'):
        load_checkpoint(path)
    assert isinstance(load_checkpoint(path, allow_unsafe=True)['model'], torch.nn.Linear)


def test_config_text_that_resuming_would_run_is_dropped(tmp_path):
    path = tmp_path / 'c.pth'
    torch.save(dict(meta=dict(config='import os', cfg='a = 1'), state_dict={}), path)
    assert load_checkpoint(path)['meta'] == dict(cfg='a = 1')
    assert load_checkpoint(path, allow_unsafe=True)['meta'].keys() == {'config', 'cfg'}


def _whole() -> bytes:
    buffer = io.BytesIO()
    torch.save(_mmengine_content(), buffer)
    return buffer.getvalue()


DAMAGED = {
    'empty': b'',
    'text': b'hello',
    'png': b'\x89PNG\r\n\x1a\n' + bytes(64),
    'zip': b'PK\x03\x04' + bytes(64),
    'truncated': _whole()[:-200],
    'stub': _whole()[:300],
    'protocol 4': pickle.dumps(_nested(1), protocol=4),
}


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED)
def test_damaged_and_foreign_files_are_named(tmp_path, content):
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'x\.pth') as info:
        load_checkpoint(path)
    assert '\n' not in str(info.value)


def test_absent_file_and_file_without_a_dict_are_named(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        load_checkpoint(tmp_path / 'absent.pth')
    with pytest.raises(UserError, match='is a folder; name the file in it'):
        load_checkpoint(tmp_path)
    torch.save(torch.ones(2), tmp_path / 'tensor.pth')
    with pytest.raises(UserError, match='holds a Tensor'):
        load_checkpoint(tmp_path / 'tensor.pth')


@pytest.mark.parametrize(
    'name', ['a.bin', 'a.xml', 'a.engine', 'a.torchscript', 'a.pt2', 'a.param', 'a.tflite']
)
def test_exported_files_are_told(tmp_path, name):
    for file in ('a.xml', name):
        (tmp_path / file).touch()
    with pytest.raises(UserError, match=f'checkpoint .*{name}: this is an exported file'):
        load_checkpoint(tmp_path / name)


@pytest.fixture
def restore_loaders():
    yield
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_http, force=True)


@pytest.mark.usefixtures('restore_loaders')
def test_mmengine_loads_through_us(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(_nested(_Call(os.mkdir, 'MARK')), 'bad.pth')
    use_safe_loading()
    with pytest.raises(UserError, match='refused'):
        CheckpointLoader.load_checkpoint('bad.pth', 'cpu')
    assert not (tmp_path / 'MARK').exists()
    use_safe_loading(allow_unsafe=True)
    CheckpointLoader.load_checkpoint('bad.pth', 'cpu')
    assert (tmp_path / 'MARK').exists()


@pytest.mark.usefixtures('restore_loaders')
def test_web_addresses_and_names_are_loaded_safely(tmp_path, monkeypatch):
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'cache'))
    bad, good = tmp_path / 'bad.pth', tmp_path / 'cache/weights/yolox_s.pth'
    torch.save(_nested(_Call(os.mkdir, str(tmp_path / 'MARK'))), bad)
    good.parent.mkdir(parents=True)
    torch.save(_mmengine_content(), good)
    use_safe_loading()
    with serving() as web:
        web.files['/m.pth'] = bad.read_bytes()
        with pytest.raises(UserError, match=r'checkpoint .*/cache/weights/\w+/m\.pth is refused'):
            CheckpointLoader.load_checkpoint(f'{web.address}/m.pth', 'cpu')
    assert CheckpointLoader.load_checkpoint('yolox_s', 'cpu')['meta']['epoch'] == 3
    assert not (tmp_path / 'MARK').exists()


def flip(path, at):
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_changed_bit_is_found_and_the_record_named(tmp_path):
    path = tmp_path / 'w.pth'
    content = dict(state_dict=dict(a=torch.full((64,), 3.0), b=torch.full((64,), 7.0)))
    torch.save(content, path)
    flip(path, path.read_bytes().index(content['state_dict']['b'].numpy().tobytes()) + 100)
    with pytest.raises(
        UserError, match=r'w\.pth is damaged .* \(its record w/data/1 is not what was written\); take'
    ):
        load_checkpoint(path)
    torch.save(content, path)
    assert load_checkpoint(path)['state_dict']['b'][0] == 7


def test_files_without_checksums_are_read(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(a=torch.ones(3)), tmp_path / 'w.pth')
    finally:
        torch.serialization.set_crc32_options(before)
    assert torch.equal(load_checkpoint(tmp_path / 'w.pth')['a'], torch.ones(3))


def test_latest_is_the_newest_good_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for epoch in (9, 10, 11):
        torch.save({}, tmp_path / f'epoch_{epoch}.pth')
        os.utime(tmp_path / f'epoch_{epoch}.pth', (epoch, epoch))
    (tmp_path / 'epoch_11.pth').write_bytes(b'PK\x03\x04 killed here')
    notes = ['', '/gone/epoch_11.pth', str(tmp_path / 'epoch_11.pth'), str(tmp_path / 'epoch_9.pth')]
    for note in [*notes, 'x' * 9999, 'a\0b']:
        (tmp_path / 'last_checkpoint').write_text(note)
        assert latest_checkpoint(tmp_path) == tmp_path / 'epoch_10.pth'


@pytest.mark.parametrize(
    ('times', 'note', 'latest'),
    [
        ({9: 200, 10: 100}, 'epoch_10.pth', 10),  # the clock was set back
        ({9: 200, 10: 100}, None, 9),
        ({2: 300, 3: 100}, 'epoch_2.pth', 2),  # gone on with from the first epoch
        ({9: 100, 10: 100}, None, 10),  # the times were lost
        ({9: 100, 10: 200}, 'epoch_9.pth', 10),  # killed before the note
    ],
)
def test_latest_by_time_and_by_what_was_noted(tmp_path, times, note, latest):
    elsewhere, folder = tmp_path / 'copied from', tmp_path / 'copy'
    for place in (elsewhere, folder):
        place.mkdir()
        for epoch, seconds in times.items():
            torch.save({}, place / f'epoch_{epoch}.pth')
            os.utime(place / f'epoch_{epoch}.pth', (seconds, seconds))
    if note:
        (folder / 'last_checkpoint').write_text(str(elsewhere / note))
    assert latest_checkpoint(folder) == folder / f'epoch_{latest}.pth'


def test_a_damaged_latest_checkpoint_is_skipped_and_told(tmp_path, monkeypatch):
    told, read = [], []
    monkeypatch.setattr('mmyolox.checkpoints.load.print_log', lambda line, *_: told.append(line))
    monkeypatch.setattr(
        'mmyolox.checkpoints.load.archive_fault', lambda path: read.append(path.name) or archive_fault(path)
    )
    for epoch in (1, 2, 3):
        torch.save(dict(a=torch.full((64,), 3.0)), tmp_path / f'epoch_{epoch}.pth')
        os.utime(tmp_path / f'epoch_{epoch}.pth', (epoch, epoch))
    newest = tmp_path / 'epoch_3.pth'
    flip(newest, newest.read_bytes().index(torch.full((64,), 3.0).numpy().tobytes()))
    os.utime(newest, (3, 3))
    (tmp_path / 'last_checkpoint').write_bytes(b'\xff' + str(newest).encode())
    assert latest_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'
    assert told == [
        f'checkpoint {newest} is damaged and skipped: its record epoch_3/data/0 is not what was written'
    ]
    assert read == ['epoch_3.pth', 'epoch_2.pth']


def test_a_folder_whose_checkpoints_are_all_damaged_is_refused(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'')
    (tmp_path / 'epoch_2.pth').write_bytes(b'PK\x03\x04 killed here')
    os.utime(tmp_path / 'epoch_1.pth', (1, 1))
    reason = 'it is cut off, or no zip archive'
    message = (
        rf'work dir {tmp_path}: all 2 checkpoint\(s\) are damaged \(epoch_2.pth: {reason}, epoch_1.pth: '
        rf'{reason}\); put a good copy in their place, or train in another folder by --work-dir'
    )
    with pytest.raises(UserError, match=message):
        latest_checkpoint(tmp_path)
