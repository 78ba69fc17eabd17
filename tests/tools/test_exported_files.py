"""image_demo.py and deployment/test.py do with exported files what the tools do with checkpoints."""

import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmyolox.apis import detect, init_detector
from mmyolox.checkpoints.record import InputRecord
from mmyolox.config import load_config
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.formats import FORMATS
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.export.formats import export_model
from mmyolox.export.options import ExportOptions
from mmyolox.registry import MODELS
from tests.export.models import export_onnx
from tests.tools.tool_loading import load_tool

image_demo = load_tool('image_demo.py')
evaluate = load_tool('deployment/test.py')

CONFIG = 'yolox_nano_fast_1xb8-50e_custom'
CLASSES = ('cat', 'dog')
OPTIONS = {'img_scale': (96, 64), 'classes': CLASSES}
META = dict(dataset_meta=dict(classes=CLASSES, cat_ids=(7, 3)))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Weights, the same exported, images, and annotations of some of what these weights find in them."""
    folder = tmp_path_factory.mktemp('exported')
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, OPTIONS).model)
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    torch.save(dict(state_dict=model.state_dict(), meta=META), folder / 'w.pth')
    model = init_detector(CONFIG, folder / 'w.pth', 'cpu', OPTIONS)
    export_onnx(model, folder / 'w.onnx', ExportOptions(Size(96, 64), simplify=False))
    rng = np.random.default_rng(0)
    images, annotations = [], []
    (folder / 'images').mkdir()
    for number, (height, width) in enumerate([(80, 200), (20, 30), (64, 96)]):
        path = folder / f'images/{number}.png'
        cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3)))
        images.append(dict(id=f'id {number}', file_name=path.name, height=height, width=width))
        (sample,) = detect(model, [path])
        found = sample.pred_instances[:12:2]
        for (x1, y1, x2, y2), label in zip(found.bboxes.tolist(), found.labels.tolist(), strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=f'id {number}',
                    category_id=(7, 3)[label],
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                )
            )
    categories = [dict(id=3, name='dog'), dict(id=7, name='cat')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'val.json').write_text(json.dumps(content))
    return folder


def demo(run, folder, weights, out, *arguments):
    """The entries that the demo writes for a checkpoint or an exported file."""
    run(image_demo, folder / 'images', *weights, '--out-dir', out, '--score-thr', 0.2, *arguments)
    return json.loads((out / 'predictions.json').read_text())


def is_same(entry, other):
    rounded = {'bbox', 'score'}
    return (
        all(entry[key] == other[key] for key in {*entry, *other} - rounded)
        and entry['bbox'] == pytest.approx(other['bbox'], abs=0.05)
        and entry['score'] == pytest.approx(other['score'], abs=5e-4)
    )


def test_the_demo_draws_and_lists_the_same(run, folder, tmp_path):
    options = ('--device', 'cpu', '--cfg-options', 'img_scale=(96,64)', 'classes=cat,dog')
    expected = demo(run, folder, (CONFIG, folder / 'w.pth'), tmp_path / 'a', *options)
    found = demo(run, folder, (folder / 'w.onnx',), tmp_path / 'b', '--workers', 0, '--batch-size', 2)
    assert len(found) == len(expected) > 10
    assert {entry['category_id'] for entry in found} == {3, 7}
    # Where scores are equal but for rounding, the order is another.
    assert all(any(is_same(entry, other) for other in expected) for entry in found)
    assert all(any(is_same(entry, other) for other in found) for entry in expected)
    for number in range(3):
        one, other = (cv2.imread(str(tmp_path / name / f'{number}.png')).astype(int) for name in 'ab')
        assert (one != other).mean() < 0.01  # a rounded corner


def test_tools_take_whatever_a_runtime_runs(run, folder, tmp_path):
    """Here a program of PyTorch, which says the same as the ONNX file."""
    model = init_detector(CONFIG, folder / 'w.pth', 'cpu', OPTIONS)
    path = export_model(FORMATS['torchscript'], model, tmp_path / 'w', ExportOptions(Size(96, 64)))
    entries, others = (
        demo(run, folder, (weights,), tmp_path / weights.suffix) for weights in (path, folder / 'w.onnx')
    )
    assert len(entries) == len(others) > 10
    assert all(any(is_same(entry, other) for other in others) for entry in entries)
    files = ('--ann-file', folder / 'val.json', '--img-prefix', folder / 'images')
    found, expected = (figures(run(evaluate, weights, *files)) for weights in (path, folder / 'w.onnx'))
    assert found == pytest.approx(expected, abs=5e-3)


def test_the_demo_on_a_video(run, folder, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (96, 64))
    for number in range(3):
        writer.write(np.full((64, 96, 3), 80 * number, np.uint8))
    writer.release()
    run(image_demo, tmp_path / 'clip.avi', folder / 'w.onnx', '--out-dir', tmp_path / 'out')
    assert cv2.VideoCapture(str(tmp_path / 'out/clip.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.parametrize(
    'arguments',
    [
        (CONFIG, 'w.onnx'),
        ('w.onnx', '--dtype', 'bfloat16'),
        ('w.onnx', '--device', 'cuda'),
        ('w.onnx', '--cfg-options', 'img_scale=(64,64)'),
    ],
    ids=str,
)
def test_the_demo_names_options_that_mean_nothing(run, folder, tmp_path, arguments):
    with pytest.raises(UserError, match=r'w\.onnx is an exported file, which says all itself'):
        run(image_demo, folder / 'images', *arguments, '--out-dir', tmp_path)


def figures(printed):
    """The figures that the tool prints at its end."""
    lines = [line.split(': ') for line in printed.splitlines() if line.startswith('coco/')]
    return {name: float(value) for name, value in lines}


def test_figures_are_those_of_the_checkpoint(run, folder, tmp_path):
    metric = YOLOXCocoMetric(str(folder / 'val.json'), proposal_nums=(100, 1, 10))
    metric.dataset_meta = dict(classes=CLASSES)
    model = init_detector(CONFIG, folder / 'w.pth', 'cpu', OPTIONS)
    for number, sample in enumerate(detect(model, sorted((folder / 'images').iterdir()))):
        metric.process(None, [dict(sample.to_dict(), img_id=f'id {number}')])
    expected = metric.evaluate(3)
    files = ('--ann-file', folder / 'val.json', '--img-prefix', folder / 'images')
    found = figures(run(evaluate, folder / 'w.onnx', *files, '--threads', 1, '--out', tmp_path / 'found'))
    assert found == pytest.approx(expected, abs=5e-3)
    assert 0.2 < found['coco/bbox_mAP_50'] < 1
    entries = json.loads((tmp_path / 'found.bbox.json').read_text())
    assert {entry['image_id'] for entry in entries} == {'id 0', 'id 1', 'id 2'}
    assert {entry['category_id'] for entry in entries} == {3, 7}
    options = (f'data_root={folder}/', 'val_ann_file=val.json', 'img_prefix=images', 'img_scale=(64,64)')
    by_config = run(evaluate, folder / 'w.onnx', '--config', CONFIG, '--cfg-options', *options)
    assert figures(by_config) == found


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'give either --ann-file and --img-prefix, or --config'),
        (('--ann-file', 'a.json'), 'give either --ann-file and --img-prefix, or --config'),
        (('--img-prefix', 'a', '--config', 'b'), 'give either --ann-file and --img-prefix, or --config'),
        (
            ('--ann-file', 'a.json', '--img-prefix', 'a', '--cfg-options', 'a=1'),
            '--cfg-options needs --config',
        ),
    ],
    ids=str,
)
def test_which_data_must_be_said(run, folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run(evaluate, folder / 'w.onnx', *arguments)
    assert message in capsys.readouterr().err


def test_a_config_without_test_data(run, folder, tmp_path):
    (tmp_path / 'c.py').write_text('max_epochs = 3')
    with pytest.raises(UserError, match=r'config .*c\.py has no test_dataloader and no test_evaluator'):
        run(evaluate, folder / 'w.onnx', '--config', tmp_path / 'c.py')


def test_the_fold_of_the_training_is_held_out(folder, tmp_path):
    fold = dict(count=3, index=2, seed=0)
    meta = META | dict(mmyolox=InputRecord(fold=fold).to_meta())
    torch.save(dict(torch.load(folder / 'w.pth'), meta=meta), tmp_path / 'w.pth')
    model = init_detector(CONFIG, tmp_path / 'w.pth', 'cpu', OPTIONS)
    file = export_onnx(model, tmp_path / 'w.onnx', ExportOptions(Size(96, 64), simplify=False))
    shutil.copytree(folder / 'images', tmp_path / 'data/images')
    shutil.copyfile(folder / 'val.json', tmp_path / 'data/result.json')
    args = SimpleNamespace(config=CONFIG, cfg_options=dict(data_root=str(tmp_path / 'data')))
    data, _ = evaluate.evaluation_data(args, ExportedModel(file).info)
    assert data.fold == dict(fold, held_out=True)


def test_other_classes_than_those_of_the_annotations(run, folder, tmp_path):
    content = json.loads((folder / 'val.json').read_text())
    content['categories'][0]['name'] = 'wolf'
    (tmp_path / 'val.json').write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"has no class 'dog'.*, which the model or the config has"):
        run(
            evaluate,
            folder / 'w.onnx',
            '--ann-file',
            tmp_path / 'val.json',
            '--img-prefix',
            folder / 'images',
        )
