"""The report that a training leaves, and what `mmyolox report` makes of a training, a checkpoint, a file."""

import json
import re
import shutil

import pytest

from mmyolox.report.training_records import kept_file, read_kept, read_runs
from tests.integration.runs import run_tool, succeed, write_config
from tests.integration.test_errors import error_line

OPTIONS = ['max_epochs=2', 'num_last_epochs=1', 'val_interval=1', 'train_batch_size_per_gpu=8']
OPTIONS += ['default_hooks.checkpoint.save_best=auto', 'model.test_cfg.score_thr=0.0']
REPORT = '\ndefault_hooks.update(report=dict(type="ReportHook"))\n'
TOOL = 'analysis_tools/report.py'


@pytest.fixture(scope='module')
def training(tmp_path_factory, shapes):
    """The work dir of a training with a report, and what it printed."""
    folder = tmp_path_factory.mktemp('reported')
    config = write_config(folder, shapes)
    config.write_text(config.read_text() + REPORT)
    printed = succeed(run_tool('train.py', config, '--work-dir', folder / 'run', '--cfg-options', *OPTIONS))
    return folder / 'run', printed


def test_the_summary_names_the_report(training):
    work_dir, printed = training
    assert re.search(rf'^  report +{work_dir}/report.html$', printed, re.MULTILINE)
    text = (work_dir / 'report.html').read_text(encoding='utf-8')
    assert '<title>Report of run' in text
    assert len(text) < 2_000_000


def test_the_detections_of_the_best_validation_are_kept(training):
    work_dir, _ = training
    kept = read_kept(work_dir)
    assert len(json.loads(kept_file(work_dir).read_text())) > 5
    [best] = work_dir.glob('best_*.pth')
    assert kept.checkpoint == best.name
    assert f'epoch_{kept.number}.pth' in best.name
    [run] = read_runs(work_dir)
    assert (run.first_epoch, run.epoch) == (0, 2)
    assert dict(run.facts)['train'].startswith('annotations/train.json: 16 images')
    assert run.seconds > 0


def test_a_training_that_goes_on_keeps_them(training, tmp_path, shapes):
    work_dir = shutil.copytree(training[0], tmp_path / 'run')
    config = write_config(tmp_path, shapes)
    config.write_text(config.read_text() + REPORT)
    options = [*OPTIONS[1:], 'max_epochs=3']
    (work_dir / 'report.html').unlink()
    succeed(run_tool('train.py', config, '--work-dir', work_dir, '--resume', '--cfg-options', *options))
    assert [run.first_epoch for run in read_runs(work_dir)] == [0, 2]
    [best] = work_dir.glob('best_*.pth')
    assert read_kept(work_dir).checkpoint == best.name
    assert (work_dir / 'report.html').exists()


def report(*args):
    return succeed(run_tool(TOOL, *args))


def ap_of(path):
    """The AP among the key figures of a report."""
    text = path.read_text(encoding='utf-8')
    return re.search(r'>AP<.*?([\d.]+|-)\s*<', text, re.DOTALL)[1]


def test_a_training_is_reported_by_what_it_kept(training, tmp_path):
    work_dir, _ = training
    printed = report(work_dir, '--out', tmp_path / 'x.html', '--export-labels', tmp_path / 'labels')
    assert printed.splitlines()[-1] == f'report: {tmp_path}/x.html'
    assert ap_of(tmp_path / 'x.html') == ap_of(work_dir / 'report.html')
    # After so short a training nothing is confident.
    assert 'labels: none is suspicious, so that no file is written' in printed
    assert not (tmp_path / 'labels').exists()


def test_the_best_checkpoint_is_run_where_nothing_is_kept(training, tmp_path):
    work_dir = shutil.copytree(training[0], tmp_path / 'run')
    shutil.rmtree(work_dir / 'validation')
    printed = report(work_dir, '--out', tmp_path / 'x.html', '--device', 'cpu')
    assert 'detecting in 5 images' in printed
    assert ap_of(tmp_path / 'x.html') == ap_of(work_dir / 'report.html')


def test_a_checkpoint_detections_and_a_training_are_compared(training, tmp_path, shapes):
    work_dir, _ = training
    [best] = work_dir.glob('best_*.pth')
    found = shutil.copy(work_dir / 'validation/detections.bbox.json', tmp_path / 'found.bbox.json')
    options = ['--cfg-options', f'data_root={shapes}', '--out', tmp_path / 'x.html']
    report(best, found, *options)
    text = (tmp_path / 'x.html').read_text(encoding='utf-8')
    assert 'found less run/best' in text
    assert '0.000 (0.000 to 0.000)' in text
    assert '+0.000' not in text


def test_data_that_are_not_at_hand_leave_the_curves(training, tmp_path):
    work_dir = shutil.copytree(training[0], tmp_path / 'run')
    [config] = work_dir.glob('*.py')
    config.write_text(re.sub(r"data_root ?= ?'[^']*'", "data_root = '/absent'", config.read_text()))
    printed = report(work_dir)
    assert 'Nothing is analysed: ' in printed
    text = (work_dir / 'report.html').read_text(encoding='utf-8')
    assert 'Nothing is analysed: ' in text
    assert 'The training' in text


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda entries: [dict(one, image_id=999) for one in entries],
            'results of another data set; ids: 999',
        ),
        (lambda entries: [dict(one, category_id=77) for one in entries], 'no class of'),
        (lambda entries: [dict(one, score=float('nan')) for one in entries], 'score that is no number'),
        (lambda entries: dict(annotations=entries), "not in COCO's result format"),
    ],
)
def test_detections_at_fault_are_an_error_in_a_line(training, tmp_path, shapes, change, message):
    entries = json.loads((training[0] / 'validation/detections.bbox.json').read_text())
    (tmp_path / 'found.json').write_text(json.dumps(change(entries)))
    run = run_tool(TOOL, tmp_path / 'found.json', '--cfg-options', f'data_root={shapes}')
    assert message in error_line(run)
    assert not [*tmp_path.glob('*.html')]


def test_no_detections_give_a_page_that_says_so(tmp_path, shapes):
    (tmp_path / 'found.json').write_text('[]')
    report(tmp_path / 'found.json', '--cfg-options', f'data_root={shapes}')
    assert 'found has no detection at all' in (tmp_path / 'found.report.html').read_text(encoding='utf-8')
