"""Figures of the trainings of a k-fold: read from what a training writes, together, and as a picture."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from mmyolox.checkpoints.load import latest_checkpoint
from mmyolox.curves import figure_file, read_curves
from mmyolox.engine.figures import class_table, format_figures, format_value, short_figures
from mmyolox.errors import printable

_MOST_CLASSES = 40
"""How many classes the picture has room for."""


@dataclass(frozen=True)
class FoldResult:
    """What came of a training.

    Attributes:
        fold: The number of the fold that it was evaluated on, from 1.
        images: How many images the fold has.
        epoch: The epoch of the best checkpoint; of the best figures, where no checkpoint is kept as the best.
        checkpoint: The best checkpoint, relative to the folder of all; else the last one.
        figures: The figures of that epoch, by what a person calls them.
        classes: The AP of each class that there was to find, in that epoch.
        last: The figures of the last epoch.
    """

    fold: int
    images: int
    epoch: int
    checkpoint: str
    figures: dict[str, float]
    classes: dict[str, float]
    last: dict[str, float]

    def line(self) -> str:
        """The figures in a line."""
        return f'{format_figures(self.figures) or "nothing to find"} (epoch {self.epoch})'


def read_result(folder: Path, fold: int, images: int) -> FoldResult:
    """Reads what came of a training.

    Args:
        folder: Its work dir, in the folder of all.
        fold: The number of its fold.
        images: How many images the fold has.

    Raises:
        UserError: It has recorded nothing.
    """
    curves = read_curves(folder)
    first = next(iter(curves.metrics.values()), {})
    best = {int(re.sub(r'.*_', '', path.stem)): path for path in folder.glob('best_*_epoch_*.pth')}
    epochs = sorted({epoch for values in curves.metrics.values() for epoch in values})
    latest = latest_checkpoint(folder)
    epoch = max(best or epochs, key=lambda one: first.get(one, 0.0), default=0)

    def at(series: Mapping[str, Mapping[int, float]], step: int) -> dict[str, float]:
        return {name: values[step] for name, values in series.items() if step in values}

    return FoldResult(
        fold,
        images,
        epoch,
        f'{folder.name}/{best.get(epoch, latest).name}',
        short_figures(at(curves.metrics, epoch)),
        at(curves.classes, epoch),
        short_figures(at(curves.metrics, epochs[-1])) if epochs else {},
    )


class Spread(NamedTuple):
    """A figure over several folds.

    Attributes:
        mean: The mean.
        spread: The standard deviation of a sample; None of one fold.
        folds: How many folds have it: there, it could be measured.
    """

    mean: float
    spread: float | None
    folds: int


def over_folds(figures: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Mean and spread of figures, by name.

    Args:
        figures: Those of each fold, by name; a fold may lack some.
    """
    names = dict.fromkeys(name for one in figures for name in one)
    known = {name: [one[name] for one in figures if name in one] for name in names}
    return {
        name: Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))
        for name, values in known.items()
    }


class ClassRow(NamedTuple):
    """A class in the table of all, see :func:`mmyolox.engine.figures.class_table`."""

    name: str
    objects: int | str
    precisions: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """What came of all trainings so far.

    Attributes:
        results: Of each.
        objects: By class, how many objects there are to find in all folds; of figures that are of something
            else than the boxes of a class, as keypoints, that is not known.
    """

    results: Sequence[FoldResult]
    objects: Mapping[str, int]

    @property
    def best(self) -> dict[str, Spread]:
        """The figures of the best epochs."""
        return over_folds([one.figures for one in self.results])

    @property
    def last(self) -> dict[str, Spread]:
        """The figures of the last epochs."""
        return over_folds([one.last for one in self.results])

    @property
    def classes(self) -> dict[str, Spread]:
        """The AP of each class, in the best epochs."""
        return over_folds([one.classes for one in self.results])

    def to_dict(self) -> dict[str, Any]:
        """What is written: the folds, and mean and spread of the figures, overall and of each class."""
        classes = {
            name: dict(objects=self.objects.get(name), **one._asdict()) for name, one in self.classes.items()
        }
        return dict(
            folds=[asdict(one) for one in self.results],
            figures={name: one._asdict() for name, one in self.best.items()},
            last={name: one._asdict() for name, one in self.last.items()},
            classes=classes,
        )

    def lines(self) -> list[str]:
        """The tables: the folds with mean and spread, and the classes."""
        rows: list[tuple[object, object, object, Mapping[str, float]]] = [
            (one.fold, one.images, one.epoch, one.figures) for one in self.results
        ]
        for epoch, found in dict(best=self.best, last=self.last).items():
            rows.append(('mean', '', epoch, {name: one.mean for name, one in found.items()}))
            rows.append(('spread', '', epoch, {name: _number(one.spread) for name, one in found.items()}))
        widths = {name: max(6, len(name)) for name in self.best}
        lines = ['  '.join(['  fold  ', 'images', 'epoch', *(f'{name:>{widths[name]}}' for name in widths)])]
        for fold, images, epoch, figures in rows:
            cells = (f'{format_value(figures.get(name, nan)):>{width}}' for name, width in widths.items())
            lines.append('  '.join([f'  {fold:<6}', f'{images:>6}', f'{epoch:>5}', *cells]))
        classes = [
            ClassRow(name, self.objects.get(name, '-'), dict(AP=one.mean, spread=_number(one.spread)))
            for name, one in self.classes.items()
        ]
        return [*lines, *(f'  {line}' for line in class_table(classes))]

    def plot(self, path: Path, title: str) -> None:
        """Plots each figure of each fold, with mean and spread: overall, then of the classes found worst.

        Args:
            path: The file.
            title: What stands above.

        Raises:
            UserError: The file cannot be written.
        """
        classes = self.classes
        worst = sorted(classes, key=lambda name: classes[name].mean)[:_MOST_CLASSES]
        rows = [
            (name, one, [result.figures.get(name, nan) for result in self.results])
            for name, one in self.best.items()
        ]
        rows += [
            (f'AP of {name}', classes[name], [result.classes.get(name, nan) for result in self.results])
            for name in worst
        ]
        with figure_file(path, title, size=(9, 2 + 0.3 * len(rows))) as figure:
            axes = figure.subplots()
            labels = [printable(name) for name, _, _ in rows]
            axes.set(xlim=(0, 1), yticks=range(len(rows)), yticklabels=labels)
            axes.invert_yaxis()
            axes.grid(alpha=0.3)
            for place, (_, one, _) in enumerate(rows):
                axes.errorbar(one.mean, place, xerr=one.spread or 0, fmt='|', color='black', capsize=4)
            for number, result in enumerate(self.results):
                values = [of_folds[number] for _, _, of_folds in rows]
                axes.scatter(values, range(len(rows)), s=14, label=result.fold, zorder=3)
            axes.legend(title='fold', loc='center left', bbox_to_anchor=(1, 0.5))


def _number(spread: float | None) -> float:
    return nan if spread is None else spread
