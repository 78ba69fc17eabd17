"""The losses and the validation APs of a training, from what ``LocalVisBackend`` wrote, as a picture."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmyolox.errors import UserError, printable
from mmyolox.files import atomic_write

Series = dict[str, dict[int, float]]
"""Values by step, for every name."""

_AP = re.compile(r'm?AP(_?\d+| \.\d+)?$')
"""The overall APs among the metrics: ``bbox_mAP``, ``bbox_mAP_50``, ``AP50`` (VOC), ``AP .5`` (keypoints)."""
_CLASS_AP = re.compile(r'[^/]*/(.+)_precision', re.DOTALL)
"""That of a class, whose name may hold anything."""


@dataclass
class Curves:
    """What a training recorded.

    Attributes:
        losses: The loss parts, by iteration.
        metrics: The APs in [0, 1], by epoch (by iteration, where a run counts those).
        val_losses: The loss parts on the validation images, by epoch, where a training logs them.
        classes: The AP of each class in [0, 1], by epoch, where a metric is ``classwise``.
    """

    losses: Series = field(default_factory=dict)
    metrics: Series = field(default_factory=dict)
    val_losses: Series = field(default_factory=dict)
    classes: Series = field(default_factory=dict)


def read_curves(work_dir: str | Path) -> Curves:
    """Reads the curves of a work dir, all its runs joined.

    A run that was resumed replaces what its predecessors recorded from its first step on: where a run was
    killed after its last checkpoint, these steps were done twice. Before one that began anew nothing is left.

    Args:
        work_dir: The folder of a training, which holds ``<timestamp>/vis_data/scalars.json`` for every run.

    Raises:
        UserError: It does not, or nothing was recorded.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise UserError(
            f'{work_dir}: has no <timestamp>/vis_data/scalars.json; give the work dir of a training'
        )
    curves = Curves()
    for file in files:
        run = _read_run(file.read_text(encoding='utf-8', errors='replace').splitlines())
        if run.losses and curves.losses and _first_step(run.losses) <= _first_step(curves.losses):
            curves = Curves()
        _continue(curves.losses, run.losses)
        _continue(curves.metrics, run.metrics)
        _continue(curves.val_losses, run.val_losses)
        _continue(curves.classes, run.classes)
    if not (curves.losses or curves.metrics):
        raise UserError(f'{work_dir}: its runs have recorded neither losses nor APs')
    return curves


def plot_curves(curves: Curves, path: str | Path, title: str = '') -> None:
    """Plots losses, APs and losses of the validations, if any, side by side, the last values in the legend.

    Args:
        curves: The curves that :func:`read_curves` returns.
        path: The picture's file; its suffix is the format.
        title: The title above the curves.

    Raises:
        UserError: The file cannot be written.
    """
    losses = list(dict.fromkeys([*curves.losses, *curves.val_losses]))
    panels = 3 if curves.val_losses else 2
    with figure_file(path, title, size=(5.5 * panels, 5)) as figure:
        left, right, *middle = figure.subplots(1, panels)
        for axes in middle:
            _plot(
                axes,
                curves.val_losses,
                losses,
                xlabel='epoch',
                ylabel='loss on the validation images',
                yscale='log',
                marker='.',
            )
        _plot(left, curves.losses, losses, xlabel='iteration', ylabel='loss', yscale='log')
        _plot(
            right,
            curves.metrics,
            list(curves.metrics),
            xlabel='epoch',
            ylabel='AP on the validation images',
            ylim=(0, 1),
            marker='.',
        )


@contextmanager
def figure_file(path: str | Path, title: str, size: tuple[float, float]) -> Iterator[Any]:
    """Writes a figure of matplotlib that is filled in the block; names in it are no formulas.

    Args:
        path: The file; its suffix is the format.
        title: What stands above, any text.
        size: Width and height in inches.

    Yields:
        The figure.

    Raises:
        UserError: The file cannot be written, or a value is too large to be drawn.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Else what stands between two dollar signs is one.
    with rc_context({'text.parse_math': False}):
        figure = Figure(figsize=size, layout='constrained')
        FigureCanvasAgg(figure)
        figure.suptitle(printable(title))
        try:
            yield figure
            with atomic_write(path) as part:
                figure.savefig(part, dpi=120)
        except (OverflowError, ValueError) as error:  # no figure shows 1e300
            raise UserError(f'{path} cannot be written: {error}') from error


def _plot(axes: Any, curves: Series, names: Sequence[str], marker: str = '', **settings: Any) -> None:
    """Plots curves, each in the colour of its place among ``names``, which has them all."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(**settings)
    axes.grid(alpha=0.3)
    for place, name in enumerate(names):
        if name not in curves:
            continue
        values = curves[name]
        steps = sorted(values)
        last = values[steps[-1]]
        seen = marker or '.' * (len(steps) == 1)  # one value makes no line
        label = printable(f'{name}: {last:.3g}')
        axes.plot(steps, [values[step] for step in steps], label=label, marker=seen, color=f'C{place}')
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)  # of one epoch, too
    if axes.get_yscale() == 'log':
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter('{x:g}')
        axes.yaxis.set_minor_formatter(NullFormatter())
    if curves:
        axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize='small')
    else:
        axes.text(0.5, 0.5, 'nothing recorded', ha='center', transform=axes.transAxes)


def _read_run(lines: Iterable[str]) -> Curves:
    """What a single run recorded."""
    run = Curves()
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            step = entry['step']
        except (
            KeyError,
            RecursionError,
            TypeError,
            ValueError,
        ):  # a killed run leaves its last line unfinished
            continue
        for key, value in entry.items():
            name = key.rpartition('/')[2]
            if type(step) is not int or type(value) not in (int, float):
                continue
            if key.startswith('val/loss'):
                run.val_losses.setdefault(name, {})[step] = value
            elif key.startswith('loss'):
                run.losses.setdefault(key, {})[step] = value
            elif 'loss' not in entry and value >= 0:  # -1 and NaN: no such ground truth
                of_class = _CLASS_AP.fullmatch(key)
                if of_class:
                    run.classes.setdefault(of_class[1], {})[step] = value
                elif _AP.search(name):
                    run.metrics.setdefault(name, {})[step] = value
    return run


def _first_step(series: Series) -> int:
    return min(step for values in series.values() for step in values)


def _continue(curves: Series, run: Series) -> None:
    """Appends a later run's values to the curves, in place."""
    if not run:
        return
    start = _first_step(run)
    for name in dict.fromkeys([*curves, *run]):
        kept = {step: value for step, value in curves.get(name, {}).items() if step < start}
        curves[name] = kept | run.get(name, {})
        if not curves[name]:
            del curves[name]
