"""The table of formats: what cannot be had is said in one line, before a model is loaded."""

import importlib.util
import platform
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export.formats import check_options, remove_export, unavailable
from mmyolox.export.options import Precision, calibration_files
from tests.export.models import options


@pytest.fixture
def installed(monkeypatch):
    """Every package is there."""
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)


@pytest.mark.parametrize('kind', FORMATS.values(), ids=FORMATS)
def test_missing_packages_are_named(monkeypatch, kind):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(platform, 'system', lambda: 'Linux')
    if not kind.packages:
        assert unavailable(kind) is None
        return
    assert unavailable(kind) == (
        f'format {kind.name} needs packages that are not installed: pip install {" ".join(kind.packages)}'
    )
    with pytest.raises(UserError, match=f'pip install {kind.packages[0]}'):
        check_options(kind, options(form='raw'))


def test_the_quantiser_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'nncf' else name)
    assert unavailable(FORMATS['openvino']) is None
    assert unavailable(FORMATS['openvino'], 'int8').endswith('pip install openvino onnx onnxslim nncf')


def test_another_system(monkeypatch, installed):
    monkeypatch.setattr(platform, 'system', lambda: 'Windows')
    assert unavailable(FORMATS['coreml']) == 'format coreml cannot be had on Windows, only on Linux or Darwin'


def test_no_gpu(monkeypatch, installed):
    monkeypatch.setattr(platform, 'system', lambda: 'Linux')
    monkeypatch.setenv('PATH', '')
    assert unavailable(FORMATS['tensorrt']) == (
        'format tensorrt needs an NVIDIA GPU with its driver, and there is none'
    )


@pytest.mark.parametrize(('system', 'reason'), [('Linux', 'only Darwin'), ('Darwin', None)])
def test_core_ml_runs_on_macos(monkeypatch, system, reason):
    monkeypatch.setattr(platform, 'system', lambda: system)
    found = FORMATS['coreml'].unrunnable()
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ('name', 'asked', 'line'),
    [
        ('ncnn', dict(form='end2end'), 'form end2end cannot be had; choose one of raw, decoded'),
        ('ncnn', dict(focus='slices'), 'focus slices cannot be had; choose one of conv'),
        ('ncnn', dict(batch=2), 'takes one image at a time, not batch 2'),
        ('tflite', dict(dynamic_batch=True), 'has fixed shapes'),
        ('coreml', dict(dynamic_size=True), 'has fixed shapes'),
        ('torchscript', dict(preprocess=True), 'has no preprocessing'),
        (
            'torchscript',
            dict(precision=Precision('fp16')),
            'precision fp16 cannot be had; choose one of fp32',
        ),
    ],
)
def test_what_a_format_cannot_be(installed, name, asked, line):
    with pytest.raises(UserError, match=f'^format {name}.*{line}'):
        check_options(FORMATS[name], options(**asked))


def test_unknown_precision():
    with pytest.raises(UserError, match='precision int4: choose one of fp32, fp16, int8'):
        Precision('int4')


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((4, 4, 3), np.uint8))
    return folder


def test_calibration_images_are_spread_over_the_folder(tmp_path):
    folder = images(tmp_path, *(f'{number}.png' for number in range(9)), 'more/a.jpg')
    (folder / 'note.txt').write_text('no image')
    names = [path.name for path in calibration_files(Precision('int8', folder, count=4))]
    assert names == ['0.png', '2.png', '5.png', '7.png']
    assert len(calibration_files(Precision('int8', folder))) == 10


@pytest.mark.parametrize(
    ('folder', 'line'),
    [
        (None, 'precision int8 needs a folder of images to calibrate with'),
        ('absent', 'absent: there is no such folder'),
        ('', 'there is no image in this folder'),
    ],
)
def test_no_calibration_images(installed, tmp_path, folder, line):
    precision = Precision('int8', None if folder is None else tmp_path / folder)
    with pytest.raises(UserError, match=line):
        check_options(FORMATS['openvino'], options(precision=precision))
    with pytest.raises(UserError, match='at least 1'):
        replace(precision, count=0)


def test_an_absent_quantiser_is_told_before_a_model_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'nncf' else name)
    precision = Precision('int8', images(tmp_path, 'a.png'))
    with pytest.raises(UserError, match='pip install openvino onnx onnxslim nncf'):
        check_options(FORMATS['openvino'], options(precision=precision))


@pytest.mark.parametrize(
    ('name', 'files'),
    [
        ('openvino', ['a.xml', 'a.bin']),
        ('tensorrt', ['a.engine', 'a.json']),
        ('tflite', ['a.tflite', 'a.json']),
    ],
)
def test_every_file_of_a_format_is_removed(tmp_path, name, files):
    for file in files:
        (tmp_path / file).touch()
    remove_export(tmp_path / files[0])
    assert not list(tmp_path.iterdir())


def test_removal_takes_companions_along(tmp_path):
    for name in ('a.param', 'a.bin', 'a.json', 'b.bin'):
        (tmp_path / name).touch()
    remove_export(tmp_path / 'a.param')
    (tmp_path / 'c.mlpackage').mkdir()
    remove_export(tmp_path / 'c.mlpackage')
    assert [path.name for path in tmp_path.iterdir()] == ['b.bin']


def test_the_table_is_light():
    code = 'import sys, mmyolox.export.formats; assert not {"torch", "onnx", "mmdet"} & set(sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True)
