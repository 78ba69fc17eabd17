"""An absent package that mmyolox needs says what to install, and mmcv without its compiled ops can be used.

Most cases start a bare interpreter (``-S``: no site-packages) on a folder of made-up packages, so that they
do not depend on what is installed here.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mmyolox  # noqa: F401  (lets mmcv.ops be imported)
from mmyolox.compat import without_printed_noise

ROOT = Path(__file__).parents[1]
MMLAB = ('mmengine', 'mmcv', 'mmdet')
PACKAGES = ('torch', *MMLAB, 'cv2')


def python(code: str, *options: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(entry) for entry in (folder, ROOT) if entry)
    return subprocess.run(
        [sys.executable, *options, '-c', code],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )


def run(code: str, *options: str, folder: Path | None = None) -> str:
    result = python(code, *options, folder=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def make_packages(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir()
        (folder / name / '__init__.py').touch()


def make_distribution(folder: Path, name: str, version: str) -> None:
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_packages(tmp_path, *PACKAGES)
    return tmp_path


def test_import_loads_nothing_heavy() -> None:
    heavy = ('numpy', *PACKAGES)
    assert run(f'import sys, mmyolox; print([name for name in {heavy} if name in sys.modules])') == '[]'


@pytest.mark.parametrize('missing', [('mmengine',), ('mmcv', 'mmdet'), MMLAB])
def test_missing_package_is_one_line_with_the_command(tmp_path: Path, missing: tuple[str, ...]) -> None:
    make_packages(tmp_path, *set(PACKAGES).difference(missing))
    for name in missing:
        result = python(f'import mmyolox; print("light"); import {name}.part', '-S', folder=tmp_path)
        assert result.stdout == 'light\n'
        assert result.stderr.splitlines()[-1] == (
            f'ModuleNotFoundError: mmyolox needs {", ".join(missing)}, not installed here: '
            'pip install "mmyolox[mmlab]"'
        )


@pytest.mark.parametrize('code', ['import mmdet', 'from mmdet import apis', 'import_module("mmdet")'])
def test_looking_for_a_missing_package_finds_none_and_importing_it_says_what_to_install(
    tmp_path: Path, code: str
) -> None:
    make_packages(tmp_path, 'torch', 'mmengine', 'mmcv', 'cv2')
    look = 'import mmyolox; from importlib import import_module, util; print(util.find_spec("mmdet")); '
    result = python(look + code, '-S', folder=tmp_path)
    assert result.stdout == 'None\n'
    assert result.stderr.splitlines()[-1] == (
        'ModuleNotFoundError: mmyolox needs mmdet, not installed here: pip install "mmyolox[mmlab]"'
    )


@pytest.mark.parametrize('module', ['apis', 'config', 'datasets', 'export.verify', 'models'])
def test_whatever_of_ours_is_imported_first_names_all_that_is_missing(tmp_path: Path, module: str) -> None:
    (tmp_path / 'numpy').symlink_to(Path(np.__file__).parent)
    assert python(f'import mmyolox.{module}', '-S', folder=tmp_path).stderr.splitlines()[-1] == (
        f'ModuleNotFoundError: mmyolox needs {", ".join(PACKAGES)}, not installed here: '
        'pip install "mmyolox[mmlab]"'
    )


def test_what_others_import_for_themselves_is_none_of_our_business(tmp_path: Path) -> None:
    (tmp_path / 'other.py').write_text('import torch')
    result = python('import mmyolox, other', '-S', folder=tmp_path)
    assert result.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch'"


def test_a_tool_without_the_packages_says_so_in_one_line() -> None:
    code = 'from mmyolox.utils.cli import run_tool\ndef main():\n    import cv2\nrun_tool(main)'
    assert python(code, '-S').stderr == (
        f'error: mmyolox needs {", ".join(PACKAGES)}, not installed here: pip install "mmyolox[mmlab]"\n'
    )


def test_the_finder_may_be_asked_directly() -> None:
    assert run('import mmyolox, sys; print(sys.meta_path[-1].find_spec("mmdet", None))', '-S') == 'None'


def test_whoever_can_do_without_a_missing_package_does(tmp_path: Path) -> None:
    code = (
        'import mmyolox\ntry:\n    import mmdet\nexcept ModuleNotFoundError as error:\n    print(error.name)'
    )
    assert run(code, '-S', folder=tmp_path) == 'mmdet'


@pytest.mark.parametrize(
    ('name', 'version', 'needed'),
    [
        ('mmengine', '0.9.1', 'mmengine >= 0.10.0'),
        ('mmcv-full', '1.7.2', 'mmcv >= 2.0.0'),
        ('mmcv', '1.99.0rc4', 'mmcv >= 2.0.0'),
        ('mmdet', '3.2.0', 'mmdet >= 3.3.0'),
    ],
)
def test_too_old_version_is_named(folder: Path, name: str, version: str, needed: str) -> None:
    make_distribution(folder, name, version)
    line = python('import mmyolox', '-S', folder=folder).stderr.splitlines()[-1]
    assert line.startswith(f'ImportError: mmyolox needs {needed}, installed is {name} {version}: ')


@pytest.mark.parametrize(
    'distributions',
    [
        {},
        {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0'},
        {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '3.5.1'},
        {'mmengine': '1.0.0', 'mmcv': '3.0', 'mmdet': '10.0.0.dev1'},
        {'onedl-mmcv': '2.3.6', 'mmcv-full': '1.7.2'},
    ],
    ids=['source folders', 'original', 'forks', 'newer than tested', 'an old one left beside'],
)
def test_new_enough_versions_are_accepted(folder: Path, distributions: dict[str, str]) -> None:
    for name, version in distributions.items():
        make_distribution(folder, name, version)
    run('import mmyolox', '-S', folder=folder)


def test_stand_in_is_found_where_the_extension_is_absent(folder: Path) -> None:
    code = 'import mmyolox; from importlib.util import find_spec; print(find_spec("mmcv._ext").origin)'
    assert run(code, '-S', folder=folder) == str(ROOT / 'mmyolox' / 'compat.py')


def test_every_op_can_be_looked_up_and_an_absent_one_names_itself_when_called(folder: Path) -> None:
    code = 'import mmyolox, mmcv._ext as ext; op = ext.deform_conv_forward; print("found"); op(1, x=2)'
    result = python(code, '-S', folder=folder)
    assert result.stdout == 'found\n'
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        'mmyolox.compat.MissingOpError: the op "deform_conv_forward" needs the compiled mmcv'
    )
    assert 'pip install --no-build-isolation' in last


@pytest.mark.parametrize('before', ['', 'import mmcv._ext; '], ids=['after', 'before'])
def test_real_extension_is_left_alone(folder: Path, before: str) -> None:
    (folder / 'mmcv' / '_ext.py').write_text('nms = "compiled"')
    code = f'{before}import mmyolox, mmcv._ext; print(mmcv._ext.nms, hasattr(mmcv._ext, "softnms"))'
    assert run(code, '-S', folder=folder) == 'compiled False'


def test_nothing_else_is_answered_for(folder: Path) -> None:
    result = python('import mmyolox, mmcv._other', '-S', folder=folder)
    assert result.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'mmcv._other'"


def test_finder_is_installed_once_and_last(folder: Path) -> None:
    code = (
        'import sys, mmyolox; from mmyolox.compat import install_finder; install_finder(); '
        'print([type(finder).__name__ for finder in sys.meta_path].count("_LastFinder"), '
        'type(sys.meta_path[-1]).__name__)'
    )
    assert run(code, '-S', folder=folder) == '1 _LastFinder'


def test_mmdet_imports_without_torchvision() -> None:
    code = (
        'import sys; sys.modules["torchvision"] = None; import mmyolox; '
        'import mmdet.models, mmdet.apis, mmdet.datasets, mmdet.engine, mmdet.evaluation, mmdet.visualization'
    )
    run(code)


@pytest.mark.parametrize(('offset', 'kept'), [(0, [1, 0, 2]), (1, [1, 2])])
def test_mmcv_nms_runs(offset: int, kept: list[int]) -> None:
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 9, 9], [5, 0, 14, 9], [50, 50, 60, 60]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    dets, index = nms(boxes, scores, iou_threshold=0.3, offset=offset)
    assert index.tolist() == kept
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], 1)[kept])


@pytest.mark.parametrize(('labels', 'kept'), [([0, 0, 0], [1, 2]), ([0, 1, 0], [1, 0, 2])])
def test_mmcv_batched_nms_runs(labels: list[int], kept: list[int]) -> None:
    from mmcv.ops import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    _, index = batched_nms(boxes, scores, torch.tensor(labels), dict(type='nms', iou_threshold=0.5))
    assert index.tolist() == kept


def test_what_mmengine_and_mmcv_do_when_the_extension_is_found_works() -> None:
    from mmcv.utils import collect_env
    from mmengine.model.utils import revert_sync_batchnorm

    converted = revert_sync_batchnorm(torch.nn.Sequential(torch.nn.SyncBatchNorm(4)))
    assert not isinstance(converted[0], torch.nn.SyncBatchNorm)
    assert 'MMCV Compiler' in collect_env()


def test_noise_is_left_out_of_what_is_printed_and_nothing_else(capsys):
    with without_printed_noise():
        print('Could not import OneDL. Skipping OneDL datasets.')
        print('Could not import yours')
        print('Loads checkpoint by local backend from path: w.pth')
        print()
        print('50%', end='\r', flush=True)
    print('Loads checkpoint by hand')
    assert capsys.readouterr().out == 'Could not import yours\n\n50%\rLoads checkpoint by hand\n'
