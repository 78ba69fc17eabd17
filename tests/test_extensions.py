"""What installed packages add to the core."""

import sys
from pathlib import Path

import pytest

from mmyolox import extensions
from mmyolox.checkpoints import published
from mmyolox.checkpoints.sources.base import SOURCES, known_sources
from mmyolox.config.find import find_config
from mmyolox.errors import UserError
from mmyolox.extensions import config_folders, load_extensions

WEIGHTS = """
from mmyolox.checkpoints.published import PublishedWeights, register_weights

register_weights(
    PublishedWeights('strange_s', 'YOLOX-s', 1.5, 'strange_config', 'https://a/s.pth', 'They', 'MIT', 'ab')
)
"""
SOURCE = """
from mmyolox.checkpoints.sources.base import Source, recognised_by, register_source, rename_all

recognises = recognised_by('strange.')
register_source(Source('stranger', 'A stranger', recognises, lambda weights: rename_all(weights, str)))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with an extension on the path, as if it were installed."""

    def install(module: str, files: dict[str, str]) -> Path:
        files = files | {
            'stranger-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n',
            'stranger-1.0.dist-info/entry_points.txt': f'[{extensions.GROUP}]\nstranger = {module}\n',
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)
    load_extensions.cache_clear()
    yield install
    load_extensions.cache_clear()
    SOURCES.pop('stranger', None)
    published._WEIGHTS.pop('strange_s', None)
    for name in [name for name in sys.modules if name.partition('.')[0].startswith('stranger')]:
        del sys.modules[name]


def test_the_pose_project_is_one():
    names = [entry.name for entry in extensions.entry_points(group=extensions.GROUP)]
    assert names == ['yolox_pose']


def test_that_of_a_stranger_is_imported(install):
    install('stranger.weights', {'stranger/__init__.py': '', 'stranger/weights.py': SOURCE})
    assert {'stranger', 'mmpose'} <= {source.name for source in known_sources()}


def test_its_weights_are_known_by_name(install):
    install('stranger', {'stranger.py': WEIGHTS})
    assert published.published_weights()['strange_s'].describe() == 'They, MIT, box AP 1.5 as published'
    assert published.weights_for('YOLOX', 's').name == 'yolox_s'


def test_a_module_outside_of_any_package_is_one_too(install):
    install('stranger', {'stranger.py': SOURCE})
    assert 'stranger' in {source.name for source in known_sources()}
    assert [folder.parent.name for folder in config_folders()] == ['yolox_pose']


@pytest.mark.parametrize(
    ('module', 'folder'),
    [
        ('stranger.inner.weights', 'stranger/inner/configs'),
        ('stranger.inner.weights', 'stranger/.mim/inner/configs'),
        ('stranger.weights', 'stranger/.mim/configs'),
    ],
)
def test_its_configs_are_found_by_name_and_it_is_not_imported(install, module, folder):
    """Beside its module, and where ``mim`` has those of a wheel."""
    package = module.rpartition('.')[0].replace('.', '/')
    files = {'stranger/__init__.py': '', f'{package}/__init__.py': '', f'{folder}/sub/strange_config.py': ''}
    site = install(module, files)
    assert find_config('strange_config') == site / folder / 'sub/strange_config.py'
    assert module not in sys.modules


@pytest.mark.parametrize(
    ('module', 'files', 'reason'),
    [
        ('stranger.absent', {'stranger/__init__.py': ''}, 'ModuleNotFoundError: No module named'),
        ('stranger.ill', {'stranger/__init__.py': '', 'stranger/ill.py': 'x = 1 / 0'}, 'ZeroDivisionError'),
    ],
)
def test_one_that_cannot_be_imported_is_named(install, module, files, reason):
    install(module, files)
    with pytest.raises(UserError, match=rf'^extension stranger \({module}\) cannot be imported: {reason}'):
        load_extensions()


def test_one_whose_package_is_gone_is_named(install):
    install('stranger.inner.ill', {})
    with pytest.raises(UserError, match=r'^extension stranger .* cannot be imported: ModuleNotFoundError'):
        config_folders()


def test_a_package_that_we_need_too_is_not_the_fault_of_an_extension(install):
    install('stranger', {'stranger.py': "raise ModuleNotFoundError('no torch', name='torch')"})
    with pytest.raises(ModuleNotFoundError, match='no torch'):
        load_extensions()
