"""The section of a report about the training: what is known of it, and its curves."""

from collections.abc import Mapping

import numpy as np

from mmyolox.curves import Curves
from mmyolox.errors import one_line
from mmyolox.pages import Block, Chart, Facts, Fold, Grid, Page, Text
from mmyolox.pages.charts import Axis, Series, lines

from .run import Run

_POINTS, _LINES = 300, 8
"""How many points of a curve, and how many curves are drawn in a chart."""
_HOW_TO_READ = (
    'The losses should fall and the AP rise. An AP that falls while the loss still falls says that the model '
    'learns its training images by heart.'
)


def add_training(page: Page, run: Run) -> None:
    """Adds how the model came to be.

    Args:
        page: The page.
        run: What it is about.
    """
    blocks: list[Block] = [
        Facts({name: one_line(text) for name, text in run.facts.items()})
        if run.facts
        else Text('Nothing is known of the training.')
    ]
    if run.environment:
        blocks.append(Fold('Versions and machine', [Facts(run.environment)]))
    charts = [] if run.curves is None else curve_charts(run.curves)
    if charts:
        blocks += [Text(_HOW_TO_READ), Grid(charts)]
    else:
        blocks.append(
            Text('There are no curves: the records of a training (`scalars.json`) are not at hand.')
        )
    page.section('The training' if run.curves else 'The model', *blocks)


def curve_charts(curves: Curves) -> list[Chart]:
    """The losses, the APs and the losses of the validations of a training, as far as they are recorded.

    Args:
        curves: What it recorded.
    """
    charts = []
    for recorded, title, x, y, is_loss in (
        (curves.losses, 'Losses', 'iteration', 'loss', True),
        (curves.metrics, 'AP on the validation images', 'epoch', 'AP', False),
        (curves.val_losses, 'Losses on the validation images', 'epoch', 'loss', True),
    ):
        series = [_series(name, values) for name, values in recorded.items()][:_LINES]
        if series:
            charts.append(_chart(title, series, x, y, is_loss))
    return charts


def compared_curve_charts(recorded: Mapping[str, Curves]) -> list[Chart]:
    """The overall loss and the AP of several trainings.

    Args:
        recorded: What each recorded, by its name.
    """
    losses = {name: curves.losses['loss'] for name, curves in recorded.items() if 'loss' in curves.losses}
    metrics = {
        name: next(iter(curves.metrics.values())) for name, curves in recorded.items() if curves.metrics
    }
    charts = []
    for values, title, x, y, is_loss in (
        (losses, 'Loss', 'iteration', 'loss', True),
        (metrics, 'AP on the validation images', 'epoch', 'AP', False),
    ):
        series = [_series(name, one) for name, one in values.items()][:_LINES]
        if series:
            charts.append(_chart(title, series, x, y, is_loss))
    return charts


def _chart(title: str, series: list[Series], x: str, y: str, is_loss: bool) -> Chart:
    said = []
    for one in series:
        values = np.asarray(one.y, np.float64)
        first, last = values[[0, -1]].tolist()
        best = values.min() if is_loss else values.max()
        several = f'goes from {first:.3g} to {last:.3g}, at best {best:.3g}'
        said.append(f'{one.name} {several if len(values) > 1 else f"is {last:.3g}"}')
    description = f'By {x}: {"; ".join(said)}.'
    domain = None if is_loss else (0.0, 1.0)
    return lines(title, description, series, Axis(x), Axis(y, domain, is_logarithmic=is_loss))


def _series(name: str, values: Mapping[int, float]) -> Series:
    """A recorded curve: at most some hundred of its points, evenly chosen, the last among them."""
    steps = sorted(values)
    stride = -(-len(steps) // _POINTS)
    chosen = steps[::-1][::stride][::-1]
    return Series(one_line(name), chosen, [values[step] for step in chosen])
