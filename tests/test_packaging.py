"""What the wheel, the sdist and an editable install hold, and that `make` finds its pins and its Python."""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections import Counter
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SOURCES = ('configs', 'mmyolox', 'projects', 'tools')
FILES = ('LICENSE', 'MANIFEST.in', 'model-index.yml', 'pyproject.toml', 'setup.cfg', 'setup.py')
PLANTED = {
    'projects/planted/__init__.py': '',
    'projects/planted/head.py': 'name = __name__',
    'projects/planted/README.md': '',
    'projects/planted/configs/planted_config.py': '',
}
JUNK = (
    'build/lib/mmyolox/stale.py',
    'configs/.hidden/x.py',
    'configs/work_dirs/x.py',
    'projects/planted/tests/__init__.py',
    'projects/planted/tests/test_planted.py',
    'tests/test_x.py',
    'tools/__pycache__/x.pyc',
)


def run_python(*args: str, cwd: Path) -> str:
    result = subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def build(hook: str, source: Path, target: Path) -> Path:
    """Call a PEP 517 hook, in a process of its own as a build front end does; returns the file it made."""
    target.mkdir()
    code = f'from setuptools import build_meta; build_meta.{hook}({str(target)!r})'
    run_python('-c', code, cwd=source)
    return next(path for path in target.iterdir() if path.suffix in ('.gz', '.whl'))


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if '.dist-info/' not in name}


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree with a planted project, and with things that must not be packed."""
    folder = tmp_path_factory.mktemp('source')
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__', '.*'))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for name, text in PLANTED.items() | dict.fromkeys(JUNK, '').items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    config = folder / 'setup.cfg'
    group = 'mmyolox.extensions =\n'
    config.write_text(
        config.read_text().replace(group, f'{group}    planted = mmyolox.projects.planted.head\n')
    )
    (folder / 'mmyolox/__init__.py').write_text('')  # importable without the dependencies
    return folder


@pytest.fixture(scope='module')
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build('build_wheel', source, tmp_path_factory.mktemp('wheel') / 'dist')


@pytest.fixture(scope='module')
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('unpacked')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize('folder', ['configs', 'tools'])
def test_wheel_holds_all_configs_and_tools_for_mim(wheel: Path, folder: str) -> None:
    packed = {name for name in names_in(wheel) if name.startswith(f'mmyolox/.mim/{folder}/')}
    wanted = {name for name in files_below(ROOT / folder) if not name.endswith('.pyc')}
    assert packed == {f'mmyolox/.mim/{folder}/{name}' for name in wanted}


def test_wheel_holds_all_modules_of_the_package(wheel: Path) -> None:
    modules = {name for name in files_below(ROOT / 'mmyolox') if name.endswith('.py')}
    assert {f'mmyolox/{name}' for name in modules} <= names_in(wheel)


def test_wheel_holds_the_templates_of_pages(wheel: Path) -> None:
    templates = files_below(ROOT / 'mmyolox/pages/templates')
    assert {'page.html', 'page.css', 'page.js'} <= templates
    assert {f'mmyolox/pages/templates/{name}' for name in templates} <= names_in(wheel)


def test_wheel_holds_projects_once(wheel: Path) -> None:
    planted = {name for name in names_in(wheel) if 'planted' in name}
    assert planted == {
        'mmyolox/.mim/projects/planted/README.md',
        'mmyolox/.mim/projects/planted/configs/planted_config.py',
        'mmyolox/projects/planted/__init__.py',
        'mmyolox/projects/planted/head.py',
    }


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    assert {name.split('/')[0] for name in names} == {'mmyolox'}
    assert 'mmyolox/.mim/model-index.yml' in names
    assert not [name for name in names if 'test_' in name or 'stale' in name or '__pycache__' in name]


def test_shell_scripts_stay_executable(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modes = [info.external_attr >> 16 for info in archive.infolist() if info.filename.endswith('.sh')]
    assert modes
    assert all(mode & stat.S_IXUSR for mode in modes)


def test_installed_project_imports(unpacked: Path) -> None:
    code = 'from mmyolox.projects.planted import head; print(head.name)'
    assert run_python('-ES', '-c', code, cwd=unpacked) == 'mmyolox.projects.planted.head'


LIST_CONFIGS = (
    'from mmyolox.extensions import config_folders; '
    'print(*(path for folder in config_folders() for path in folder.glob("planted*.py")))'
)


def test_configs_of_an_installed_project_are_found(unpacked: Path) -> None:
    config = unpacked / 'mmyolox/.mim/projects/planted/configs/planted_config.py'
    assert run_python('-ES', '-c', LIST_CONFIGS, cwd=unpacked) == str(config)


def test_pose_is_packed_as_a_package_with_its_configs(wheel: Path) -> None:
    names = {name for name in names_in(wheel) if 'yolox_pose' in name}
    modules = {path.name for path in (ROOT / 'projects/yolox_pose').glob('*.py')}
    configs = {name for name in files_below(ROOT / 'projects/yolox_pose/configs') if name.endswith('.py')}
    assert modules
    assert configs
    assert {name for name in names if name.endswith('.py')} == {
        *(f'mmyolox/projects/yolox_pose/{name}' for name in modules),
        *(f'mmyolox/.mim/projects/yolox_pose/configs/{name}' for name in configs),
    }
    assert not [name for name in names if '/tests/' in name]
    others = {name for name in names if not name.endswith('.py')}
    assert all(name.startswith('mmyolox/.mim/projects/yolox_pose/') for name in others)


def test_installed_pose_configs_are_found_by_name_and_load(unpacked: Path, tmp_path: Path) -> None:
    """From an unpacked wheel, as ``mim`` and the tools find them, with bases in ``.mim/configs``."""
    name = 'yolox-pose_s_8xb32-300e-rtmdet-hyp_coco'
    found = list(unpacked.rglob(f'{name}.py'))
    assert [path.parent for path in found] == [unpacked / 'mmyolox/.mim/projects/yolox_pose/configs']
    code = (
        f'import sys; sys.path.insert(0, {str(unpacked)!r});'
        'from mmyolox.config import load_config;'
        f'cfg = load_config({name!r}); print(cfg.filename);'
        'import mmyolox.projects.yolox_pose as pose; print(pose.__file__);'
        'print(cfg.model.bbox_head.type, cfg.model.backbone.type)'
    )
    config, module, types = run_python('-c', code, cwd=tmp_path).splitlines()[-3:]
    assert Path(config) == found[0]
    assert Path(module) == unpacked / 'mmyolox/projects/yolox_pose/__init__.py'
    assert types == 'YOLOXPoseHead YOLOXCSPDarknet'


COMMAND = (
    'import sys; from importlib.metadata import entry_points; '
    "[script] = entry_points(group='console_scripts', name='mmyolox'); "
    "sys.argv = ['mmyolox', 'voc2coco', '-h']; script.load()()"
)


def test_the_installed_command_runs_the_tools_of_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    """From another folder, and without the other packages: as the script that pip makes."""
    code = f'import sys; sys.path.insert(0, {str(unpacked)!r}); {COMMAND}'
    assert run_python('-ES', '-c', code, cwd=tmp_path).startswith('usage: mmyolox voc2coco [-h]')


def test_build_leaves_no_copies_in_the_source_tree(source: Path, wheel: Path) -> None:
    made = {name for name in files_below(source) if name.split('/')[0] not in SOURCES + FILES}
    left = {name for name in made if not name.startswith('mmyolox.egg-info/')}
    assert left == {'build/lib/mmyolox/stale.py', 'tests/test_x.py'}
    assert not (source / 'mmyolox/.mim').exists()


def test_sdist_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    sdist = build('build_sdist', source, tmp_path / 'sdist')
    shutil.unpack_archive(sdist, tmp_path)
    unpacked = next(tmp_path.glob('mmyolox-*'))
    assert not [name for name in files_below(unpacked) if name.startswith('tests/') or name.endswith('.pyc')]
    assert names_in(build('build_wheel', unpacked, tmp_path / 'wheel')) == names_in(wheel)


def test_editable_install_uses_the_source_tree(source: Path, tmp_path: Path) -> None:
    editable = build('build_editable', source, tmp_path / 'dist')
    shutil.unpack_archive(editable, tmp_path / 'site', format='zip')
    code = (
        f'import site; site.addsitedir({str(tmp_path / "site")!r});'
        'from mmyolox.projects.planted import head; print(head.__file__)'
    )
    assert Path(run_python('-ES', '-c', code, cwd=tmp_path)) == source / 'projects/planted/head.py'
    code = f'import site; site.addsitedir({str(tmp_path / "site")!r}); {LIST_CONFIGS}'
    config = source / 'projects/planted/configs/planted_config.py'
    assert Path(run_python('-ES', '-c', code, cwd=tmp_path)) == config
    code = f'import site; site.addsitedir({str(tmp_path / "site")!r}); {COMMAND}'
    assert run_python('-ES', '-c', code, cwd=tmp_path).startswith('usage: mmyolox voc2coco [-h]')
    assert not (source / 'mmyolox/.mim').exists()  # mim would find every config twice


def test_metadata(unpacked: Path) -> None:
    metadata = Parser().parsestr(next(unpacked.glob('*.dist-info/METADATA')).read_text())
    version: dict[str, str] = {}
    exec((ROOT / 'mmyolox/version.py').read_text(), version)
    assert metadata['Version'] == version['__version__']
    requirements = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    assert {item.name for item in requirements if not item.marker} == {'filelock', 'numpy', 'torch'}
    assert set(metadata.get_all('Provides-Extra')) >= {'mmlab', 'dev'}
    entry_points = next(unpacked.glob('*.dist-info/entry_points.txt')).read_text()
    assert 'yolox_pose = mmyolox.projects.yolox_pose.checkpoints' in entry_points
    assert not [item for item in requirements if '<' in str(item.specifier)], 'upper caps'


def test_config_names_are_unique() -> None:
    """`mim` searches by the bare name of a config and refuses one that it finds twice."""
    names = Counter(
        path.name
        for folder in ('configs', 'projects')
        for path in (ROOT / folder).rglob('*.py')
        if folder in path.parts and '_base_' not in path.parts and path.name != '__init__.py'
    )
    assert not [name for name, count in names.items() if count > 1]


def test_metafiles_name_existing_configs() -> None:
    metafiles = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    assert set(metafiles) == {
        path.relative_to(ROOT).as_posix()
        for folder in ('configs', 'projects')
        for path in (ROOT / folder).rglob('metafile.yml')
    }
    models = [model for name in metafiles for model in yaml.safe_load((ROOT / name).read_text())['Models']]
    assert models
    for model in models:
        assert (ROOT / model['Config']).is_file(), model['Config']
        assert Path(model['Config']).stem == model['Name']


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12'])
def test_each_requirement_has_one_pin(python: str) -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith('#')]
    pins = [pin for pin in pins if not pin.marker or pin.marker.evaluate({'python_version': python})]
    assert all(str(pin.specifier).startswith('==') for pin in pins)
    counts = Counter(pin.name for pin in pins)
    assert set(counts.values()) == {1}
    config = ConfigParser()
    config.read(ROOT / 'setup.cfg')
    lists = [config['options']['install_requires'], *config['options.extras_require'].values()]
    for text in '\n'.join(lists).split('\n'):
        if text.strip():
            assert Requirement(text).name in counts


@pytest.mark.skipif(shutil.which('make') is None, reason='needs make')
@pytest.mark.parametrize(
    ('version', 'message'),
    [(None, 'there is no'), ('3.9.1', 'Python 3.10, 3.11 or 3.12 is needed'), ('3.13.0', 'is needed')],
)
def test_make_names_an_unsuitable_python(version: str | None, message: str, tmp_path: Path) -> None:
    python = tmp_path / 'python'
    if version:
        code = (
            f'import sys; sys.version_info = {tuple(map(int, version.split(".")))}; sys.version = "{version}"'
        )
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -c \'{code}\n\'"$2" "$3"\n')
        python.chmod(0o755)
    result = subprocess.run(
        ['make', 'lint', f'VENV={tmp_path / "venv"}', f'PYTHON={python}'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith('MAKE')},
    )
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() + result.stdout.splitlines() if 'error:' in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (tmp_path / 'venv').exists()
