"""tools/deployment/export.py: what it writes, prints and refuses."""

import json
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest
import torch
from mmengine.registry import init_default_scope

from mmyolox.apis import init_detector
from mmyolox.checkpoints.record import InputRecord
from mmyolox.config import load_config
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export.options import Precision
from mmyolox.registry import MODELS
from tests.tools.tool_loading import TOOLS, load_tool

export = load_tool('deployment/export.py')

CONFIG = 'yolox_nano_fast_1xb8-50e_custom'
CLASSES = ('cat', 'dog')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """YOLOX-Nano for two classes, with weights at random that find a little everywhere."""
    path = tmp_path_factory.mktemp('export') / 'nano.v1.pth'
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, dict(classes=CLASSES)).model)
    for conv in model.bbox_head.head_module.multi_level_conv_obj:
        torch.nn.init.zeros_(conv.bias)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))), path)
    return path


@pytest.fixture
def data(tmp_path):
    """A COCO file and the folder of its two images."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    images, annotations = [], []
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), pixels)
        images.append(dict(id=number, file_name=f'{number}.png', height=60, width=80))
        box = dict(bbox=[10, 10, 30, 20], area=600, iscrowd=0, category_id=number)
        annotations.append(dict(id=number, image_id=number, **box))
    categories = [dict(id=number + 1, name=name) for number, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / 'val.json').write_text(json.dumps(content))
    return tmp_path / 'val.json', folder


@pytest.mark.parametrize(
    ('size', 'expected', 'told'),
    [
        (None, (256, 192), ''),
        ('192x256', (256, 192), ''),
        (
            '64',
            (64, 64),
            '--size 64x64 is used, although the checkpoint was trained for 192x256 (height x width)',
        ),
    ],
)
def test_the_size_is_the_recorded_one_unless_another_is_said(
    checkpoint, tmp_path, capsys, size, expected, told
):
    content = torch.load(checkpoint)
    content['meta']['mmyolox'] = InputRecord('mine', (256, 192)).to_meta()
    torch.save(content, tmp_path / 'w.pth')
    model = init_detector(None, tmp_path / 'w.pth', 'cpu')
    capsys.readouterr()
    args = export.parse_args([str(tmp_path / 'w.pth'), *(['--size', size] if size else [])])
    assert export.read_size(args, model) == expected
    assert capsys.readouterr().out.strip() == told


def test_without_config_and_name(run, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run(export, checkpoint, '--size', 64, '--no-simplify')
    assert 'nano.v1.onnx: ONNX, decoded, 64x64' in printed
    assert 'checked against PyTorch: 2 images: ' in printed
    model = ExportedModel(tmp_path / 'nano.v1.onnx')
    assert (model.info.classes, model.info.input_size) == (CLASSES, (64, 64))
    assert [path.name for path in tmp_path.iterdir()] == ['nano.v1.onnx']


def test_all_options_arrive(run, checkpoint, tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.onnx'
    arguments = (
        '--form end2end --size 64x96 --batch 2 --dynamic batch --preprocess --colour rgb --focus slices'
    )
    arguments += ' --opset 15 --score-thr 0.25 --iou-thr 0.5 --max-per-img 9 --nms-pre 50'
    run(export, CONFIG, '--format', 'onnx', checkpoint, '--out', path, *arguments.split())
    content = onnx.load(path)
    info = ExportedModel(path).info
    assert (info.form, info.input_size, info.preprocessing, info.colour) == ('end2end', (64, 96), True, 'rgb')
    assert (info.score_thr, info.iou_thr, info.max_per_img, info.nms_pre) == (0.25, 0.5, 9, 50)
    assert content.opset_import[0].version == 15
    assert content.graph.input[0].type.tensor_type.shape.dim[0].dim_param == 'batch'


def test_the_size_is_the_configs(run, checkpoint, tmp_path):
    path = tmp_path / 'a.onnx'
    run(export, CONFIG, checkpoint, '--out', path, '--cfg-options', 'img_scale=(96,64)')
    assert ExportedModel(path).info.input_size == (64, 96)


def test_for_ascend(run, checkpoint, tmp_path):
    path = tmp_path / 'a.onnx'
    run(export, CONFIG, checkpoint, '--ascend', '--size', 64, '--out', path, '--form', 'raw', '--batch', 2)
    content = onnx.load(path)
    assert content.opset_import[0].version == 11
    values = (*content.graph.input, *content.graph.output)
    assert all(dim.dim_value for value in values for dim in value.type.tensor_type.shape.dim)
    kinds = {node.op_type for node in content.graph.node}
    assert kinds <= {'Conv', 'Sigmoid', 'Mul', 'Add', 'Concat', 'MaxPool', 'Resize', 'Reshape', 'Transpose'}


def test_both_ap_side_by_side(run, checkpoint, tmp_path, data):
    ann_file, folder = data
    where = ('--out', tmp_path / 'a.onnx', '--size', 64)
    printed = run(export, checkpoint, *where, '--eval', '--ann-file', ann_file, '--img-prefix', folder)
    table = printed[printed.index('PyTorch  ') :].splitlines()
    assert table[0].split() == ['PyTorch', 'onnx', 'difference']
    rows = {name: values for name, *values in map(str.split, table[1:])}
    assert rows['bbox_mAP'][2] in ('+0.000', '-0.000')
    assert 'Average Precision' not in printed


@pytest.mark.parametrize(
    ('count', 'name', 'said'),
    [(29, 'int8', 'calibrated on 29 images only'), (30, 'int8', ''), (1, 'fp16', '')],
)
def test_few_images_to_calibrate_with_are_told(tmp_path, capsys, count, name, said):
    for number in range(count):
        (tmp_path / f'{number}.jpg').touch()
    export.warn_of_few_images(Precision(name, tmp_path))
    printed = capsys.readouterr().out
    assert printed.startswith(said)
    assert bool(printed) == bool(said)


def test_ap_on_the_configs_data(run, checkpoint, tmp_path, data):
    ann_file, folder = data
    options = (f'data_root={tmp_path}/', f'val_ann_file={ann_file.name}', f'img_prefix={folder.name}/')
    where = ('--out', tmp_path / 'a.onnx', '--size', 64, '--no-simplify')
    printed = run(export, CONFIG, checkpoint, *where, '--eval', '--cfg-options', *options)
    assert 'bbox_mAP ' in printed


def test_ap_on_the_data_of_the_training(run, checkpoint, tmp_path, data):
    ann_file, folder = data
    content = torch.load(checkpoint)
    content['meta']['mmyolox'] = InputRecord(CONFIG, (64, 64)).to_meta()
    torch.save(content, tmp_path / 'epoch_1.pth')
    names = dict(train_ann_file=ann_file.name, val_ann_file=ann_file.name, img_prefix=f'{folder.name}/')
    load_config(CONFIG, dict(names, data_root=f'{tmp_path}/')).dump(tmp_path / f'{CONFIG}.py')
    printed = run(export, tmp_path / 'epoch_1.pth', '--out', tmp_path / 'a.onnx', '--no-simplify', '--eval')
    assert 'bbox_mAP ' in printed


def test_a_file_that_differs_is_no_export(run, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.export.onnx_format.letterbox_graph', None)
    original = torch.onnx.export

    def faulty(network, *args, **kwargs):
        network.network.bbox_head.head_module.multi_level_conv_obj[0].bias.data += 0.5
        original(network, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, 'export', faulty)
    with pytest.raises(UserError, match=r'a\.onnx does not compute what PyTorch does'):
        run(export, checkpoint, '--size', 64, '--out', tmp_path / 'a.onnx', '--no-simplify')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('--size 100', 'size 100x100.*multiples of the largest stride, 32'),
        ('--size 64x100', 'size 64x100'),
        ('--size 0', 'size 0x0'),
        ('--opset 99', 'opset 99: choose one from 11 to 20'),
        ('--opset 5', 'opset 5: choose one from 11 to 20'),
        ('--batch 0', 'batch 0: at least 1'),
        ('--preprocess --dynamic size', 'preprocess with dynamic size'),
        ('--ascend --form end2end', '--ascend: needed is'),
        ('--ascend --dynamic batch', '--ascend: needed is'),
        ('--ascend --focus slices', '--ascend: needed is'),
        ('--ascend --opset 13', '--ascend: needed is .*--opset 11'),
        ('--precision int8', 'precision int8 needs a folder of images'),
        ('--precision int8 --images nowhere', '--images nowhere: there is no such folder'),
        ('--images nowhere', 'images nowhere: there is no such folder'),
        ('--eval --ann-file nowhere.json', '--ann-file and --img-prefix: give both or neither'),
        ('--eval --ann-file nowhere.json --img-prefix .', '--ann-file nowhere.json: there is no such file'),
        ('--ann-file nowhere.json --img-prefix .', '--ann-file: it is read with --eval only'),
        ('--format torchscript --form end2end', 'format torchscript: form end2end cannot be had'),
        ('--score-thr 2', 'score_thr=2.0; needed is'),
        ('--cfg-options classes=cat,dog,bird', r'cannot be used with .*1 of 3 classes are new'),
        ('--out {tmp}/file/a.onnx', r'file/a\.onnx cannot be written: .*; name another folder'),
        ('--out {tmp}', 'this is a folder; name a file'),
        ('--out a.xml', r'a\.xml: format onnx writes \.onnx; for that add --format openvino'),
        ('--out a.pth', r'a\.pth: format onnx writes \.onnx; name another file'),
        ('--out new/a.onnx --eval', '--eval: .*val.json.*; or give --ann-file and --img-prefix'),
        ('--precision int8 --images {tmp}', 'images .*: there is no image in this folder'),
    ],
)
def test_bad_input(run, checkpoint, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=message) as caught:
        run(
            export, CONFIG, checkpoint, '--size', 64, '--no-simplify', *arguments.format(tmp=tmp_path).split()
        )
    assert '\n' not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('size', ['64x', 'large', '64x64x64', '64,64'])
def test_sizes_that_are_none(run, checkpoint, size, capsys):
    with pytest.raises(SystemExit):
        run(export, checkpoint, '--size', size)
    assert f"argument --size: '{size}': one number, or HEIGHTxWIDTH" in capsys.readouterr().err


def test_config_and_checkpoint_in_the_wrong_order(run, checkpoint):
    with pytest.raises(UserError, match=r'config .*nano\.v1\.pth: these are weights; give the config first'):
        run(export, checkpoint, CONFIG)


def test_a_checkpoint_that_is_not_there(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r'checkpoint nowhere\.pth does not exist'):
        run(export, 'nowhere.pth')


def test_all_formats_are_listed(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run(export, '--list')
    lines = capsys.readouterr().out.splitlines()
    assert caught.value.code == 0
    assert [line.split()[0] for line in lines] == list(FORMATS)
    assert lines[0] == 'onnx          ONNX: can be had here'


def test_help_needs_nothing_heavy():
    code = (
        'import runpy, sys\n'
        f'tool = runpy.run_path({str(TOOLS / "deployment" / "export.py")!r})\n'
        "tool['parse_args'](['a.pth'])\n"
        "print([name for name in ('torch', 'onnx', 'mmengine', 'cv2') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == '[]\n'
