"""tools/analysis_tools/report.py: what it is given, where the page goes, and mistakes."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from mmengine.config import Config

from mmyolox.checkpoints.record import InputRecord
from mmyolox.datasets.coco_file import read_coco
from mmyolox.errors import UserError
from mmyolox.report.run import Run
from tests.report.cases import content, results, write_data, write_training
from tests.tools.tool_loading import load_tool

tool = load_tool('analysis_tools/report.py')
WHAT = ('ann_file', 'img_prefix')


@pytest.fixture
def data(tmp_path):
    """A data set, and detections in it."""
    folder = write_data(tmp_path / 'data', content())
    (folder / 'found.bbox.json').write_text(json.dumps(results(content())))
    return folder


def truth_options(data):
    return ['--ann-file', data / 'truth.json', '--img-prefix', data / 'images']


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('work', 'work/report.html'),
        ('work/best.pth', 'work/best.report.html'),
        ('work/found.bbox.json', 'work/found.report.html'),
        ('work/found.v2.json', 'work/found.report.html'),
        ('yolox_nano', 'yolox_nano.report.html'),
        ('https://a.b/c/yolox_s.pth', 'yolox_s.report.html'),
    ],
)
def test_the_page_goes_beside_what_is_reported(tmp_path, monkeypatch, source, expected):
    monkeypatch.chdir(tmp_path)
    os.mkdir('work')
    for name in ('best.pth', 'found.bbox.json', 'found.v2.json'):
        Path('work', name).touch()
    assert tool.page_path(tool.parse_args([source])) == Path(expected)
    assert tool.page_path(tool.parse_args([source, '--out', 'x.html'])) == Path('x.html')
    assert tool.page_path(tool.parse_args([source, 'other'])) == Path('comparison.html')


def test_detections_of_any_program_are_reported(run, data):
    printed = run(tool, data / 'found.bbox.json', *truth_options(data), '--export-labels', data / 'labels')
    page = data / 'found.report.html'
    assert printed.splitlines()[-1] == f'report: {page}'
    text = page.read_text(encoding='utf-8')
    assert 'Report of found' in text
    assert 'data:image/jpeg' in text
    assert {path.name for path in (data / 'labels').iterdir()} == {'suspects.json', 'suspects.xml'}


def test_exported_labels_are_files_of_coco_and_of_cvat(run, data):
    printed = run(tool, data / 'found.bbox.json', *truth_options(data), '--export-labels', data / 'labels')
    file = read_coco(str(data / 'labels/suspects.json'))
    root = ElementTree.parse(data / 'labels/suspects.xml').getroot()
    assert len(file.ids) == len(root.findall('image/box')) > 0
    assert [image.get('name') for image in root.findall('image')] == [*file.file_names]
    assert all((data / 'images' / name).is_file() for name in file.file_names)
    line = f'labels: {len(file.ids)} suspects: {data / "labels"}, of images in {data / "images"}'
    assert line in printed.splitlines()


def test_without_suspects_no_label_file_is_written(run, data):
    (data / 'found.bbox.json').write_text('[]')
    words = data / 'found.bbox.json', *truth_options(data), '--export-labels', data / 'labels'
    assert 'labels: none is suspicious, so that no file is written\n' in run(tool, *words)
    assert not (data / 'labels').exists()
    (data / 'labels').mkdir()
    (data / 'labels/suspects.xml').touch()
    assert f'no file is written ({data / "labels/suspects.xml"}: of an earlier report)' in run(tool, *words)


def test_images_beside_their_annotations_need_no_prefix(run, data):
    (data / 'truth.json').rename(data / 'images/truth.json')
    run(tool, data / 'found.bbox.json', '--ann-file', data / 'images/truth.json')
    assert 'data:image/jpeg' in (data / 'found.report.html').read_text(encoding='utf-8')


def test_images_that_are_not_at_hand_are_told(run, data):
    printed = run(tool, data / 'found.bbox.json', '--ann-file', data / 'truth.json')
    text = (data / 'found.report.html').read_text(encoding='utf-8')
    assert 'No image can be shown: their files are not at hand.' in text
    assert 'data:image/jpeg' not in text
    assert 'annotations are analysed all the same, but ' in printed
    assert 'the images are not as they should be: ' in text


def test_images_are_grouped_by_a_field(run, data):
    run(tool, data / 'found.bbox.json', *truth_options(data), '--group-by', 'camera')
    assert 'By the group of the image.' in (data / 'found.report.html').read_text(encoding='utf-8')
    with pytest.raises(UserError, match=r'group-by weather: no image of .* has this field; they have camera'):
        run(tool, data / 'found.bbox.json', *truth_options(data), '--group-by', 'weather')


def test_a_training_without_data_is_reported_by_its_records(run, tmp_path):
    work_dir = write_training(tmp_path / 'run', results(content()))
    (work_dir / 'config.py').write_text('val_dataloader = dict()')
    run(tool, work_dir)
    text = (work_dir / 'report.html').read_text(encoding='utf-8')
    assert 'Nothing is analysed: ' in text
    assert 'The training' in text


def test_a_training_that_kept_nothing_and_has_no_checkpoint_is_reported(run, tmp_path):
    work_dir = write_training(tmp_path / 'run', [], checkpoint='')
    (work_dir / 'validation/detections.json').unlink()
    run(tool, work_dir)
    assert 'There is no checkpoint, and no detections are kept' in (work_dir / 'report.html').read_text()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['{data}/found.bbox.json'], 'nothing says which data these detections are of; give --ann-file'),
        (['{data}/absent.json', '--ann-file', '{data}/truth.json'], 'absent.json.* not found'),
        (['{data}/truth.json', '--ann-file', '{data}/truth.json'], 'not in COCO.s result format'),
        (['{data}/found.bbox.json', '--ann-file', '{data}/absent.json'], 'absent.json'),
        (['{data}/images'], 'neither checkpoints nor records of a training are in this folder'),
        (['{data}', '--out', '/dev/null/x.html'], 'x.html cannot be written'),
        (['{data}', '--export-labels', '/dev/null/x'], 'x cannot be written'),
    ],
)
def test_mistakes_are_an_error_in_a_line(run, data, words, message):
    with pytest.raises(UserError, match=message):
        run(tool, *(word.format(data=data) for word in words))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['a', '--img-prefix', 'x'], '--img-prefix needs --ann-file'),
        (['a', '--config', 'x', '--ann-file', 'y'], 'either --config or --ann-file'),
        (['a', 'b', '--export-labels', 'x'], '--export-labels is for one model'),
        (['a', '--batch-size', '0'], 'at least 1 is needed'),
        (['a', '--split', 'train'], 'invalid choice'),
    ],
)
def test_options_that_do_not_fit_are_an_error(capsys, words, message):
    with pytest.raises(SystemExit):
        tool.parse_args(words)
    assert message in capsys.readouterr().err


def test_labels_of_a_training_without_an_analysis_cannot_be_exported(run, tmp_path):
    work_dir = write_training(tmp_path / 'run', [], checkpoint='')
    with pytest.raises(UserError, match=r'--export-labels: (There is no checkpoint|Nothing is analysed)'):
        run(tool, work_dir, '--export-labels', tmp_path / 'labels')


def test_annotation_files_are_options_of_the_config():
    args = tool.parse_args(['a', '--ann-file', 'x/y.json', '--img-prefix', 'z', '--split', 'test'])
    here = os.getcwd()
    options = tool.options_of(args)
    assert options.keys() == {f'{split}_{what}' for split in ('train', 'val', 'test') for what in WHAT}
    assert {options[f'test_{what}'] for what in WHAT} == {f'{here}/x/y.json', f'{here}/z/'}


def test_runs_of_one_name_are_called_by_what_was_given():
    runs = [Run('best', ''), Run('best', ''), Run('other', '')]
    renamed = tool.distinct_names(runs, ['a/best.pth', 'b/best.pth', 'c'])
    assert [run.name for run in renamed] == ['a/best.pth', 'b/best.pth', 'other']


def test_options_are_of_the_data_or_of_the_model():
    sources = load_tool('analysis_tools/report_sources.py')
    wanted = sources.Wanted(options={'data_root': 'x', 'model.test_cfg.score_thr': '0.1'})
    assert wanted.names_data
    assert wanted.of_model() == {'model.test_cfg.score_thr': '0.1'}
    assert not sources.Wanted(options={'img_scale': '(320,320)'}).names_data


def test_a_model_of_which_nothing_names_the_data_is_an_error():
    sources = load_tool('analysis_tools/report_sources.py')
    exported = SimpleNamespace(dataset_meta=dict(classes=('a',)))
    with pytest.raises(UserError, match=r'x.onnx: nothing says which data to run it on; give --cfg-options'):
        sources.data_of_model(exported, None, sources.Wanted(), 'x.onnx')


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('nothing.bbox.json', 'result file nothing.bbox.json .* not found'),
        ('yolox_nano_fast_8xb8-300e_coco.py', 'a config is given by --config'),
    ],
)
def test_what_is_no_source_is_told(run, tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(tool, source)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}]', True),
        ('[{"segmentation": {"counts": "a"}, "keypoints" : [ 1, 2, 3]}]', True),
        ('[{"image_id": 1, "keypoints": null}, {"keypoints": [1, 2, 3]}]', True),
        ('[{"image_id": 1, "keypoints": null}]', False),
        ('[{"image_id": 1, "keypoints": [ ]}]', False),
        ('[{"image_id": 1}]', False),
        ('[]', False),
        ('', False),
    ],
)
def test_poses_are_known_by_keypoints_in_the_first_entries(tmp_path, text, expected):
    sources = load_tool('analysis_tools/report_sources.py')
    (tmp_path / 'found.json').write_text(text)
    assert sources.has_keypoints(str(tmp_path / 'found.json')) == expected


@pytest.fixture
def saved_config(tmp_path):
    """The config that is found beside a checkpoint, whose record names a recipe."""
    sources = load_tool('analysis_tools/report_sources.py')

    def find(recipe, has_checkpoint=True):
        path = tmp_path / 'best.pth'
        meta = dict(mmyolox=InputRecord(recipe).to_meta()) if recipe else {}
        torch.save(dict(state_dict={'a': torch.zeros(1)}, meta=meta), path)
        return sources.saved_config(tmp_path, path if has_checkpoint else None, sources.Wanted())

    return find


def test_the_config_beside_a_checkpoint_is_the_one_that_it_records(tmp_path, saved_config):
    for name in ('mine.py', 'setup.py'):
        (tmp_path / name).write_text('raise SystemExit("this is no config")')
    assert saved_config('mine') == tmp_path / 'mine.py'
    for recipe in ('other', ''):
        assert saved_config(recipe) is None


@pytest.mark.parametrize('has_checkpoint', [True, False])
def test_without_a_record_the_config_is_that_of_the_latest_run(tmp_path, saved_config, has_checkpoint):
    for stamp in ('20250101', '20250102'):
        (tmp_path / stamp / 'vis_data').mkdir(parents=True)
        (tmp_path / stamp / 'vis_data/config.py').touch()
    assert saved_config('', has_checkpoint) == tmp_path / '20250102/vis_data/config.py'


@pytest.mark.parametrize(
    ('evaluators', 'expected'),
    [
        (dict(type='YOLOXCocoMetric', classwise=True), dict(type='YOLOXCocoMetric', classwise=True)),
        ([dict(type='mmdet.VOCMetric'), dict(type='YOLOXCocoMetric')], dict(type='YOLOXCocoMetric')),
        (dict(type='mmdet.CocoMetric', ann_file='a'), dict(type='YOLOXCocoMetric')),
    ],
)
def test_the_metric_is_one_that_keeps_the_detections(monkeypatch, evaluators, expected):
    sources = load_tool('analysis_tools/report_sources.py')
    cfg = Config(dict(val_dataloader=dict(dataset=dict(type='x')), val_evaluator=evaluators))
    monkeypatch.setattr(sources, 'load_config', lambda *_: cfg)
    data, metric = sources.data_of('any', sources.Wanted(), {})
    assert (data, metric) == (dict(type='x'), expected)
