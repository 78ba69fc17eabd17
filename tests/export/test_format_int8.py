"""Post-training quantisation: what becomes 8 bits wide, and what must not."""

import cv2
import numpy as np
import onnx
import openvino
import pytest
from export_models import noise, options, small_detector
from onnx import numpy_helper

from mmyolox.deploy import ExportedModel
from mmyolox.export import onnx_graph
from mmyolox.export.formats import FORMATS
from mmyolox.export.precision import Precision
from mmyolox.utils import UserError
from mmyolox.utils.config import load_config

pytest.importorskip('nncf')


@pytest.fixture(scope='module')
def model():
    detector = small_detector()
    detector.cfg = load_config('yolox_nano_fast_8xb8-300e_coco')
    return detector


@pytest.fixture(scope='module')
def precision(tmp_path_factory):
    folder = tmp_path_factory.mktemp('calibration')
    for number, image in enumerate(noise(4, 3, 64, 96)):
        cv2.imwrite(str(folder / f'{number}.png'), image.transpose(1, 2, 0).astype(np.uint8))
    return Precision('int8', folder)


def image():
    return noise(1, 3, 64, 96, seed=5)[0].transpose(1, 2, 0).astype(np.uint8)


def test_openvino_keeps_the_predictions_in_float(model, precision, tmp_path):
    path = FORMATS['openvino'].export(model, tmp_path / 'a', options(precision=precision))
    graph = openvino.Core().read_model(path)
    quantised = {
        consumer.get_node().get_type_name()
        for node in graph.get_ops()
        if node.get_type_name() == 'FakeQuantize'
        for consumer in node.output(0).get_target_inputs()
    }
    assert 'Convolution' in quantised
    assert not quantised & {'Exp', 'Sigmoid', 'Transpose'}
    # The sigmoid inside SiLU is part of one operation: what is left are those of scores.
    kinds = [node.get_type_name() for node in graph.get_ops()]
    assert kinds.count('Sigmoid') == 6
    assert kinds.count('FakeQuantize') < 1.3 * kinds.count('Swish')


def last_convolutions(graph):
    """The head's predictors: what feeds the sigmoids of scores, and the boxes."""
    readers = {}
    for node in graph.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return [
        node
        for node in graph.graph.node
        if node.op_type == 'Conv'
        and not any(reader.op_type == 'Mul' for reader in readers[node.output[0]])
    ]


@pytest.mark.parametrize('symmetric', [True, False])
def test_onnx_nodes(model, precision, tmp_path, symmetric):
    path = tmp_path / 'a.onnx'
    onnx_graph.write(model, path, options(precision=precision), symmetric)
    graph = onnx.load(path)
    made = {name: node.op_type for node in graph.graph.node for name in node.output}
    convolutions = [node for node in graph.graph.node if node.op_type == 'Conv']
    floats = [node for node in convolutions if made.get(node.input[0]) != 'DequantizeLinear']
    lasts = [node for node in last_convolutions(graph) if node.output[0] not in made or True]
    assert len(lasts) == 9
    names = {node.name for node in floats}
    assert {node.name for node in lasts} <= names
    assert (convolutions[0].name in names) == symmetric
    assert len(floats) == 9 + symmetric
    zeros = {
        (array.dtype.name, bool(array.any()))
        for node in graph.graph.node
        if node.op_type == 'QuantizeLinear'
        for array in [numpy_helper.to_array(next(w for w in graph.graph.initializer if w.name == node.input[2]))]
    }
    assert (zeros == {('int8', False)}) == symmetric


@pytest.mark.parametrize('asked', [dict(), dict(form='end2end', preprocess=True, dynamic_batch=True), dict(batch=2)])
@pytest.mark.parametrize('name', ['openvino', 'onnx'])
def test_objects_are_found_again(model, precision, tmp_path, name, asked):
    found = []
    for chosen in precision, Precision():
        path = FORMATS[name].export(model, tmp_path / chosen.name, options(precision=chosen, **asked))
        found.append(ExportedModel(path)([image()])[0])
    small, full = found
    assert len(full) > 10
    assert abs(len(small) - len(full)) < 0.3 * len(full)
    np.testing.assert_allclose(small.scores[:3], full.scores[:3], atol=0.15)


def test_calibration_image_that_is_none(model, tmp_path):
    (tmp_path / 'a.jpg').write_text('no image')
    with pytest.raises(UserError, match=r'a\.jpg: it cannot be read'):
        FORMATS['onnx'].export(model, tmp_path / 'a', options(precision=Precision('int8', tmp_path)))


def test_opset_before_scales_had_channels(model, precision, tmp_path):
    with pytest.raises(UserError, match='opset 12: precision int8 needs 13'):
        FORMATS['onnx'].export(model, tmp_path / 'a', options(precision=precision, opset=12))
