"""mmyolox/deploy/model.py: batches in, detections in pixels of the images out, and what does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from mmyolox.deploy import DeployError, ExportedModel, ModelInfo
from mmyolox.deploy.letterbox import Size, fitted_size, letterbox
from mmyolox.deploy.model import input_batch
from tests.deploy.models import SMALL, rows_of, write_graph

SIZES = [(100, 60), (37, 90), (64, 96), (128, 192), (1, 1), (37, 90)]  # (height, width)


class Recorder:
    """A runtime that keeps its inputs and returns the same rows for each image."""

    output_names, metadata = ('output',), SMALL.to_json()

    def __init__(self, shape, rows=None, dtype=np.float32, outputs=None) -> None:
        self.input_shape, self.input_dtype = shape, np.dtype(dtype)
        self.outputs = [rows_of(SMALL) if rows is None else rows] if outputs is None else outputs
        self.batches = []

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        self.batches.append(batch.copy())
        return [np.stack([output] * len(batch)) for output in self.outputs]


def model_of(runtime, info=SMALL, **kwargs) -> ExportedModel:
    """A model of a given runtime."""
    return ExportedModel('model.onnx', info=info, runtime=runtime, **kwargs)


def images_of(sizes=SIZES, channels=3):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, channels), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize(
    ('batch', 'batch_size', 'lengths'),
    [(None, 8, [6]), (None, 4, [4, 2]), (None, 1, [1] * 6), (1, 8, [1] * 6), (4, 8, [4, 4])],
)
@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
def test_images_of_any_sizes_are_letterboxed_in_batches(batch, batch_size, lengths, colour) -> None:
    runtime = Recorder((batch, 3, 64, 96), dtype=np.float16)
    model = model_of(runtime, replace(SMALL, colour=colour, pad_value=9), batch_size=batch_size)
    images = images_of()
    assert [len(found) for found in model(images)] == [0] * 6
    assert [batch.shape for batch in runtime.batches] == [(length, 3, 64, 96) for length in lengths]
    given = np.concatenate(runtime.batches)
    assert given.dtype == np.float16
    for image, pixels in zip(images, given, strict=False):
        drawn = letterbox(image, Size(96, 64), 9).transpose(2, 0, 1)
        np.testing.assert_array_equal(pixels, drawn[::-1] if colour == 'rgb' else drawn)
    assert not given[6:].any()


def test_no_image_is_no_run() -> None:
    runtime = Recorder((None, 3, 64, 96))
    assert model_of(runtime)([]) == []
    assert not runtime.batches


def test_detections_are_in_pixels_of_each_image() -> None:
    rows = rows_of(SMALL, (48, 32, 20, 10, 1, 0.1, 0.8), (5, 5, 30, 30, 0.9, 0.8, 0))
    model = model_of(Recorder((None, 3, 64, 96), rows))
    for (height, width), found in zip(SIZES, model(images_of()), strict=True):
        new_width, new_height = fitted_size(Size(width, height), Size(96, 64))
        scale = np.tile([new_width / width, new_height / height], 2)
        expected = np.array([[38, 27, 58, 37], [-10, -10, 20, 20]]) / scale
        np.testing.assert_allclose(found.bboxes, expected.clip(0, [width, height, width, height]), rtol=1e-5)
        np.testing.assert_allclose(found.scores, [0.8, 0.72])
        assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(('batch', 'lengths'), [(None, [1, 3, 1]), (2, [2, 2, 2, 2])])
def test_with_preprocessing_the_graph_gets_neighbours_of_one_size(batch, lengths) -> None:
    info = replace(SMALL, preprocessing=True)
    runtime = Recorder((batch, None, None, 3), rows_of(SMALL, (48, 32, 20, 10, 0.9, 0.1, 0.8)), np.uint8)
    images = images_of([(64, 96), (128, 192), (128, 192), (128, 192), (64, 96)])
    found = model_of(runtime, info)(images)
    assert [len(given) for given in runtime.batches] == lengths
    assert {given.shape[1:] for given in runtime.batches[1:-1]} == {(128, 192, 3)}
    np.testing.assert_array_equal(runtime.batches[0][0], images[0])
    assert runtime.batches[0].dtype == np.uint8
    np.testing.assert_allclose(found[0].bboxes, [[38, 27, 58, 37]])
    np.testing.assert_allclose(found[1].bboxes, [[76, 54, 116, 74]])


@pytest.mark.parametrize('preprocessing', [False, True])
def test_detections_of_the_graph_itself(tmp_path: Path, preprocessing: bool) -> None:
    info = replace(
        SMALL,
        form='end2end',
        preprocessing=preprocessing,
        points=('nose', 'tail'),
        score_thr=0.1,
        max_per_img=3,
    )
    outputs = dict(
        labels=np.array([1, 0, -1]),
        points=np.arange(18, dtype=np.float32).reshape(3, 2, 3),
        num=np.int64(2),
        scores=np.float32([0.9, 0.2, 0]),
        bboxes=np.float32([[1, 2, 30, 40], [0, 0, 99, 9], [0, 0, 0, 0]]),
    )
    shape = ('batch', 'height', 'width', 3) if preprocessing else ('batch', 3, 64, 96)
    dtype = TensorProto.UINT8 if preprocessing else TensorProto.FLOAT
    path = write_graph(tmp_path / 'm.onnx', outputs, info, shape, dtype=dtype)
    scale = 1 if preprocessing else 2  # pixels of the image a pixel of the input
    (found,) = ExportedModel(path)(images_of([(128, 192)]))
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(
        found.bboxes,
        np.float32([[1, 2, 30, 40], [0, 0, min(99 * scale, 192), 9]]) * [[scale] * 4, [1, 1, 1, scale]],
    )
    np.testing.assert_allclose(found.points[:, :, :2], outputs['points'][:2, :, :2] * scale)
    np.testing.assert_array_equal(found.points[:, :, 2], outputs['points'][:2, :, 2])
    for score_thr, count in (0.1, 2), (0.2, 1):  # what scores as much as the threshold is none
        assert len(ExportedModel(path, score_thr=score_thr)(images_of([(128, 192)]))[0]) == count
    (best,) = ExportedModel(path, score_thr=0.5)(images_of([(128, 192)]))
    assert (best.labels.tolist(), best.points.shape) == ([1], (1, 2, 3))
    with pytest.raises(DeployError, match=r'score_thr=0\.05: the graph of .* more than 0\.1'):
        ExportedModel(path, score_thr=0.05)


def test_thresholds_and_size_can_be_chosen() -> None:
    rows = rows_of(replace(SMALL, input_size=(32, 64)), (10, 10, 8, 8, 1, 0.4, 0), (30, 10, 8, 8, 1, 0.2, 0))
    runtime = Recorder((None, 3, None, None), rows)
    model = model_of(runtime, score_thr=0.1, input_size=(32, 64))
    assert (model.info.score_thr, model.info.input_size) == (0.1, (32, 64))
    assert [len(found) for found in model(images_of())] == [2] * 6
    assert runtime.batches[0].shape[2:] == (32, 64)
    assert [len(found) for found in model_of(runtime, input_size=(32, 64))(images_of())] == [1] * 6


def test_a_grey_model_takes_grey_images() -> None:
    runtime = Recorder((None, 1, 64, 96))
    model = model_of(runtime)
    assert model.channels == 1
    model(images_of([(30, 30)], channels=1))
    assert runtime.batches[0].shape == (1, 1, 64, 96)


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3), np.float32),
        np.zeros((0, 9, 3), np.uint8),
    ],
    ids=['grey', 'alpha', 'float', 'empty'],
)
def test_an_image_of_another_form(image) -> None:
    with pytest.raises(DeployError, match=r'an image of shape .* needs \(h, w, 3\), uint8'):
        model_of(Recorder((None, 3, 64, 96)))([image])


def test_a_graph_that_takes_one_size_of_images() -> None:
    runtime = Recorder((1, 128, 192, 3), dtype=np.uint8)
    model = model_of(runtime, replace(SMALL, preprocessing=True))
    model(images_of([(128, 192)]))
    with pytest.raises(DeployError, match=r'an image of 128 x 190 pixels: .* takes 128 x 192'):
        model(images_of([(128, 190)]))


@pytest.mark.parametrize(
    ('shape', 'kwargs', 'message'),
    [
        ((None, 3, 64, 64), {}, r'its input has shape \(None, 3, 64, 64\); .* is \(B, channels, 64, 96\)'),
        ((None, 64, 96), {}, 'its input has shape'),
        ((None, None, 64, 96), {}, 'its input has shape'),
        ((None, 3, 64, 96), dict(input_size=(32, 32)), r'is \(B, channels, 32, 32\)'),
        ((None, 3, None, None), dict(input_size=(32, 40)), r'input_size=\(32, 40\): .* multiples of 32'),
        ((None, 3, 64, 96), dict(batch_size=0), 'batch_size=0: at least 1'),
    ],
)
def test_a_graph_that_does_not_fit_the_info(shape, kwargs, message) -> None:
    with pytest.raises(DeployError, match=message):
        model_of(Recorder(shape), **kwargs)


@pytest.mark.parametrize(
    ('info', 'outputs', 'message'),
    [
        (ModelInfo(('cat',), (64, 96)), [rows_of(SMALL)], r'1 classes .* has \(B, 126, 6\)'),
        (replace(SMALL, points=('nose',)), [rows_of(SMALL)], r'and 1 keypoints .* has \(B, 126, 10\)'),
        (replace(SMALL, strides=(8, 16)), [rows_of(SMALL)], r'has \(B, 120, 7\)'),
        (SMALL, [rows_of(SMALL), rows_of(SMALL)], r'outputs of shape \(1, 126, 7\), \(1, 126, 7\)'),
        (replace(SMALL, form='end2end'), [rows_of(SMALL)], 'bboxes, labels, num, scores is missing'),
        (
            replace(SMALL, form='end2end', points=('nose',)),
            [rows_of(SMALL)],
            'num, points, scores is missing',
        ),
    ],
)
def test_outputs_that_do_not_fit_the_info(info, outputs, message) -> None:
    with pytest.raises(DeployError, match=message):
        model_of(Recorder((None, 3, 64, 96), outputs=outputs), info)(images_of([(64, 96)]))


def test_a_graph_that_letterboxes_has_its_size() -> None:
    runtime = Recorder((None, None, None, 3), np.uint8)
    with pytest.raises(
        DeployError, match=r'input_size=\(96, 64\): .* letterboxes images itself, to \(64, 96\)'
    ):
        model_of(runtime, replace(SMALL, preprocessing=True), input_size=(96, 64))


def test_a_foreign_file_needs_an_info(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / 'foreign.onnx', dict(output=rows_of(SMALL, (9, 9, 4, 4, 1, 1, 0))), info=None
    )
    with pytest.raises(
        DeployError, match=r'foreign\.onnx: it does not say .* info=ModelInfo.* to foreign\.json'
    ):
        ExportedModel(path)
    assert len(ExportedModel(path, info=SMALL)(images_of([(64, 96)]))[0]) == 1
    path.with_suffix('.json').write_text(SMALL.to_json())
    assert ExportedModel(path).info == SMALL
    path.with_suffix('.json').write_text('{}')
    with pytest.raises(DeployError, match=r'foreign\.json: model info: classes and input_size is missing'):
        ExportedModel(path)


def test_what_a_file_says_itself_goes_before_the_file_beside_it(tmp_path: Path) -> None:
    path = write_graph(tmp_path / 'own.onnx', dict(output=rows_of(SMALL)))
    path.with_suffix('.json').write_text(replace(SMALL, classes=('left', 'over')).to_json())
    assert ExportedModel(path).info == SMALL


@pytest.mark.parametrize('preprocessing', [False, True])
def test_a_graph_with_suppression_of_a_fixed_batch_and_other_types(preprocessing: bool) -> None:
    outputs = [np.int32(1), np.float16([[1, 2, 30, 40]]), np.float16([0.5]), np.int32([1])]
    shape = (4, 64, 96, 3) if preprocessing else (4, 3, 64, 96)
    runtime = Recorder(shape, dtype=np.uint8 if preprocessing else np.float32, outputs=outputs)
    runtime.output_names = ('num', 'bboxes', 'scores', 'labels')
    model = model_of(runtime, replace(SMALL, form='end2end', preprocessing=preprocessing))
    first, second = model(images_of([(64, 96), (64, 96)]))
    assert first.bboxes.tolist() == second.bboxes.tolist() == [[1, 2, 30, 40]]
    kinds = (first.bboxes.dtype, first.scores.dtype, first.labels.dtype)
    assert kinds == (np.float32, np.float32, np.int64)


def test_rows_in_half_precision_are_decoded_in_full() -> None:
    rows = rows_of(SMALL, (48, 32, 20, 10, 0.9, 0.1, 0.8)).astype(np.float16)
    (found,) = model_of(Recorder((None, 3, 64, 96), rows))(images_of([(64, 96)]))
    assert found.scores.tolist() == [np.float32(rows[0, 4]) * np.float32(rows[0, 6])]


def test_a_graph_with_preprocessing_gets_the_channels_in_its_order() -> None:
    runtime = Recorder((None, None, None, 3), dtype=np.uint8)
    (image,) = images_of([(30, 50)])
    model_of(runtime, replace(SMALL, preprocessing=True, colour='rgb'))([image])
    np.testing.assert_array_equal(runtime.batches[0][0], image[..., ::-1])


@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
@pytest.mark.parametrize(('preprocessing', 'dtype'), [(False, np.float32), (True, np.uint8)])
def test_images_as_the_graph_takes_them(colour, preprocessing, dtype):
    info = ModelInfo(('a',), (64, 96), colour=colour, preprocessing=preprocessing, pad_value=7)
    images = images_of([(30, 50), (30, 50)])
    given = input_batch(images, info, np.dtype(dtype), 3)
    ordered = [image[..., ::-1] if colour == 'rgb' else image for image in images]
    if not preprocessing:
        ordered = [letterbox(image, Size(96, 64), 7).transpose(2, 0, 1) for image in ordered]
    assert given.dtype == dtype
    assert given.flags.c_contiguous
    np.testing.assert_array_equal(given, [*ordered, np.zeros_like(ordered[0])])
    np.testing.assert_array_equal(input_batch(images, info, np.dtype(dtype)), given[:2])
