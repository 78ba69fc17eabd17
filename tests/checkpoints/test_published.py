"""Published weights are called by name wherever a checkpoint's path is taken."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
import yaml

from mmyolox.checkpoints.load import load_checkpoint
from mmyolox.checkpoints.published import (
    COCO_CLASSES,
    MIRROR,
    checkpoint_file,
    fetch_weights,
    published_weights,
    weights_for,
)
from mmyolox.config.find import find_config
from mmyolox.errors import UserError

from .web import serving

ROOT = Path(__file__).parents[2]
WEIGHTS = published_weights()
METAFILES = ('configs/yolox/metafile.yml', 'projects/yolox_pose/configs/metafile.yml')
TITLES = {'Megvii': 'Megvii YOLOX', 'MMYOLO': 'MMYOLO'}


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A mirror, and an empty cache."""
    with serving() as server:
        monkeypatch.setenv(MIRROR, f'{server.address}/mirror/')
        monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'cache'))
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        monkeypatch.chdir(tmp_path)
        yield server


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.checkpoints.download.tell', lambda line: lines.append(line))
    return lines


def test_the_table_is_of_all_that_is_known():
    assert list(WEIGHTS) == [
        *(f'yolox_{size}' for size in ('nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53')),
        'yolox_tiny_fast_8xb8-300e_coco',
        'yolox_tiny_fast_8xb32-300e-rtmdet-hyp_coco',
        'yolox_s_fast_8xb8-300e_coco',
        'yolox_s_fast_8xb32-300e-rtmdet-hyp_coco',
        'yolox_m_fast_8xb8-300e_coco',
        'yolox_m_fast_8xb32-300e-rtmdet-hyp_coco',
        'yolox_l_fast_8xb8-300e_coco',
        'yolox_x_fast_8xb8-300e_coco',
        *(f'yolox-pose_{size}' for size in ('tiny', 's', 'm', 'l')),
    ]


@pytest.mark.parametrize(
    ('name', 'url', 'sha256'),
    [
        (
            'yolox_darknet53',
            'https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_darknet.pth',
            '',
        ),
        (
            'yolox_tiny_fast_8xb8-300e_coco',
            'https://download.openmmlab.com/mmyolo/v0/yolox/yolox_tiny_8xb8-300e_coco/'
            'yolox_tiny_8xb8-300e_coco_20220919_090908-0e40a6fc.pth',
            '0e40a6fc',
        ),
        (
            'yolox_s_fast_8xb32-300e-rtmdet-hyp_coco',
            'https://download.openmmlab.com/mmyolo/v0/yolox/yolox_s_fast_8xb32-300e-rtmdet-hyp_coco/'
            'yolox_s_fast_8xb32-300e-rtmdet-hyp_coco_20230210_134645-3a8dfbd7.pth',
            '3a8dfbd7',
        ),
        (
            'yolox-pose_l',
            'https://download.openmmlab.com/mmyolo/v0/yolox/pose/yolox-pose_l_8xb32-300e-rtmdet-hyp_coco/'
            'yolox-pose_l_8xb32-300e-rtmdet-hyp_coco_20230427_041140-82d65ac8.pth',
            '82d65ac8',
        ),
    ],
)
def test_addresses_are_those_of_the_publishers(name, url, sha256):
    assert (WEIGHTS[name].url, WEIGHTS[name].sha256) == (url, sha256)


@pytest.mark.parametrize('weights', WEIGHTS.values(), ids=WEIGHTS)
def test_every_entry_has_a_config_of_its_model_and_is_documented(weights):
    size = weights.model.rpartition('-')[2]
    assert find_config(weights.config).stem == weights.config
    assert f'_{size}_' in weights.config
    assert ('pose' in weights.config) == ('Pose' in weights.model) == (weights.kind == 'keypoint')
    page = (ROOT / 'docs/checkpoints.md').read_text(encoding='utf-8')
    row = f'| `{weights.name}` | {weights.source} | {weights.licence} | {weights.kind} {weights.ap} '
    assert f'{row}| `{weights.config}` |' in page


def test_metafiles_link_to_the_weights_of_their_results():
    """A recipe whose result is a publisher's names the file that has it, and no other file."""
    models = [model for file in METAFILES for model in yaml.safe_load((ROOT / file).read_text())['Models']]
    linked = {}
    for model in models:
        for weights in WEIGHTS.values():
            is_theirs = TITLES[weights.source] == model['Metadata'].get('Reported By')
            if weights.config == model['Name'] and is_theirs:
                linked[model['Name']] = weights.url
                assert list(model['Results'][0]['Metrics'].values()) == [weights.ap]
    assert linked == {model['Name']: model['Weights'] for model in models if 'Weights' in model}
    assert len(linked) == 14


def test_a_name_is_downloaded_once_and_its_licence_told(web, told):
    web.files['/mirror/yolox_s.pth'] = b'weights'
    for _ in range(2):
        path = checkpoint_file('yolox_s')
        assert path.read_bytes() == b'weights'
    assert path == Path('cache/weights/yolox_s.pth').absolute()
    assert told == [
        'weights yolox_s: Megvii, Apache-2.0, box AP 40.5 as published; downloading '
        f'{web.address}/mirror/yolox_s.pth to {path}'
    ]
    assert len(web.asked) == 1


def test_what_the_classes_of_a_file_are_called_is_known_by_its_name(web, told):
    weights = {'backbone.x': torch.ones(1)}
    kept = dict(dataset_meta=dict(classes=('a', 'b')))
    files = dict(yolox_nano=dict(model=weights), yolox_m=dict(state_dict=weights, meta=kept))
    for name, content in files.items():
        torch.save(content, 'file')
        web.files[f'/mirror/{WEIGHTS[name].path.name}'] = Path('file').read_bytes()
    assert load_checkpoint('yolox_nano')['meta']['dataset_meta'] == dict(classes=COCO_CLASSES)
    assert load_checkpoint('yolox_m')['meta'] == kept
    assert 'meta' not in load_checkpoint(WEIGHTS['yolox_nano'].path)  # it may be another one
    torch.save(weights, 'yolox_nano')
    assert 'meta' not in load_checkpoint('yolox_nano')


def test_the_names_are_those_of_coco():
    from mmdet.datasets import CocoDataset

    assert CocoDataset.METAINFO['classes'] == COCO_CLASSES
    assert all(
        one.classes == (('person',) if one.kind == 'keypoint' else COCO_CLASSES) for one in WEIGHTS.values()
    )


def test_the_file_must_be_the_published_one(web, told):
    name = 'yolox_tiny_8xb8-300e_coco_20220919_090908-0e40a6fc.pth'
    web.files[f'/mirror/{name}'] = b'another'
    start = hashlib.sha256(b'another').hexdigest()[:8]
    with pytest.raises(UserError, match=f'{name} cannot be .*SHA-256 begins with {start}, not with 0e40a6fc'):
        checkpoint_file('yolox_tiny_fast_8xb8-300e_coco')
    assert 'MMYOLO, GPL-3.0, box AP 32.7 as published' in told[0]


def test_an_absent_file_names_the_address_and_the_place(web, tmp_path):
    place = tmp_path / 'cache/weights/yolox_m.pth'
    address = f'{web.address}/mirror/yolox_m.pth'
    with pytest.raises(UserError) as info:
        checkpoint_file('yolox_m')
    assert str(info.value) == (
        f'{address} cannot be downloaded (HTTP Error 404: Not Found); download it by other means and put it '
        f'at {place}'
    )
    place.write_bytes(b'by hand')
    assert checkpoint_file('yolox_m') == place


def test_a_mirror_must_be_an_address(web, monkeypatch):
    monkeypatch.setenv(MIRROR, 'mirror.local/weights')
    with pytest.raises(UserError, match=f'{MIRROR}=mirror.local/weights in the environment must begin with'):
        fetch_weights(WEIGHTS['yolox_s'])


@pytest.mark.usefixtures('web')
def test_a_file_goes_before_a_name_and_a_name_before_a_folder(web):
    web.files['/mirror/yolox_s.pth'] = b'published'
    Path('yolox_s').mkdir()
    assert checkpoint_file('yolox_s').read_bytes() == b'published'
    Path('yolox_s').rmdir()
    Path('yolox_s').write_bytes(b'mine')
    assert checkpoint_file('yolox_s').read_bytes() == b'mine'


def test_addresses_of_the_same_name_are_kept_apart(web):
    web.files |= {'/a/best.pth?v=1': b'a', '/b/best.pth': b'b', '/b/%2e%2e%2f': b'c', '/': b'd'}
    urls = [f'{web.address}{path}' for path in web.files]
    paths = [checkpoint_file(url) for url in urls]
    assert [path.read_bytes() for path in paths] == [b'a', b'b', b'c', b'd']
    assert [path.name for path in paths] == ['best.pth', 'best.pth', 'checkpoint', 'checkpoint']
    assert {path.parents[1] for path in paths} == {Path('cache/weights').absolute()}


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (
            'yolox_z',
            'checkpoint yolox_z does not exist, nor are weights of this name published; did you mean ',
        ),
        ('yolox_s.pth', 'nor are weights of this name published; did you mean yolox_s or yolox_x?; '),
        ('work/yolox_s.pth', 'checkpoint work/yolox_s.pth does not exist'),
        ('.', 'checkpoint . is a folder; name the file in it'),
    ],
)
@pytest.mark.usefixtures('web')
def test_what_is_nothing_of_these_is_told(source, message):
    with pytest.raises(UserError, match=re.escape(message)):
        checkpoint_file(source)


@pytest.mark.parametrize(
    ('family', 'size', 'name'),
    [
        ('YOLOX', 's', 'yolox_s'),
        ('YOLOX', 'darknet53', 'yolox_darknet53'),
        ('YOLOX-Pose', 'm', 'yolox-pose_m'),
        ('YOLOX-Pose', 'nano', 'yolox_nano'),
    ],
)
def test_weights_are_found_by_model(family, size, name):
    assert weights_for(family, size).name == name


def test_there_may_be_no_weights_of_a_model():
    assert weights_for('YOLOX', 'custom') is None
