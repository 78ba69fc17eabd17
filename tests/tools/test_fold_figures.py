"""tools/misc/fold_figures.py: figures of trainings, read and put together."""

import json
from math import nan, sqrt

import cv2
import pytest

from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

tool = load_tool('misc/fold_figures.py')


def write_training(folder, *lines, checkpoints=()):
    """What a training of ours writes: a line of figures after each validation."""
    path = folder / '20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    for name in checkpoints:
        (folder / name).touch()
    return folder


def val(step, ap, ap50, **classes):
    names = {f'coco/{name}_precision': value for name, value in classes.items()}
    return {'coco/bbox_mAP': ap, 'coco/bbox_mAP_50': ap50, 'step': step} | names


LINES = [
    dict(loss=3.0, step=10),
    val(1, 0.3, 0.5, cat=0.2, dog=nan),
    val(2, 0.4, 0.6, cat=0.3),
    val(3, 0.1, 0.2),
]


@pytest.mark.parametrize(
    ('checkpoints', 'epoch', 'checkpoint'),
    [
        (['best_coco_bbox_mAP_epoch_2.pth', 'epoch_3.pth'], 2, 'best_coco_bbox_mAP_epoch_2.pth'),
        (['best_val_loss_epoch_1.pth', 'epoch_3.pth'], 1, 'best_val_loss_epoch_1.pth'),
        (['epoch_3.pth'], 2, 'epoch_3.pth'),
    ],
)
def test_figures_are_those_of_the_best_checkpoint(tmp_path, monkeypatch, checkpoints, epoch, checkpoint):
    folder = write_training(tmp_path / 'fold_2', *LINES, checkpoints=checkpoints)
    monkeypatch.setattr(tool, 'latest_checkpoint', lambda folder: folder / 'epoch_3.pth')
    result = tool.read_result(folder, 2, 7)
    figures = {1: dict(AP=0.3, AP50=0.5), 2: dict(AP=0.4, AP50=0.6)}[epoch]
    classes = {1: dict(cat=0.2), 2: dict(cat=0.3)}[epoch]
    last = dict(AP=0.1, AP50=0.2)
    assert result == tool.FoldResult(2, 7, epoch, f'fold_2/{checkpoint}', figures, classes, last)
    assert result.line() == f'AP {figures["AP"]:.3f}  AP50 {figures["AP50"]:.3f} (epoch {epoch})'


def test_a_fold_without_objects_has_no_figures(tmp_path, monkeypatch):
    folder = write_training(tmp_path / 'fold_1', dict(loss=3.0, step=10), val(1, -1, -1, cat=nan))
    monkeypatch.setattr(tool, 'latest_checkpoint', lambda folder: folder / 'epoch_1.pth')
    result = tool.read_result(folder, 1, 7)
    assert (result.figures, result.classes, result.last) == ({}, {}, {})
    assert result.line().startswith('nothing to find')


def test_a_training_without_records_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r'has no <timestamp>/vis_data/scalars.json'):
        tool.read_result(tmp_path, 1, 7)


@pytest.fixture
def summary():
    """Three folds: a class that one alone has, and a fold with nothing to find."""
    parts = [
        (
            {'AP': 0.5, 'AP50': 0.8},
            {'cat': 0.4, 'a $x_1$': 0.6, 'cat_keypoints': 0.5},
            {'AP': 0.4, 'AP50': 0.7},
        ),
        ({'AP': 0.3, 'AP50': 0.6}, {'cat': 0.3}, {'AP': 0.3, 'AP50': 0.6}),
        ({}, {}, {}),
    ]
    results = [tool.FoldResult(number, 4, 9, 'c.pth', *part) for number, part in enumerate(parts, 1)]
    return tool.Summary(results, {'cat': 12, 'a $x_1$': 3})


def test_mean_and_spread_are_of_the_folds_that_have_a_figure(summary):
    content = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    half = pytest.approx(0.2 / sqrt(2))
    assert content['figures'] == {
        name: dict(mean=value, spread=half, folds=2) for name, value in (('AP', 0.4), ('AP50', 0.7))
    }
    assert content['last']['AP'] == dict(mean=0.35, spread=pytest.approx(0.1 / sqrt(2)), folds=2)
    assert content['classes']['cat'] == dict(
        objects=12, mean=0.35, spread=pytest.approx(0.1 / sqrt(2)), folds=2
    )
    assert content['classes']['a $x_1$'] == dict(objects=3, mean=0.6, spread=None, folds=1)
    assert content['classes']['cat_keypoints']['objects'] is None
    assert [tool.FoldResult(**one) for one in content['folds']] == summary.results


def test_the_tables(summary):
    assert [line.split() for line in summary.lines()] == [
        ['fold', 'images', 'epoch', 'AP', 'AP50'],
        ['1', '4', '9', '0.500', '0.800'],
        ['2', '4', '9', '0.300', '0.600'],
        ['3', '4', '9', '-', '-'],
        ['mean', 'best', '0.400', '0.700'],
        ['spread', 'best', '0.141', '0.141'],
        ['mean', 'last', '0.350', '0.650'],
        ['spread', 'last', '0.071', '0.071'],
        ['class', 'objects', 'AP', 'spread'],
        ['cat', '12', '0.350', '0.071'],
        ['a', '$x_1$', '3', '0.600', '-'],
        ['cat_keypoints', '-', '0.500', '-'],
    ]
    assert len({len(line) for line in summary.lines()[:8]}) == 1


def test_the_picture(summary, tmp_path):
    summary.plot(tmp_path / 'kfold.png', 'title')
    picture = cv2.imread(str(tmp_path / 'kfold.png'))
    alone = tool.Summary(summary.results[1:2], summary.objects)
    alone.plot(tmp_path / 'alone.png', 'title')
    assert picture.shape[0] > cv2.imread(str(tmp_path / 'alone.png')).shape[0]
