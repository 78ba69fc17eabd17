"""Post-training quantisation: what becomes 8 bits wide, and what must not."""

import functools

import cv2
import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper

from mmyolox.config import load_config
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export import onnx_format
from mmyolox.export.formats import export_model
from mmyolox.export.onnx_format import save_onnx
from mmyolox.export.options import Precision
from mmyolox.export.verify import compare
from tests.export.calm_models import calmed, keeping_options
from tests.export.models import noise, options, small_detector

pytest.importorskip('nncf')


# Fewer layers than YOLOX-Nano: the quantiser takes its time with each.
PLAIN = {f'{part}.use_depthwise': False for part in ('backbone', 'neck', 'bbox_head.head_module')}
PLAIN |= {'backbone.deepen_factor': 0.1, 'neck.deepen_factor': 0.1}


@functools.cache
def plain_detector():
    detector = calmed(small_detector(**PLAIN))
    detector.cfg = load_config('yolox_nano_fast_8xb8-300e_coco')
    return detector


@pytest.fixture
def model():
    return plain_detector()


@pytest.fixture(scope='module')
def precision(tmp_path_factory):
    folder = tmp_path_factory.mktemp('calibration')
    for number, image in enumerate(noise(4, 3, 64, 96)):
        cv2.imwrite(str(folder / f'{number}.png'), image.transpose(1, 2, 0).astype(np.uint8))
    return Precision('int8', folder)


def image():
    return noise(1, 3, 64, 96, seed=5)[0].transpose(1, 2, 0).astype(np.uint8)


def test_openvino_keeps_the_predictions_in_float(model, precision, tmp_path):
    chosen = keeping_options(precision=precision, batch=2)
    path = export_model(FORMATS['openvino'], model, tmp_path / 'a', chosen)
    assert compare(model, ExportedModel(path), chosen, [image()]).fault() is None
    graph = openvino.Core().read_model(path)
    quantised = {
        consumer.get_node().get_type_name()
        for node in graph.get_ops()
        if node.get_type_name() == 'FakeQuantize'
        for consumer in node.output(0).get_target_inputs()
    }
    assert 'Convolution' in quantised
    assert not quantised & {'Exp', 'Sigmoid', 'Transpose'}
    floats = [
        node.get_friendly_name()
        for node in graph.get_ops()
        if node.get_type_name() == 'Convolution'
        and node.input_value(1).get_node().get_type_name() == 'Constant'
    ]
    assert len(floats) == 9
    assert all('multi_level_conv_' in name for name in floats)
    # The sigmoid inside SiLU is part of one operation: what is left are those of scores.
    kinds = [node.get_type_name() for node in graph.get_ops()]
    assert kinds.count('Sigmoid') == 6
    assert kinds.count('FakeQuantize') < 1.3 * kinds.count('Swish')


@pytest.mark.parametrize('symmetric', [True, False])
def test_onnx_nodes(model, precision, tmp_path, symmetric):
    path = tmp_path / 'a.onnx'
    save_onnx(onnx_format.build_onnx(model, options(precision=precision), symmetric), path)
    graph = onnx.load(path)
    weights = {weight.name: weight for weight in graph.graph.initializer}
    floats = [
        node.input[1] for node in graph.graph.node if node.op_type == 'Conv' and node.input[1] in weights
    ]
    wanted = [
        f'multi_level_conv_{part}.{level}.weight' for part in ('cls', 'obj', 'reg') for level in range(3)
    ]
    wanted += ['stem.conv.weight'] if symmetric else []
    assert len(floats) == len(wanted)
    assert all(any(name.endswith(end) for name in floats) for end in wanted)
    quantisers = [node for node in graph.graph.node if node.op_type == 'QuantizeLinear']
    zeros = [numpy_helper.to_array(weights[node.input[2]]) for node in quantisers]
    # TensorRT takes no others.
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros) == symmetric


@pytest.mark.parametrize('name', ['openvino', 'onnx'])
def test_objects_are_found_again(model, precision, tmp_path, name):
    chosen = keeping_options(precision=precision, form='end2end', preprocess=True, dynamic_batch=True)
    path = export_model(FORMATS[name], model, tmp_path / 'a', chosen)
    report = compare(model, ExportedModel(path), chosen, [image(), image()[:50, :80]])
    assert report.objects > 100
    assert report.fault() is None


def test_calibration_image_that_is_none(model, tmp_path):
    (tmp_path / 'a.jpg').write_text('no image')
    with pytest.raises(UserError, match=r'cannot decode the image .*a\.jpg \(.*\); remove or replace it'):
        export_model(FORMATS['onnx'], model, tmp_path / 'a', options(precision=Precision('int8', tmp_path)))


def test_opset_before_scales_had_channels(model, precision, tmp_path):
    with pytest.raises(UserError, match='opset 12: choose one from 13 to 20 for form end2end'):
        export_model(FORMATS['onnx'], model, tmp_path / 'a', options(precision=precision, opset=12))


def test_a_failed_quantisation_leaves_no_file(model, precision, tmp_path, monkeypatch):
    """Above all none in float32 under the name of the one in 8 bits."""
    monkeypatch.setattr('nncf.quantize', lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_model(FORMATS['onnx'], model, tmp_path / 'a', options(precision=precision))
    assert not list(tmp_path.glob('a*'))
