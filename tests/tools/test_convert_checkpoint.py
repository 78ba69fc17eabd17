"""tools/model_converters/convert_checkpoint.py, mostly on files as Megvii's trainer writes them."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import load_checkpoint, weights_in
from mmyolox.checkpoints.recognise import Architecture
from mmyolox.checkpoints.record import IMAGENET, UNIT, InputRecord, read_record
from mmyolox.checkpoints.sources.base import known_sources
from mmyolox.config.recorded import Normalisation
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

converter = load_tool('model_converters/convert_checkpoint.py')

LAYOUTS = json.loads((Path(__file__).parents[1] / 'data' / 'megvii_yolox_keys.json').read_text())
EXTRA = 'head.extra.weight'


def nano_weights():
    """Random values under Megvii's names; batch counters are integers."""
    torch.manual_seed(0)
    column = LAYOUTS['models'].index('nano')
    shapes = {key: row[column] for key, row in LAYOUTS['shapes'].items() if row[column] is not None}
    return {key: torch.rand(shape) if shape else torch.tensor(7) for key, shape in shapes.items()}


@pytest.fixture
def src(tmp_path):
    path = tmp_path / 'yolox_nano.pth'
    torch.save(dict(start_epoch=300, model=nano_weights(), optimizer=dict(state={})), path)
    return path


def test_published_weights_are_converted_by_name(run, src, tmp_path, monkeypatch):
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'cache'))
    target = tmp_path / 'cache/weights/yolox_nano.pth'
    target.parent.mkdir(parents=True)
    src.rename(target)
    out = run(converter, 'yolox_nano', tmp_path / 'nano.pth')
    assert out.startswith(f'{target}: Megvii YOLOX')
    assert out.endswith(f'written: {tmp_path}/nano.pth\n')


def resave(path, change):
    """Rewrites a checkpoint with its weights changed."""
    content = torch.load(path, weights_only=True)
    change(content['model'])
    torch.save(content, path)


def test_a_whole_file_is_converted(run, src, tmp_path):
    dst = tmp_path / 'new' / 'nano.pth'
    out = run(converter, src, dst)
    content = torch.load(dst, weights_only=True)
    network = Architecture(**content['meta']['architecture']).build()
    network.load_state_dict(content['state_dict'], strict=True)
    theirs = nano_weights()
    assert torch.equal(
        network.backbone.stem.conv.conv.weight, theirs['backbone.backbone.stem.conv.conv.weight']
    )
    assert content['meta']['source'] == 'yolox_nano.pth'
    assert len(content['state_dict']) == len(theirs) == 642
    assert not [path for path in dst.parent.iterdir() if path != dst]
    words = ' '.join(out.split())
    assert 'YOLOX-nano, deepen_factor 0.33, widen_factor 0.25, use_depthwise True, 80 classes' in words
    assert 'tensors in the file 642 used 642 (backbone 282, neck 198, bbox_head 162)' in words
    assert 'classes not named in the file; tools assume names, and say so' in words
    assert 'unused 0 missing 0 other entries, not converted: start_epoch, optimizer' in words
    assert 'yolox_nano.pth: Megvii YOLOX' in words


def test_list_names_every_tensor(run, src, tmp_path):
    out = run(converter, src, tmp_path / 'nano.pth', '--list')
    pairs = dict(line.split(' -> ') for line in out.splitlines() if ' -> ' in line)
    assert [old.strip() for old in pairs] == list(nano_weights())
    assert set(pairs.values()) == set(torch.load(tmp_path / 'nano.pth', weights_only=True)['state_dict'])


@pytest.mark.parametrize(
    ('change', 'shown', 'error'),
    [
        (lambda weights: weights.update({EXTRA: torch.zeros(1)}), EXTRA, '1 tensors unused and 0 missing'),
        (
            lambda weights: weights.pop('backbone.lateral_conv0.bn.bias'),
            'neck.reduce_layers.2.bn.bias',
            '0 tensors unused and 1 missing',
        ),
    ],
)
def test_a_partial_file_needs_permission(run, src, tmp_path, capsys, change, shown, error):
    resave(src, change)
    dst = tmp_path / 'nano.pth'
    with pytest.raises(UserError, match=f'yolox_nano.pth: {error}, nothing written'):
        run(converter, src, dst)
    assert shown in capsys.readouterr().out
    assert not dst.exists()
    assert shown in run(converter, src, dst, '--allow-partial')
    assert dst.exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:100_000])


def fill_with_text(path):
    path.write_text('<html>404: not found</html>')


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def store_code(path):
    path.write_bytes(pickle.dumps(dict(model=Trap(path.with_name('sprung')))))


def store_code_as_pytorch_does(path):
    torch.save(dict(model=nano_weights(), more=Trap(path.with_name('sprung'))), path)


def store_list(path):
    torch.save([1, 2], path)


def store_other_network(path):
    torch.save(dict(model={'conv1.weight': torch.zeros(64, 3, 7, 7)}), path)


@pytest.mark.parametrize(
    'spoil',
    [
        cut,
        fill_with_text,
        store_code,
        store_code_as_pytorch_does,
        store_list,
        store_other_network,
        Path.unlink,
        Path.write_bytes,
    ],
)
def test_a_faulty_file_is_one_clear_line(run, src, tmp_path, spoil):
    spoil(src, b'') if spoil is Path.write_bytes else spoil(src)
    with pytest.raises(UserError, match=r'yolox_nano\.pth') as caught:
        run(converter, src, tmp_path / 'nano.pth')
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / 'nano.pth').exists()
    assert not (tmp_path / 'sprung').exists()


def test_a_failed_write_leaves_the_old_file(run, src, tmp_path, monkeypatch):
    dst = tmp_path / 'nano.pth'
    dst.write_bytes(b'old')

    def full_disk(path, _content):
        path.write_text('half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(UserError, match=r'nano\.pth cannot be written: .*No space left'):
        run(converter, src, dst)
    assert dst.read_bytes() == b'old'
    assert sorted(tmp_path.iterdir()) == [dst, src]


def test_an_impossible_destination_is_named(run, src):
    for one in (src, 'absent.pth'):  # before it is read
        with pytest.raises(UserError, match='cannot be written'):
            run(converter, one, src / 'nano.pth')


def test_a_folder_as_destination(run, src, tmp_path):
    (tmp_path / 'folder').mkdir()
    with pytest.raises(UserError, match='folder is a folder; name the file to write'):
        run(converter, src, tmp_path / 'folder')
    assert not [*(tmp_path / 'folder').iterdir()]


@pytest.mark.parametrize('suffix', ['.onnx', '.xml', '.ckpt', '.jpg'])
def test_a_destination_of_another_kind(run, src, tmp_path, suffix):
    with pytest.raises(
        UserError,
        match=rf'nano\{suffix}: .* end in \.pth, \.pt, \.safetensors; .*mmyolox export',
    ):
        run(converter, src, tmp_path / f'nano{suffix}')
    assert [*tmp_path.iterdir()] == [src]


def test_a_file_does_not_replace_itself(run, src, monkeypatch):
    old = src.read_bytes()
    monkeypatch.chdir(src.parent)
    with pytest.raises(UserError, match='is the file to convert itself'):
        run(converter, src, src.name)
    assert src.read_bytes() == old


def test_back_to_megvii(run, src, tmp_path):
    ours, back = tmp_path / 'ours.pth', tmp_path / 'back.pth'
    run(converter, src, ours)
    out = run(converter, ours, back, '--to', 'megvii')
    assert 'MMYOLO' in out
    found, expected = torch.load(back, weights_only=True)['model'], nano_weights()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_raw_weights_and_their_average(run, src, tmp_path):
    weights = nano_weights()
    raw = {name: tensor + 1 for name, tensor in weights.items()}
    torch.save(dict(ema_model=weights, model=raw, optimizer={}), src)
    out = run(converter, src, tmp_path / 'nano.pth')
    found = torch.load(tmp_path / 'nano.pth', weights_only=True)['state_dict']
    assert torch.equal(found['neck.out_layers.0.conv.weight'], weights['head.stems.0.conv.weight'])
    assert 'model (the raw weights; their moving average ema_model is taken), optimizer' in out


def test_names_of_classes_are_kept(run, src, tmp_path):
    content = torch.load(src, weights_only=True)
    names = tuple(f'c{label}' for label in range(80))
    torch.save(content | dict(meta=dict(dataset_meta=dict(classes=names))), src)
    run(converter, src, tmp_path / 'nano.pth')
    assert torch.load(tmp_path / 'nano.pth', weights_only=True)['meta']['dataset_meta'] == dict(classes=names)


@pytest.mark.parametrize('is_recorded', [True, False])
def test_a_record_stays_and_normalised_images_are_told(run, src, tmp_path, is_recorded):
    record = InputRecord('mine', (256, 192), 3, Normalisation())
    content = torch.load(src, weights_only=True)
    stem = 'backbone.backbone.stem.conv.'
    content['model'][f'{stem}bn.running_var'].fill_(1)
    content['model'][f'{stem}bn.weight'].fill_(1)
    torch.save(content | (dict(meta=dict(mmyolox=record.to_meta())) if is_recorded else {}), src)
    out = run(converter, src, tmp_path / 'nano.pth')
    written = torch.load(tmp_path / 'nano.pth', weights_only=True)
    kept = record if is_recorded else InputRecord(normalisation=IMAGENET)
    assert read_record(written, written['state_dict'], 'nano.pth') == kept
    assert ('normalised, as the weights tell: mean=[123.675,116.28,103.53]' in out) != is_recorded
    assert ('all tools that load it follow' in out) != is_recorded
    assert ('--legacy' in run(converter, src, tmp_path / 'megvii.pth', '--to', 'megvii')) != is_recorded


def test_a_network_that_megvii_has_not_stays_here(run, src, tmp_path):
    record = InputRecord(network={'model.neck.act_cfg': dict(type='ReLU')})
    content = torch.load(src, weights_only=True)
    torch.save(content | dict(meta=dict(mmyolox=record.to_meta())), src)
    run(converter, src, tmp_path / 'nano.safetensors')
    written = load_checkpoint(tmp_path / 'nano.safetensors')
    assert read_record(written, {}, 'nano').network == record.network
    with pytest.raises(UserError, match=r"Megvii's YOLOX has no such network: model\.neck\.act_cfg=.*ReLU"):
        run(converter, src, tmp_path / 'm.pth', '--to', 'megvii')


def test_images_from_0_to_1_are_recorded_and_grey_levels_are_not_guessed_into_a_record(run, src, tmp_path):
    content = torch.load(src, weights_only=True)
    stem = 'backbone.backbone.stem.conv.'
    content['model'][f'{stem}bn.running_var'].fill_(1)
    for size, expected in ((0.1, None), (20, UNIT)):
        content['model'][f'{stem}bn.weight'].fill_(size)
        torch.save(content, src)
        out = run(converter, src, tmp_path / 'nano.pth')
        meta = torch.load(tmp_path / 'nano.pth', weights_only=True)['meta']
        if expected is None:
            assert 'mmyolox' not in meta
            continue
        assert f'normalised, as the weights tell: {UNIT}; recorded' in out
        assert read_record(dict(meta=meta), {}, 'nano.pth').normalisation == UNIT
        assert 'prepare them so yourself' in run(converter, src, tmp_path / 'm.pth', '--to', 'megvii')


def test_counters_that_are_filled_in_are_told(run, src, tmp_path):
    resave(src, lambda weights: [weights.pop(name) for name in list(weights) if 'num_batches' in name])
    assert 'counters set to 0    104' in run(converter, src, tmp_path / 'nano.pth')


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('caffe', "source 'caffe' is unknown; known are megvii"),
        ('mmyolo', 'these are weights of megvii, not of mmyolo, by the names of their tensors'),
    ],
)
def test_a_forced_source(run, src, tmp_path, source, message):
    with pytest.raises(UserError, match=rf'yolox_nano\.pth: .*{message}'):
        run(converter, src, tmp_path / 'nano.pth', '--from', source)
    run(converter, src, tmp_path / 'nano.pth', '--from', 'megvii')


def test_the_help_names_all_sources(run, capsys):
    with pytest.raises(SystemExit):
        run(converter, '--help')
    text = ' '.join(capsys.readouterr().out.split()).replace('super- gradients', 'super-gradients')
    assert all(source.name in text for source in known_sources())


@pytest.mark.parametrize(('layout', 'source'), [('mmyolox', 'mmyolo'), ('megvii', 'megvii')])
def test_safetensors_are_written_and_read_again(run, src, tmp_path, layout, source):
    resave(src, lambda weights: weights['backbone.backbone.stem.conv.conv.weight'].mul_(2000))
    run(converter, src, tmp_path / 'a.safetensors', '--to', layout)
    run(converter, src, tmp_path / 'a.pth', '--to', layout)
    written, expected = (load_checkpoint(tmp_path / name) for name in ('a.safetensors', 'a.pth'))
    (weights, _), (others, _) = weights_in(written, 'a'), weights_in(expected, 'b')
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in others.items())
    assert convert(weights).source.name == source
    if layout == 'mmyolox':
        records = [read_record(content, content['state_dict'], 'w') for content in (written, expected)]
        assert records[0] == records[1] != InputRecord()
