"""What a person sees of a training and a test, as a pipe gets it, and what lies in the folder then."""

import re

import pytest

from tests.integration.runs import read_log, run_tool, succeed, write_config
from tests.integration.test_errors import error_line

OPTIONS = ['max_epochs=2', 'num_last_epochs=1', 'val_interval=1', 'train_batch_size_per_gpu=8']
OPTIONS += ['default_hooks.checkpoint.save_best=auto']
CURVES = '\ndefault_hooks.update(curves=dict(type="CurvesHook"))\n'


@pytest.fixture(scope='module')
def training(tmp_path_factory, shapes):
    """The work dir of a training with two validations, and what it printed."""
    folder = tmp_path_factory.mktemp('shown')
    config = write_config(folder, shapes)
    config.write_text(config.read_text() + CURVES)
    run = run_tool('train.py', config, '--work-dir', folder / 'run', '--cfg-options', *OPTIONS)
    succeed(run)
    assert run.stderr == ''
    return folder / 'run', run.stdout


def test_the_header_and_nothing_else_comes_before_the_first_epoch(training, shapes):
    _, printed = training
    lines = printed.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(('epoch', 'The last')))
    assert 10 < begin <= 25
    assert lines[0].endswith('training tiny')
    header = [line.split(maxsplit=1) for line in lines[1:begin]]
    names = [
        'config',
        'model',
        'data',
        'train',
        'classes',
        'keypoints',
        'val',
        'weights',
        'length',
        'schedule',
        'rate',
        'device',
    ]
    assert [name for name, _ in header] == [*names, 'to']
    told = dict(header)
    assert told['data'] == f'COCO in {shapes}'
    assert re.fullmatch(
        r'annotations/train.json: 16 images, \d+ boxes; shown at 32 x 32 to 96 x 96', told['train']
    )
    assert told['classes'].startswith('4: ')
    plain = 'the last 1 of all without mosaic and mixup'
    assert told['schedule'] == f'2 epochs: warm-up 1, main phase 1 ({plain})'
    assert told['rate'] == 'AdamW, up to 0.002, 0.0001 at the end'
    assert told['weights'] == 'random weights; --load-from yolox_nano starts from published ones'
    assert told['device'].endswith('float32; 1 data worker; seed 0')


def test_no_line_is_about_what_a_user_cannot_change(training):
    _, printed = training
    begins = ('mmyolox ', '  ', 'epoch ', 'trained ', 'The last epochs begin')
    assert [line for line in printed.splitlines() if not line.startswith(begins)] == []


def test_the_figures_are_those_of_the_log(training):
    folder, printed = training
    logged = re.findall(r'Epoch\(val\).*bbox_mAP: ([\d.]+)  coco/bbox_mAP_50: ([\d.]+)', read_log(folder))
    shown = re.findall(r'^epoch \d/2  AP ([\d.]+)  AP50 ([\d.]+)', printed, re.MULTILINE)
    assert [tuple(map(float, pair)) for pair in shown] == [tuple(map(float, pair)) for pair in logged]
    assert len(shown) == 2
    assert 'paramwise_options' in read_log(folder)


def test_the_summary_names_what_is_there(training):
    folder, printed = training
    summary = printed[printed.index('trained 2 epochs') :].splitlines()
    assert summary[1].split() == ['class', 'objects', 'AP', 'AP50']
    assert len([line for line in summary if re.search(r'  +\d+   \d\.\d+', line)]) == 4
    places = dict(line.split(maxsplit=1) for line in summary if line.startswith('  '))
    best = re.search(r'\S+\.pth', places['best'])[0]
    assert places['next'].endswith(f'image_demo.py photo.jpg {best}')
    for name in ('last', 'pictures', 'curves', 'log'):
        assert (folder / places[name]).exists()
    assert {path.name for path in (folder / 'validation').iterdir()} == {'epoch_1.jpg', 'epoch_2.jpg'}


def test_a_test_prints_every_class(training, tmp_path):
    folder, _ = training
    printed = succeed(
        run_tool('test.py', folder / 'tiny.py', folder / 'epoch_2.pth', '--work-dir', tmp_path / 'test')
    )
    lines = printed.splitlines()
    assert lines[0].endswith('testing tiny')
    assert len(lines) <= 25
    assert [line.split()[0] for line in lines[-6:-1]] == ['class', 'disk', 'box', 'triangle', 'star']
    assert re.fullmatch(r'AP \d\.\d{3}  AP50 \d\.\d{3}', lines[-1])


def test_a_mistake_leaves_no_log_and_debugging_does(config, tmp_path):
    work_dir = tmp_path / 'run'
    args = ['train.py', config, '--work-dir', work_dir, '--cfg-options', 'img_prefix=pictures/']
    error_line(run_tool(*args))
    assert [path for path in work_dir.iterdir() if path.is_dir()] == []
    error_line(run_tool(*args, 'log_level=DEBUG'))
    assert len(list(work_dir.glob('*/*.log'))) == 1


def test_all_of_the_log_with_verbose(config, tmp_path):
    args = ['--verbose', '--work-dir', tmp_path / 'run', '--cfg-options', 'max_epochs=1', 'num_last_epochs=0']
    printed = succeed(run_tool('train.py', config, *args))
    for text in (
        'System environment',
        'paramwise_options',
        'weights   random weights',
        'Epoch(train)',
        'trained 1',
    ):
        assert text in printed
