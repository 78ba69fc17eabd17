"""The tools on a pose model: image_demo.py, browse_dataset.py and both test.py draw and list keypoints."""

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from mmyolox.apis import detect, init_detector
from mmyolox.apis.drawing import YOLOXVisualizer, build_visualizer
from mmyolox.config import load_config
from mmyolox.deploy.letterbox import Size
from mmyolox.export.options import ExportOptions
from mmyolox.registry import DATASETS, MODELS
from tests.export.models import export_onnx
from tests.integration.runs import run_tool, succeed
from tests.tools.tool_loading import load_tool

ROOT = Path(__file__).parents[3]
image_demo = load_tool('image_demo.py')
browse = load_tool('analysis_tools/browse_dataset.py')
evaluate, export = load_tool('deployment/test.py'), load_tool('deployment/export.py')

CONFIG = ROOT / 'projects/yolox_pose/configs/yolox-pose_nano_1xb8-50e_custom.py'
CLASSES = ('disk', 'box', 'triangle', 'star')
NAMES = ['head', 'left', 'right', 'tail', 'centre']


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """Generated shapes with keypoints: 4 and 3 images of 64 pixels."""
    folder = tmp_path_factory.mktemp('shapes')
    maker, scenes = (load_tool(f'dataset_converters/{name}.py') for name in ('make_shapes', 'shape_scenes'))
    for split, count in (('train', 4), ('val', 3)):
        maker.write_split(folder, split, count, 0, scenes.Settings(width=64, height=64))
    return folder


def options(data):
    return dict(data_root=f'{data}/', img_scale=(64, 64))


def as_arguments(data):
    return ('--cfg-options', f'data_root={data}/', 'img_scale=(64,64)')


@pytest.fixture(scope='module')
def checkpoint(shapes, tmp_path_factory):
    """Random weights that find many objects, with what a training records of its data."""
    cfg = load_config(CONFIG, options(shapes))
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    path = tmp_path_factory.mktemp('weights') / 'w.pth'
    recorded = DATASETS.build(cfg.train_dataloader.dataset).metainfo
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=recorded)), path)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    def call(tool, *args):
        monkeypatch.setattr(sys, 'argv', [tool.__name__, *map(str, args)])
        tool.main()
        return capsys.readouterr().out

    return call


def demo(run, source, checkpoint, out, data):
    run(
        image_demo, source, CONFIG, checkpoint, '--out-dir', out, '--device', 'cpu', '--score-thr', 0.2,
        *as_arguments(data),
    )  # fmt: skip
    return json.loads((out / 'predictions.json').read_text())


def loaded_by_pycocotools(path, results):
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=image) for image in {entry['image_id'] for entry in results}],
        annotations=[],
        categories=[dict(id=i + 1, name=name, keypoints=NAMES) for i, name in enumerate(CLASSES)],
    )
    truth.createIndex()
    return truth.loadRes(str(path))


def test_images_of_a_folder_without_the_data_set(run, shapes, checkpoint, tmp_path):
    """The checkpoint knows the classes and the skeleton."""
    out, absent = tmp_path / 'out', tmp_path / 'absent'
    results = demo(run, shapes / 'images/val', checkpoint, out, absent)
    model = init_detector(CONFIG, checkpoint, 'cpu', options(absent))
    visualizer = build_visualizer(model.cfg, model.dataset_meta)
    images = sorted((shapes / 'images/val').iterdir())
    number = 0
    for image, sample in zip(images, detect(model, images), strict=True):
        found = sample.pred_instances[sample.pred_instances.scores >= 0.2]
        assert len(found) > 0
        picture = visualizer.draw(cv2.imread(str(image)), found)
        boxes = YOLOXVisualizer.draw(visualizer, cv2.imread(str(image)), found)
        assert (picture != boxes).any()
        compressed = cv2.imdecode(cv2.imencode(image.suffix, picture)[1], cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(cv2.imread(str(out / image.name)), compressed)
        for keypoints, scores in zip(found.keypoints, found.keypoint_scores, strict=True):
            expected = torch.cat([keypoints, scores[:, None]], dim=1).flatten()
            np.testing.assert_allclose(results[number]['keypoints'], expected, atol=0.05)
            assert len(expected) == 3 * len(NAMES)
            number += 1
    assert number == len(results)
    loaded = loaded_by_pycocotools(out / 'predictions.json', results)
    assert [loaded.cats[loaded.anns[key + 1]['category_id']]['name'] for key in range(number)] == [
        entry['class_name'] for entry in results
    ]


def test_a_checkpoint_that_recorded_nothing(run, shapes, checkpoint, tmp_path):
    """As those of other projects: the config and its data say what there is."""
    weights = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=weights), tmp_path / 'bare.pth')
    torch.save(
        dict(state_dict=weights, meta=dict(dataset_meta=dict(classes=CLASSES))), tmp_path / 'classes.pth'
    )
    image = next((shapes / 'images/val').iterdir())
    expected = demo(run, image, checkpoint, tmp_path / 'out', shapes)
    for name in ('bare', 'classes'):
        assert demo(run, image, tmp_path / f'{name}.pth', tmp_path / name, shapes) == expected


def test_a_video(run, shapes, checkpoint, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (64, 64))
    images = sorted((shapes / 'images/train').iterdir())
    for image in images:
        writer.write(cv2.imread(str(image)))
    writer.release()
    results = demo(run, tmp_path / 'clip.avi', checkpoint, tmp_path / 'out', shapes)
    assert {entry['frame'] for entry in results} == set(range(len(images)))
    assert {len(entry['keypoints']) for entry in results} == {3 * len(NAMES)}
    loaded_by_pycocotools(tmp_path / 'out/predictions.json', results)
    capture = cv2.VideoCapture(str(tmp_path / 'out/clip.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(images)


def test_a_detectors_visualizer_shows_boxes_alone(run, shapes, checkpoint, tmp_path):
    image = next((shapes / 'images/val').iterdir())
    arguments = (image, CONFIG, checkpoint, '--out-dir', tmp_path, '--device', 'cpu', *as_arguments(shapes))
    run(image_demo, *arguments, 'visualizer.type=YOLOXVisualizer')
    results = json.loads((tmp_path / 'predictions.json').read_text())
    assert results
    assert not any('keypoints' in entry for entry in results)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_samples_are_browsed_with_their_keypoints(run, shapes, tmp_path, split):
    pictures = {}
    for kind in ('YOLOXVisualizer', 'YOLOXPoseVisualizer'):
        out = tmp_path / kind
        arguments = (CONFIG, '--split', split, '--out-dir', out, *as_arguments(shapes))
        run(browse, *arguments, f'visualizer.type={kind}')
        pictures[kind] = cv2.imread(str(out / 'contact_sheet.jpg')).astype(int)
    boxes, poses = pictures.values()
    changed = np.abs(poses - boxes).max(axis=2) > 100
    assert 0 < changed.mean() < 0.3


@pytest.mark.parametrize('extra', [(), ('--tta',)], ids=str)
def test_an_evaluation_writes_pictures_and_keypoints(shapes, checkpoint, tmp_path, extra):
    data = shutil.copytree(shapes, tmp_path / 'data')
    out, shown = tmp_path / 'found.json', tmp_path / 'shown'
    arguments = ('--out', out, '--show-dir', shown, '--work-dir', tmp_path / 'work', *extra)
    succeed(run_tool('test.py', CONFIG, checkpoint, *arguments, *as_arguments(data), 'val_num_workers=0'))
    images = sorted((data / 'images/val').iterdir())
    assert sorted(path.name for path in shown.iterdir()) == [path.name for path in images]
    assert {cv2.imread(str(path)).shape for path in shown.iterdir()} == {(64, 128, 3)}
    results = json.loads((tmp_path / 'found.keypoints.json').read_text())
    assert (tmp_path / 'found.bbox.json').exists()
    assert {len(entry['keypoints']) for entry in results} == {3 * len(NAMES)}

    cfg = load_config(CONFIG, options(data))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    visualizer = build_visualizer(cfg, dataset.metainfo)
    for info in map(dataset.get_data_info, range(len(dataset))):
        image, picture = cv2.imread(info['img_path']), cv2.imread(str(shown / Path(info['img_path']).name))
        truth = InstanceData(**{name: info[name] for name in ('bboxes', 'labels', 'keypoints')})
        expected, boxes = visualizer.draw(image, truth), YOLOXVisualizer.draw(visualizer, image, truth)
        # Compressed, but nearest to the right picture.
        distances = [np.abs(picture[:, :64] - other.astype(float)).mean() for other in (expected, boxes)]
        assert distances[0] < distances[1]
        assert np.abs(picture[:, 64:] - image.astype(float)).mean() > distances[0]


@pytest.fixture(scope='module')
def exported(shapes, checkpoint, tmp_path_factory):
    model = init_detector(CONFIG, checkpoint, 'cpu', options(shapes))
    path = tmp_path_factory.mktemp('exported') / 'w.onnx'
    return export_onnx(model, path, ExportOptions(Size(64, 64), simplify=False))


def test_an_exported_file_gives_the_same_pictures_and_entries(run, shapes, checkpoint, exported, tmp_path):
    images, out = shapes / 'images/val', tmp_path / 'out'
    run(image_demo, images, exported, '--out-dir', out, '--score-thr', 0.2)
    found = json.loads((out / 'predictions.json').read_text())
    expected = demo(run, images, checkpoint, tmp_path / 'by_checkpoint', shapes)
    assert len(found) == len(expected) > 10
    for entry in found:
        others = [other for other in expected if abs(other['score'] - entry['score']) < 1e-3]
        others = [other for other in others if other['bbox'] == pytest.approx(entry['bbox'], abs=0.05)]
        assert entry['keypoints'] in [pytest.approx(other['keypoints'], abs=0.1) for other in others]
        assert entry['category_id'] in [other['category_id'] for other in others]
    for image in images.iterdir():
        one, other = (cv2.imread(str(folder / image.name)) for folder in (out, tmp_path / 'by_checkpoint'))
        assert np.abs(one.astype(int) - other).mean() < 1


def test_an_exported_file_is_evaluated_as_the_checkpoint(run, shapes, checkpoint, exported, tmp_path):
    data = as_arguments(shapes)
    found = run(evaluate, exported, '--config', CONFIG, *data)
    options = ('--verbose', '--work-dir', tmp_path / 'work', *data, 'val_num_workers=0')
    done = run_tool('test.py', CONFIG, checkpoint, *options)
    succeed(done)
    lines = [line.split(': ') for line in found.splitlines() if line.startswith('coco/')]
    figures = {name: float(value) for name, value in lines}
    assert {'coco/keypoints_mAP', 'coco/bbox_mAP'} <= figures.keys()
    for name, value in figures.items():
        (expected,) = re.findall(rf'{name}: (\S+)', done.stdout)
        assert value == pytest.approx(float(expected), abs=0.01)


@pytest.fixture
def files(shapes):
    """Annotations and images by name."""
    return '--ann-file', shapes / 'annotations/val.json', '--img-prefix', shapes / 'images'


def test_an_exported_file_and_coco_files_without_a_config(run, shapes, exported, files):
    """The keypoints' sigmas are of their names, here the mean of COCO's, as the config's are."""
    by_config, by_files = (
        [line for line in run(evaluate, exported, *data).splitlines() if line.startswith('coco/')]
        for data in (('--config', CONFIG, *as_arguments(shapes)), files)
    )
    assert by_files == by_config
    assert any(line.startswith('coco/keypoints_mAP:') for line in by_files)


def test_export_prints_the_ap_of_keypoints(run, shapes, checkpoint, files, tmp_path):
    out = ('--out', tmp_path / 'a.onnx', '--form', 'end2end', '--size', 64)
    printed = run(export, CONFIG, checkpoint, *out, '--eval', *files, *as_arguments(shapes))
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if 'mAP' in line}
    for name in ('keypoints_mAP', 'bbox_mAP'):
        by_torch, by_onnx = map(float, rows[name][:2])
        assert by_onnx == pytest.approx(by_torch, abs=0.01)
    assert 'in keypoints' in printed
