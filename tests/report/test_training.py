"""The section about the training, and its curves."""

import pytest

from mmyolox.curves import Curves
from mmyolox.pages import Facts, Page, Text
from mmyolox.report.run import Run
from mmyolox.report.training import add_training, compared_curve_charts, curve_charts


def straight(count, scale=1.0):
    return {step: scale * step for step in range(1, count + 1)}


def section(run):
    page = Page('x')
    add_training(page, run)
    return page.sections[0]


def test_each_kind_of_curve_has_a_chart():
    curves = Curves(dict(loss=straight(5)), dict(mAP=straight(2, 0.1)), dict(loss=straight(2)))
    charts = curve_charts(curves)
    assert [chart.title for chart in charts] == [
        'Losses',
        'AP on the validation images',
        'Losses on the validation images',
    ]
    assert charts[0].description == 'By iteration: loss goes from 1 to 5, at best 1.'
    assert charts[1].description == 'By epoch: mAP goes from 0.1 to 0.2, at best 0.2.'


def test_a_curve_of_one_value_goes_nowhere():
    [chart] = curve_charts(Curves({}, dict(mAP={4: 0.25})))
    assert chart.description == 'By epoch: mAP is 0.25.'


@pytest.mark.parametrize('count', [1, 299, 300, 301, 12345])
def test_long_curves_are_thinned_and_keep_their_last_value(count):
    [chart] = curve_charts(Curves(dict(loss=straight(count))))
    steps = [row[0] for row in chart.numbers.rows]
    assert len(steps) == len(set(steps)) <= 300
    assert steps == sorted(steps)
    assert float(steps[-1]) == count


def test_nothing_recorded_is_told():
    shown = section(Run('a', ''))
    assert shown.heading == 'The model'
    texts = [block.text for block in shown.blocks if isinstance(block, Text)]
    assert texts[0] == 'Nothing is known of the training.'
    assert texts[1].startswith('There are no curves')


def test_facts_are_shown_in_a_line_each():
    shown = section(Run('a', '', facts=dict(train='a\nb'), curves=Curves(dict(loss=straight(3)))))
    assert shown.heading == 'The training'
    assert shown.blocks[0] == Facts(dict(train='a\\nb'))


def test_trainings_are_compared_by_their_loss_and_their_first_ap():
    recorded = dict(
        one=Curves(
            dict(loss=straight(3), loss_cls=straight(3)), dict(bbox_mAP=straight(2, 0.1), mAP_50=straight(2))
        ),
        two=Curves(dict(loss=straight(5)), {}),
        three=Curves(dict(loss_cls=straight(4))),
    )
    losses, aps = compared_curve_charts(recorded)
    assert 'one goes from 1 to 3, at best 1; two goes from 1 to 5' in losses.description
    assert 'three' not in losses.description
    assert aps.description == 'By epoch: one goes from 0.1 to 0.2, at best 0.2.'
    assert compared_curve_charts({}) == []
