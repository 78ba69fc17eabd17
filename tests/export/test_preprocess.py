"""Letterboxing inside the graph against the test pipeline's."""

import numpy as np
import onnx
import onnxruntime
import pytest

from mmyolox.datasets.canvas.geometry import fit_matrix
from mmyolox.datasets.transforms import Letterbox, Sample, begin_scene
from mmyolox.deploy import ModelInfo
from mmyolox.deploy.letterbox import Size
from mmyolox.export.preprocess import letterbox_graph
from tests.export.models import (
    assert_agree,
    expected_detections,
    expected_predictions,
    export_onnx,
    options,
    run,
    shared_detector,
)


def photographs(count, height, width, channels=3, seed=0):
    """Images (B, H, W, channels) uint8 with edges and slopes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    slopes = (x[..., None] * rng.uniform(-1, 1, channels) + y[..., None] * rng.uniform(-1, 1, channels)) % 256
    patches = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, channels))
    patches = patches.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return np.where(patches > 128, patches, slopes).astype(np.uint8)


def letterboxed(image, size):
    """What the test pipeline makes of an image for an input ``size`` (h, w): (h, w, channels) uint8."""
    return Letterbox()(begin_scene(Sample(img_scale=Size.of_shape(size)), image))['img']


def apply(images, size, channels=3, batch='batch', opset=17):
    info = ModelInfo(classes=('a',), input_size=size)
    graph = letterbox_graph(info, channels, batch, opset)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, dict(images=images))


@pytest.mark.parametrize('opset', [13, 20])
@pytest.mark.parametrize('size', [(64, 64), (64, 96), (96, 64)])
@pytest.mark.parametrize('shape', [(48, 64), (64, 64), (33, 127), (200, 31), (1, 1), (1, 300), (600, 1)])
def test_equals_the_transform(shape, size, opset):
    images = photographs(2, *shape)
    inputs, scale, limit = apply(images, size, opset=opset)
    wanted = np.stack([letterboxed(image, size) for image in images])
    assert inputs.shape == (2, 3, *size)
    apart = np.abs(inputs.transpose(0, 2, 3, 1) - wanted)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.2
    np.testing.assert_allclose(
        scale, fit_matrix(Size.of_shape(shape), Size.of_shape(size)).diagonal()[:2], rtol=1e-6
    )
    assert limit.tolist() == [shape[1], shape[0]]


def test_sides_for_all_shapes():
    # 600 pixels at 416/600 are 416, and not 415.
    for height in range(1, 700, 23):
        for width in (1, 2, 5, 77, 416, 600, 640):
            scale = apply(np.zeros((1, height, width, 1), np.uint8), (416, 320), channels=1)[1]
            matrix = fit_matrix(Size(width, height), Size(320, 416))
            np.testing.assert_allclose(scale, matrix.diagonal()[:2], rtol=1e-6)


@pytest.mark.parametrize('channels', [1, 4])
def test_other_channels(channels):
    images = photographs(1, 50, 40, channels)
    inputs = apply(images, (64, 64), channels, batch=1)[0]
    assert np.abs(inputs[0].transpose(1, 2, 0) - letterboxed(images[0], (64, 64))).max() <= 1


@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
def test_rows_of_images(tmp_path, colour):
    model = shared_detector()
    path = export_onnx(model, tmp_path / 'a.onnx', options(preprocess=True, colour=colour, batch=2))
    images = photographs(2, 64, 96)
    given = images[..., ::-1].copy() if colour == 'rgb' else images
    wanted = expected_predictions(model, images.transpose(0, 3, 1, 2).astype(np.float32), True)
    np.testing.assert_allclose(run(path, given)['output'], wanted, rtol=1e-2, atol=1e-2)


def test_detections_in_pixels_of_the_images(tmp_path):
    model = shared_detector()
    chosen = options((96, 64), form='end2end', preprocess=True, dynamic_batch=True, simplify=True)
    path = export_onnx(model, tmp_path / 'a.onnx', chosen)
    for count, height, width in (1, 192, 128), (4, 384, 96), (2, 192, 200):
        # Squares of grey that stay whole when scaled by halves or quarters: equal inputs in both.
        images = photographs(count, height // 8, width // 8).repeat(8, axis=1).repeat(8, axis=2)
        found = run(path, images)
        inputs = apply(images, (96, 64))[0]
        matrix = fit_matrix(Size(width, height), Size(64, 96))
        wanted = expected_detections(model, inputs, matrix, (height, width))
        assert found['num'].min() > 0
        assert_agree(found, wanted)
        bboxes = found['bboxes']
        assert bboxes.min() >= 0
        assert bboxes[..., ::2].max() <= width
        assert bboxes[..., 1::2].max() <= height
