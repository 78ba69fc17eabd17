"""From a work dir to what a report says of it."""

import json

import pytest

from mmyolox.analysis import analyse
from mmyolox.errors import UserError
from mmyolox.report import build
from mmyolox.report.training_records import RunRecord, forget_kept
from tests.report.cases import content, read_truth, results, write_data, write_training


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data', content(), pictures=False)


@pytest.fixture
def work_dir(tmp_path):
    return write_training(tmp_path / 'my training', results(content()))


def test_the_kept_detections_are_those_of_the_training(work_dir, data):
    case = build.kept_case(work_dir, read_truth(data))
    assert case.name == 'my training'
    assert len(case.detections) == len(results(content()))
    forget_kept(work_dir)
    assert build.kept_case(work_dir, read_truth(data)) is None


def test_kept_detections_of_other_data_are_an_error_in_a_line(work_dir, tmp_path):
    other = dict(content(), images=[dict(image, id=image['id'] + 100) for image in content()['images']])
    other['annotations'] = []
    with pytest.raises(UserError, match='does not have: these are results of another data set'):
        build.kept_case(work_dir, read_truth(write_data(tmp_path / 'other', other, pictures=False)))


def test_what_is_known_of_a_training(work_dir, data):
    run = build.training_run(work_dir, analyse(build.kept_case(work_dir, read_truth(data))))
    assert run.name == 'my training'
    assert run.origin == (
        'The detections are those of the validation after epoch 2, the best one: `best_epoch_2.pth`.'
    )
    assert run.facts == {
        'began': '2025-01-01 00:00',
        'trained': '2 epochs, 20 iterations in 0:01:05',
        'model': 'nano',
        'train': 'a; b <i>',
    }
    assert run.environment == dict(torch='2.9')
    assert run.weights.endswith('my training/best_epoch_2.pth')
    assert run.curves.losses.keys() == {'loss', 'loss_cls'}


def test_the_time_of_a_resumed_training_is_that_of_all_its_runs(work_dir):
    RunRecord('2025-01-02 00:00', 2, [['model', 'nano']], {}, 5, 50, 30.0).write(work_dir / '20250102_000000')
    facts = build.training_run(work_dir, None).facts
    assert facts['began'] == '2025-01-01 00:00'
    assert facts['trained'] == '5 epochs, 50 iterations in 0:01:35'
    assert facts['resumed'] == 'after epoch 2'


@pytest.mark.parametrize(
    ('checkpoint', 'others', 'words'),
    [
        ('', [], 'The detections are those of the validation after epoch 2.'),
        ('', ['epoch_2.pth'], 'The detections are those of the validation after epoch 2.'),
        (
            '',
            ['best_epoch_1.pth'],
            'The detections are those of the validation after epoch 2; those of the best checkpoint, '
            '`best_epoch_1.pth`, are not kept.',
        ),
    ],
)
def test_detections_that_are_not_the_best_are_told(tmp_path, checkpoint, others, words):
    work_dir = write_training(tmp_path / 'x', [], checkpoint)
    for name in others:
        (work_dir / name).touch()
    assert build.training_run(work_dir, None).origin == words


def test_a_folder_with_nothing_in_it_gives_a_run_of_which_nothing_is_known(tmp_path):
    run = build.training_run(tmp_path, None)
    assert (run.analysis, run.facts, run.environment, run.curves, run.weights) == (None, {}, {}, None, '')
    assert run.origin.startswith('No detections of a validation are kept')


def test_images_are_grouped_by_a_field(data):
    truth = read_truth(data)
    assert build.image_groups(truth, 'folder') is None
    assert build.image_groups(truth, 'camera') == ['0', '1', '2', '0', '1', '2', '0', '1']


def test_images_without_the_field_are_a_group(data):
    listed = json.loads((data / 'truth.json').read_text())
    del listed['images'][1]['camera']
    (data / 'truth.json').write_text(json.dumps(listed))
    assert build.image_groups(read_truth(data), 'camera')[:3] == ['0', 'none', '2']


def test_a_field_that_no_image_has_is_an_error_that_names_those_there_are(data):
    with pytest.raises(UserError, match='has this field; they have camera, file_name, height, id, width'):
        build.image_groups(read_truth(data), 'weather')


def test_data_of_other_formats_have_no_fields(data):
    truth = read_truth(data)
    (data / 'truth.json').unlink()
    with pytest.raises(UserError, match='group-by weather: only a file in COCO'):
        build.image_groups(truth, 'weather')
