"""What users of mmyolox.deploy get wrong is told in one line that says what to do."""

import os
from pathlib import Path

import numpy as np
import pytest

from mmyolox.deploy import DeployError, ExportedModel, ModelInfo
from mmyolox.deploy.runtimes import open_runtime
from tests.deploy.models import SMALL, rows_of, write_graph

IMAGE = np.zeros((30, 40, 3), np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> ExportedModel:
    return ExportedModel(write_graph(tmp_path / 'm.onnx', dict(output=rows_of(SMALL))))


@pytest.mark.parametrize(
    ('image', 'kind'),
    [
        (None, 'None, which OpenCV returns for a file that it cannot read'),
        ('a.jpg', 'a str'),
        (Path('a.jpg'), 'a [A-Za-z]*Path'),
        (IMAGE.tolist(), 'a list'),
    ],
)
def test_an_image_that_is_no_array(model, image, kind) -> None:
    with pytest.raises(DeployError, match=rf'an image is {kind}: .*m\.onnx needs arrays \(h, w, 3\), uint8'):
        model([image])


@pytest.mark.parametrize(
    ('images', 'kind'),
    [
        (IMAGE, r'an array \(30, 40, 3\)'),
        (IMAGE[..., 0], r'an array \(30, 40\)'),
        ('photos', 'a str'),
        (Path('photos'), 'a [A-Za-z]*Path'),
        (None, 'a NoneType'),
    ],
)
def test_one_image_without_a_list(model, images, kind) -> None:
    with pytest.raises(DeployError, match=rf'images={kind}: .* a list of arrays \(h, w, channels\)'):
        model(images)


@pytest.mark.parametrize('images', [(IMAGE, IMAGE), np.stack([IMAGE] * 2), (IMAGE for _ in range(2))])
def test_images_may_come_in_any_collection(model, images) -> None:
    assert [len(found) for found in model(images)] == [0, 0]


def test_a_batch_size_of_0_for_a_graph_of_fixed_batch(tmp_path: Path) -> None:
    path = write_graph(tmp_path / 'm.onnx', dict(output=rows_of(SMALL)), shape=(1, 3, 64, 96))
    with pytest.raises(DeployError, match='batch_size=0: at least 1'):
        ExportedModel(path, batch_size=0)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(classes=['cat', 'dog']), r'needed is a tuple of at least one name'),
        (dict(classes=('cat', ...)), r'needed is a tuple of at least one name'),
        (dict(input_size=[64, 96]), r'needed is a tuple \(height, width\)'),
        (dict(input_size=640), r'needed is a tuple \(height, width\)'),
        (dict(max_per_img=0), 'max_per_img=0; needed is a number from 1, or -1 for all'),
        (dict(nms_pre=0), 'nms_pre=0; needed is a number from 1, or -1 for all'),
    ],
)
def test_an_info_that_is_not_as_it_should_be(values, message) -> None:
    with pytest.raises(DeployError, match=message):
        ModelInfo(**dict(classes=('cat',), input_size=(64, 96)) | values)


def test_a_file_beside_the_model_in_another_encoding(tmp_path: Path) -> None:
    path = write_graph(tmp_path / 'm.onnx', dict(output=rows_of(SMALL)), info=None)
    path.with_suffix('.json').write_text(SMALL.to_json(), encoding='utf-8-sig')  # as editors of Windows do
    assert ExportedModel(path).info == SMALL
    path.with_suffix('.json').write_bytes(b'{"classes": ["na\xefve"]}')
    with pytest.raises(DeployError, match=r'm\.json: model info: not JSON'):
        ExportedModel(path)


@pytest.mark.parametrize('name', ['yolox.pth', 'yolox.pt', 'photos'])
def test_a_file_that_is_no_export(name: str) -> None:
    with pytest.raises(DeployError, match=rf'{name}: .*; mmyolox export makes one of a checkpoint'):
        open_runtime(name)


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b'odd\xff')
    folder.mkdir()
    path = write_graph(tmp_path / 'm.onnx', dict(output=rows_of(SMALL)), info=SMALL).rename(folder / 'm.onnx')
    with pytest.raises(DeployError, match=r'odd\\udcff/m\.onnx: .* in UTF-8 only; rename it'):
        open_runtime(path)
