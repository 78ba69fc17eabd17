"""ONNX files of the network alone, in ONNX Runtime against PyTorch."""

import json

import numpy as np
import onnx
import pytest

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export import onnx_format
from mmyolox.export.formats import export_model
from tests.export.models import CLOSE, expected_predictions, export_onnx, noise, options, run, shared_detector


@pytest.fixture
def model():
    return shared_detector()


@pytest.mark.parametrize('form', ['raw', 'decoded'])
@pytest.mark.parametrize('focus', ['conv', 'slices'])
def test_rows_in_the_runtime(model, tmp_path, form, focus):
    path = export_onnx(model, tmp_path / 'a.onnx', options(form=form, focus=focus, batch=2))
    images = noise(2, 3, 64, 96)
    outputs = run(path, images)
    assert list(outputs) == ['output']
    assert outputs['output'].shape == (2, 126, 8)
    np.testing.assert_allclose(
        outputs['output'], expected_predictions(model, images, form == 'decoded'), **CLOSE
    )


@pytest.mark.parametrize('simplify', [True, False])
def test_any_batch_and_size(model, tmp_path, simplify):
    chosen = options((64, 64), dynamic_batch=True, dynamic_size=True, simplify=simplify)
    path = export_onnx(model, tmp_path / 'a.onnx', chosen)
    for shape in (1, 3, 64, 96), (4, 3, 32, 64), (2, 3, 96, 32):
        images = noise(*shape)
        np.testing.assert_allclose(
            run(path, images)['output'], expected_predictions(model, images, True), **CLOSE
        )


def test_shapes_are_fixed_unless_asked_for(model, tmp_path):
    def shapes(**kwargs):
        graph = onnx.load(export_onnx(model, tmp_path / 'a.onnx', options(**kwargs))).graph
        values = (graph.input[0], graph.output[0])
        return [[dim.dim_param or dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in values]

    assert shapes() == [[1, 3, 64, 96], [1, 126, 8]]
    assert shapes(dynamic_batch=True, simplify=True) == [['batch', 3, 64, 96], ['batch', 126, 8]]
    assert shapes(dynamic_size=True)[0] == [1, 3, 'height', 'width']


def test_the_simplified_graph_is_small(model, tmp_path):
    chosen = options(dynamic_batch=True, simplify=True)
    graph = onnx.load(export_onnx(model, tmp_path / 'a.onnx', chosen)).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds[0] == 'Conv', 'Focus is a convolution'
    assert not {'BatchNormalization', 'Shape', 'Constant', 'Identity', 'Gather'}.intersection(kinds)
    assert (kinds.count('Transpose'), kinds.count('Reshape')) == (1, 9)


def test_metadata(model, tmp_path):
    path = export_onnx(model, tmp_path / 'a.onnx', options(form='raw', score_thr=0.25))
    content = onnx.load(path)
    (entry,) = content.metadata_props
    info = ModelInfo.from_json(entry.value)
    assert (entry.key, content.producer_name) == ('mmyolox', 'mmyolox')
    assert (info.form, info.score_thr, info.classes) == ('raw', 0.25, model.dataset_meta['classes'])
    assert json.loads(entry.value)['input_size'] == [64, 96]


@pytest.mark.parametrize('opset', [11, 12, 13, 20])
def test_versions_of_operators(model, tmp_path, opset):
    path = export_onnx(model, tmp_path / 'a.onnx', options(opset=opset, simplify=opset == 11))
    assert onnx.load(path).opset_import[0].version == opset
    images = noise(1, 3, 64, 96)
    np.testing.assert_allclose(
        run(path, images)['output'], expected_predictions(model, images, True), **CLOSE
    )


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(opset=99), 'opset 99: choose one from 11 to 20'),
        (dict(opset=5), 'opset 5: choose one from 11 to 20'),
        (
            dict(opset=12, form='end2end'),
            'opset 12: choose one from 13 to 20 for form end2end',
        ),
        (dict(opset=11, preprocess=True), 'opset 11: choose one from 13'),
    ],
)
def test_versions_that_there_are_not(model, tmp_path, kwargs, message):
    with pytest.raises(UserError, match=message):
        export_onnx(model, tmp_path / 'a.onnx', options(**kwargs))
    assert not list(tmp_path.iterdir())


def test_an_older_onnx_package_limits_the_version(model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_format.onnx.defs, 'onnx_opset_version', lambda: 15)
    with pytest.raises(UserError, match='opset 17: choose one from 11 to 15'):
        export_onnx(model, tmp_path / 'a.onnx', options(opset=17))


def test_the_folder_is_made_or_named(model, tmp_path, monkeypatch):
    assert export_model(FORMATS['onnx'], model, tmp_path / 'new' / 'deep' / 'a', options()).is_file()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r'file/a\.onnx cannot be written: .*; name another folder'):
        export_model(FORMATS['onnx'], model, tmp_path / 'file' / 'a.onnx', options())

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(onnx_format.onnx, 'save', full)
    with pytest.raises(UserError, match=r'a\.onnx cannot be written: No space left on device'):
        export_model(FORMATS['onnx'], model, tmp_path / 'a.onnx', options())


def test_a_failing_export_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / 'a.onnx'
    path.write_text('old')
    monkeypatch.setattr(onnx_format.onnx, 'save', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(model, path, options())
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]
