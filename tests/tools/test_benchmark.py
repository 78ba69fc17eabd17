"""tools/analysis_tools/benchmark.py on a small nano: what it runs, what it writes, and its errors."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

benchmark = load_tool('analysis_tools/benchmark.py')

CONFIG = 'yolox_nano_fast_8xb8-300e_coco'
SMALL = ('--cfg-options', 'img_scale=(64,64)')
QUICK = ('--device', 'cpu', '--repeats', 2, '--warmup', 1)
STAGES = ['decode', 'preprocess', 'network', 'postprocess', 'total']


def test_every_stage_of_every_batch_size_is_measured(run, tmp_path):
    out = tmp_path / 'figures.json'
    printed = run(benchmark, CONFIG, '--batch-sizes', 1, 3, '--out', out, *QUICK, *SMALL)
    report = json.loads(out.read_text())
    setting = report['setting']
    assert (setting['dtype'], setting['fuse'], setting['img_scale']) == ('float32', True, [64, 64])
    assert setting['threads'] == torch.get_num_threads()
    assert [result['batch_size'] for result in report['results']] == [1, 3]
    for result in report['results']:
        assert list(result['stages']) == STAGES
        assert all(0 < stage['median'] <= stage['p90'] for stage in result['stages'].values())
        rate = result['batch_size'] / result['stages']['total']['median']
        assert result['images_per_second'] == pytest.approx(rate)
    lines = [line.split() for line in printed.splitlines()]
    rows = {(line[0], line[1]): line[2:] for line in lines if line[1:] and line[1] in STAGES}
    assert list(rows) == [(size, stage) for size in '13' for stage in STAGES]
    stage = report['results'][1]['stages']['network']
    assert float(rows['3', 'network'][0]) == pytest.approx(1000 * stage['median'], abs=0.01)
    assert float(rows['3', 'network'][2]) == pytest.approx(1000 * stage['median'] / 3, abs=0.01)


def test_medians_are_those_of_the_batches_after_the_warmup(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(benchmark, 'time_batch', lambda *args: calls.append(args) or [len(calls), 1, 1, 1])
    out = tmp_path / 'figures.json'
    options = ('--warmup', 3, '--repeats', 11, '--batch-sizes', 2, '--device', 'cpu', '--out', out)
    run(benchmark, CONFIG, *options, *SMALL)
    assert len(calls) == 14
    [result] = json.loads(out.read_text())['results']
    assert result['stages']['decode'] == dict(median=9, p90=13)
    assert result['stages']['total'] == dict(median=12, p90=16)
    assert result['images_per_second'] == pytest.approx(2 / 12)


def test_stages_take_a_batch_to_its_detections(tmp_path, monkeypatch):
    """The stages together do what ``detect`` does."""
    from mmyolox.apis import TorchDetector, detect, init_detector
    from mmyolox.models import YOLOXHead

    args = benchmark.parse_args([CONFIG, *SMALL, 'model.test_cfg.score_thr=0.02'])
    images = benchmark.make_images(tmp_path, 3)
    model = init_detector(
        CONFIG, benchmark.random_checkpoint(args, tmp_path), 'cpu', args.cfg_options, fuse=False
    )
    expected = list(detect(model, images))
    measured = []
    original = YOLOXHead.postprocess
    monkeypatch.setattr(YOLOXHead, 'postprocess', lambda *args: measured.extend(original(*args)) or measured)
    with torch.no_grad():
        assert len(benchmark.time_batch(TorchDetector(model), images)) == 4
    for found, sample in zip(measured, expected, strict=True):
        assert torch.allclose(found.bboxes, sample.pred_instances.bboxes)
        assert len(found) > 0


def test_images_of_a_folder_and_a_checkpoint(run, tmp_path, monkeypatch):
    read = []
    original = benchmark.time_batch
    monkeypatch.setattr(
        benchmark, 'time_batch', lambda *args: read.append([path.name for path in args[1]]) or original(*args)
    )
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros((20, 30, 3), np.uint8))
    args = benchmark.parse_args([CONFIG, *SMALL])
    checkpoint = benchmark.random_checkpoint(args, tmp_path)
    run(benchmark, CONFIG, checkpoint, '--images', tmp_path, '--batch-sizes', 2, *QUICK, *SMALL)
    assert read == [['a.png', 'b.png'], ['c.png', 'a.png'], ['b.png', 'c.png']]


def test_options_reach_the_model(run, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.utils.devices.has_bfloat16', lambda _: True)
    out, threads = tmp_path / 'figures.json', torch.get_num_threads()
    options = ('--dtype', 'bfloat16', '--no-fuse', '--threads', threads, '--batch-sizes', 1, '--out', out)
    run(benchmark, CONFIG, *options, *QUICK, *SMALL)
    setting = json.loads(out.read_text())['setting']
    assert (setting['dtype'], setting['fuse'], setting['threads']) == ('bfloat16', False, threads)


def test_random_weights_give_features_that_do_not_fade(tmp_path):
    args = benchmark.parse_args([CONFIG, *SMALL])
    weights = torch.load(benchmark.random_checkpoint(args, tmp_path))['state_dict']
    model = benchmark.load_model(
        benchmark.parse_args([CONFIG, '--device', 'cpu', *SMALL]), tmp_path / 'random.pth'
    )
    assert not model.training
    with torch.no_grad():
        feats = model.neck(model.backbone(255 * torch.rand(1, 3, 64, 64)))
    assert all(0.01 < feat.std() < 100 for feat in feats)
    assert weights['bbox_head.head_module.multi_level_conv_obj.0.bias'].item() == pytest.approx(
        -4.595, abs=0.001
    )


@pytest.mark.parametrize('options', [(), ('--compile',)], ids=str)
def test_networks_are_compiled_on_demand(options, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        torch.nn.Module, 'compile', lambda module, **_: compiled.append(type(module).__name__)
    )
    monkeypatch.setattr('mmyolox.models.detector.require_compiler', lambda _: None)
    args = benchmark.parse_args([CONFIG, *options, '--device', 'cpu', *SMALL])
    benchmark.load_model(args, benchmark.random_checkpoint(args, tmp_path))
    assert compiled == (['YOLOXCSPDarknet', 'YOLOXPAFPN', 'YOLOXHeadModule'] if options else [])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--batch-sizes', 4, 0), '--batch-sizes 0: at least 1 is needed'),
        (('--repeats', 0), '--repeats 0: at least 1 is needed'),
        (('--warmup', -1), '--warmup -1: at least 0 is needed'),
        (('--threads', 0), '--threads 0: at least 1 is needed'),
        (('--out', '/dev/null/x.json'), 'x.json cannot be written: .*; name another folder'),
        (('--images', 'absent'), '--images absent: there is no such folder, or no image in it'),
        (('--device', 'toaster'), 'device toaster cannot be used'),
        (('--dtype', 'half'), 'dtype half: choose one of'),
        (('--dtype', 'float16'), 'dtype float16: the CPU'),
    ],
)
def test_mistakes(run, options, message):
    with pytest.raises(UserError, match=message):
        run(benchmark, CONFIG, '--device', 'cpu', *options, *SMALL)


def test_an_image_that_does_not_decode_is_named(run, tmp_path):
    (tmp_path / 'bad.jpg').write_bytes(b'no picture')
    with pytest.raises(UserError, match=r'cannot decode the image .*bad\.jpg'):
        run(benchmark, CONFIG, '--images', tmp_path, '--batch-sizes', 1, *QUICK, *SMALL)


@pytest.mark.parametrize('channels', [1, 2, 5])
def test_images_are_made_with_the_channels_of_the_model(run, channels):
    printed = run(
        benchmark, CONFIG, '--batch-sizes', 1, *QUICK, *SMALL, f'model.backbone.input_channels={channels}'
    )
    assert 'images/s' in printed
