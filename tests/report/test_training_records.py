"""What a training leaves in its work dir for its report."""

import os

import pytest

from mmyolox.report.training_records import (
    KeptValidation,
    RunRecord,
    best_checkpoint_file,
    forget_kept,
    kept_file,
    note_kept,
    read_kept,
    read_runs,
)


def write_run(work_dir, stamp, **values):
    record = RunRecord(stamp, **values)
    record.write(work_dir / stamp)
    return record


def test_the_runs_of_a_resumed_training_are_read_in_order(tmp_path):
    later = write_run(tmp_path, '2', first_epoch=3, epoch=5, seconds=1.5)
    first = write_run(tmp_path, '1', facts=[['model', 'nano'], ['train', 'a']], environment=dict(torch='2'))
    assert read_runs(tmp_path) == [first, later]


def test_a_training_that_began_anew_has_no_runs_of_the_one_before(tmp_path):
    for stamp, epoch in (('1', 0), ('2', 4), ('3', 0), ('4', 2)):
        write_run(tmp_path, stamp, first_epoch=epoch)
    assert [run.began for run in read_runs(tmp_path)] == ['3', '4']


@pytest.mark.parametrize('text', ['', '{', '[]', '7', '{"began": "1", "of another version": 1}'])
def test_a_record_that_is_none_of_ours_is_left_out(tmp_path, text):
    (tmp_path / '1').mkdir()
    (tmp_path / '1/run.json').write_text(text)
    assert read_runs(tmp_path) == []


def test_a_folder_without_records_has_none(tmp_path):
    assert read_runs(tmp_path / 'absent') == []
    assert read_kept(tmp_path) is None
    assert best_checkpoint_file(tmp_path) is None


def test_detections_count_while_there_are_both_note_and_file(tmp_path):
    kept = KeptValidation('epoch', 3, 'best.pth')
    note_kept(tmp_path, kept)
    assert read_kept(tmp_path) is None
    kept_file(tmp_path).write_text('[]')
    assert kept_file(tmp_path) == tmp_path / 'validation/detections.bbox.json'
    assert read_kept(tmp_path) == kept
    forget_kept(tmp_path)
    forget_kept(tmp_path)
    assert read_kept(tmp_path) is None
    assert kept_file(tmp_path).exists()


@pytest.mark.parametrize(
    ('unit', 'number', 'words'), [('epoch', 3, 'epoch 3'), ('iteration', 40, 'iteration 40')]
)
def test_a_validation_says_which_it_is(unit, number, words):
    assert str(KeptValidation(unit, number)) == f'the validation after {words}'


def test_the_newest_best_checkpoint_goes_before_the_others(tmp_path):
    for age, name in enumerate(['epoch_9.pth', 'best_b.pth', 'best_a.pth', 'epoch_1.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, 10**9 * (9 - age)))
    assert best_checkpoint_file(tmp_path).name == 'best_b.pth'
    for name in ('best_a.pth', 'best_b.pth'):
        (tmp_path / name).unlink()
    assert best_checkpoint_file(tmp_path).name == 'epoch_9.pth'
