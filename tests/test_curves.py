"""The curves of a training: what is read of a work dir, and the picture."""

import json
from contextlib import contextmanager
from itertools import pairwise

import cv2
import pytest

from mmyolox.curves import Curves, figure_file, plot_curves, read_curves
from mmyolox.errors import UserError


def train(step, loss, **parts):
    """A line that MMEngine's LoggerHook writes while training; its window's means."""
    return dict(lr=0.01, loss=loss, **parts, grad_norm=2.0, epoch=1, iter=step, memory=1, time=0.1, step=step)


def val(step, ap, **more):
    """A line that it writes after a validation."""
    return {'coco/bbox_mAP': ap, 'coco/bbox_mAP_s': 0.5, 'data_time': 0.1, 'time': 0.2, 'step': step} | more


def write(work_dir, run, *lines):
    folder = work_dir / run / 'vis_data'
    folder.mkdir(parents=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / 'scalars.json').write_text(''.join(f'{text}\n' for text in texts))


def test_losses_by_iteration_and_aps_by_epoch(tmp_path):
    write(
        tmp_path, '20250101_000000', train(10, 9.0, loss_cls=4.0), val(1, 0.1), train(20, 5.0, loss_cls=2.0)
    )
    curves = read_curves(tmp_path)
    assert curves.losses == dict(loss={10: 9.0, 20: 5.0}, loss_cls={10: 4.0, 20: 2.0})
    assert list(curves.losses) == ['loss', 'loss_cls']
    assert curves.metrics == dict(bbox_mAP={1: 0.1})


def test_losses_of_validations_are_apart(tmp_path):
    write(
        tmp_path,
        '20250101_000000',
        train(10, 9.0),
        val(1, 0.1, **{'val/loss': 8.0, 'val/loss_cls': 2.0}),
        val(2, 0.2, **{'val/loss': 7.0}),
    )
    curves = read_curves(tmp_path)
    assert curves.losses == dict(loss={10: 9.0})
    assert curves.val_losses == dict(loss={1: 8.0, 2: 7.0}, loss_cls={1: 2.0})
    assert curves.metrics == dict(bbox_mAP={1: 0.1, 2: 0.2})
    plot_curves(curves, tmp_path / 'three.png')
    plot_curves(Curves(curves.losses, curves.metrics), tmp_path / 'two.png')
    assert (tmp_path / 'three.png').read_bytes() != (tmp_path / 'two.png').read_bytes()


def test_a_loss_part_that_begins_later(tmp_path):
    write(tmp_path, '20250101_000000', train(10, 9.0), train(20, 5.0, loss_l1=1.5))
    assert read_curves(tmp_path).losses == dict(loss={10: 9.0, 20: 5.0}, loss_l1={20: 1.5})


def test_runs_are_joined_in_time_and_what_was_done_twice_counts_once(tmp_path):
    # Written first, to show that the names decide: the second run resumed from iteration 20, epoch 2.
    write(tmp_path, '20250102_000000', train(30, 3.0), val(3, 0.3), train(40, 2.0), val(4, 0.4))
    write(
        tmp_path, '20250101_000000', train(10, 9.0), val(1, 0.1), train(20, 8.0), val(2, 0.2), train(30, 7.0)
    )
    curves = read_curves(tmp_path)
    assert curves.losses == dict(loss={10: 9.0, 20: 8.0, 30: 3.0, 40: 2.0})
    assert curves.metrics == dict(bbox_mAP={1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4})


def test_nothing_is_left_of_a_training_before_one_that_began_anew(tmp_path):
    more = {'val/loss': 8.0, 'coco/cat_precision': 0.3}
    write(tmp_path, '20250101_000000', train(10, 9.0), val(1, 0.1, **more), train(20, 8.0), val(2, 0.2))
    write(tmp_path, '20250102_000000', train(30, 7.0), val(3, 0.3))
    write(tmp_path, '20250103_000000', train(10, 6.0), train(20, 5.0), val(2, 0.5))
    curves = read_curves(tmp_path)
    assert curves == Curves(dict(loss={10: 6.0, 20: 5.0}), dict(bbox_mAP={2: 0.5}))


def test_steps_of_a_killed_run_beyond_the_checkpoint_are_forgotten(tmp_path):
    write(
        tmp_path, '20250101_000000', train(10, 9.0), train(25, 8.0, loss_l1=4.0), train(45, 1.0, loss_l1=2.0)
    )
    write(tmp_path, '20250102_000000', train(20, 7.0))
    assert read_curves(tmp_path).losses == dict(loss={10: 9.0, 20: 7.0})


@pytest.mark.parametrize('last', ['{"loss": 5.0, "lo', ''])
def test_a_line_that_was_cut_off(tmp_path, last):
    write(tmp_path, '20250101_000000', train(10, 9.0), last)
    assert read_curves(tmp_path).losses == dict(loss={10: 9.0})


@pytest.mark.parametrize(
    ('key', 'name'),
    [
        ('coco/bbox_mAP_50', 'bbox_mAP_50'),
        ('pascal_voc/mAP', 'mAP'),
        ('pascal_voc/AP50', 'AP50'),
        ('coco/AP .75', 'AP .75'),
        ('coco/bbox_mAP_m', None),
        ('coco/AP (M)', None),
        ('coco/cat_precision', None),
        ('coco/MAP_time', None),
    ],
)
def test_overall_aps_of_several_metrics(tmp_path, key, name):
    write(tmp_path, '20250101_000000', val(1, 0.1, **{key: 0.7}))
    assert read_curves(tmp_path).metrics == dict(bbox_mAP={1: 0.1}) | ({name: {1: 0.7}} if name else {})


def test_classes_of_any_name(tmp_path):
    aps = {'cat': 0.5, 'a/b': 0.25, 'a\nb': 0.125}
    write(tmp_path, '20250101_000000', val(1, 0.1, **{f'coco/{name}_precision': aps[name] for name in aps}))
    assert read_curves(tmp_path).classes == {name: {1: ap} for name, ap in aps.items()}


def test_an_ap_without_ground_truth_is_none(tmp_path):
    write(tmp_path, '20250101_000000', val(1, 0.1, **{'coco/bbox_mAP_75': -1}))
    assert read_curves(tmp_path).metrics == dict(bbox_mAP={1: 0.1})


def test_runs_without_records(tmp_path):
    with pytest.raises(UserError, match=r'has no <timestamp>/vis_data/scalars.json; give the work dir'):
        read_curves(tmp_path)
    write(tmp_path, '20250101_000000', dict(step=1, lr=0.1))
    with pytest.raises(UserError, match='neither losses nor APs'):
        read_curves(tmp_path)


LOSSES = dict(loss={1: 9.0, 2: 5.0}, loss_l1={2: 1.0})


@pytest.mark.parametrize('curves', [Curves(LOSSES, dict(AP={1: 0.5})), Curves(LOSSES), Curves()])
def test_the_picture(tmp_path, curves):
    plot_curves(curves, tmp_path / 'a.png', title='t')
    image = cv2.imread(str(tmp_path / 'a.png'))
    assert image.shape == (600, 1320, 3)
    assert image.std() > 5


def test_the_picture_shows_the_curves(tmp_path):
    plot_curves(Curves(LOSSES), tmp_path / 'one.png')
    plot_curves(Curves(dict(LOSSES, loss={1: 5.0, 2: 9.0})), tmp_path / 'other.png')
    assert (tmp_path / 'one.png').read_bytes() != (tmp_path / 'other.png').read_bytes()


def test_a_curve_of_one_value_is_seen(tmp_path):
    for step in (1, 2):
        plot_curves(Curves(dict(LOSSES, loss_l1={step: 1.0})), tmp_path / f'{step}.png')
    assert (tmp_path / '1.png').read_bytes() != (tmp_path / '2.png').read_bytes()


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn."""
    drawn = []

    @contextmanager
    def keep(*args, **settings):
        with figure_file(*args, **settings) as figure:
            drawn.append(figure)
            yield figure

    monkeypatch.setattr('mmyolox.curves.figure_file', keep)
    return drawn


@pytest.mark.parametrize('val_losses', [{}, dict(loss_cls={1: 1.4}, loss_obj={1: 4.9}, loss={1: 10.7})])
def test_legends_are_apart_and_inside(tmp_path, figures, val_losses):
    metrics = {f'keypoints_mAP{end}': {1: 0.5} for end in ('', '_50', '_75')}
    losses = {f'loss{end}': {3: 10.5} for end in ('', '_cls', '_obj', '_bbox')}
    plot_curves(Curves(losses, metrics, val_losses), tmp_path / 'a.png')
    [figure] = figures
    figure.canvas.draw()
    boxes = sorted((axes.get_legend().get_window_extent() for axes in figure.axes), key=lambda box: box.x0)
    assert len(boxes) == (3 if val_losses else 2)
    assert boxes[0].x0 >= 0
    assert boxes[-1].x1 <= figure.bbox.x1
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_a_loss_has_one_colour_and_place(tmp_path, figures):
    val_losses = dict(loss_obj={1: 4.0}, loss={1: 9.0})
    plot_curves(Curves(dict(loss={1: 9.0}, loss_obj={1: 4.0}), {}, val_losses), tmp_path / 'a.png')
    left, _, middle = figures[0].axes
    colours = [[(line.get_label(), line.get_color()) for line in axes.lines] for axes in (left, middle)]
    assert colours[0] == colours[1] == [('loss: 9', 'C0'), ('loss_obj: 4', 'C1')]


def test_epochs_are_whole_numbers(tmp_path, figures):
    plot_curves(Curves(LOSSES, dict(AP={2: 0.5})), tmp_path / 'a.png')
    ticks = figures[0].axes[1].get_xticks()
    assert [*ticks] == [round(tick) for tick in ticks]


def test_a_picture_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match=r'a\.tiffany cannot be written'):
        plot_curves(Curves(LOSSES), tmp_path / 'a.tiffany')


def test_a_value_that_cannot_be_drawn(tmp_path):
    with pytest.raises(UserError, match=r'a\.png cannot be written: .*too large'):
        plot_curves(Curves(dict(loss={1: 10**400, 2: 0.5})), tmp_path / 'a.png')
    assert not [*tmp_path.iterdir()]


def test_a_huge_value_is_drawn(tmp_path):
    plot_curves(Curves(dict(loss={1: 2.5e290, 2: 0.5})), tmp_path / 'a.png')
    assert min(cv2.imread(str(tmp_path / 'a.png')).shape[:2]) > 100


@pytest.mark.parametrize(
    'line',
    ['[]', '1', '{"loss": "x", "step": 2}', '{"loss": 1, "step": null}', '{"coco/bbox_mAP": {}, "step": 2}']
    + ['{"loss": 1}', '[' * 100_000, '{"l\udcff'],
)
def test_lines_of_other_content_are_passed_over(tmp_path, line):
    write(tmp_path, '20250101_000000', train(1, 2.0))
    with (tmp_path / '20250101_000000/vis_data/scalars.json').open('ab') as file:
        file.write(line.encode('utf-8', 'surrogateescape'))
    assert read_curves(tmp_path) == Curves(dict(loss={1: 2.0}))


@pytest.mark.parametrize('name', ['t_\udcc3\udca4', r'$\frac$ and $'])
def test_names_may_be_any_text(tmp_path, name):
    plot_curves(Curves({name: {1: 2.0}}, {name: {1: 0.5}}), tmp_path / 'curves.png', title=name)
    assert cv2.imread(str(tmp_path / 'curves.png')) is not None
