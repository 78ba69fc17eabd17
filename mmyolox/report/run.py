"""What a report is about: a model, what it does wrong, and how it came to be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mmyolox.analysis import Analysis
from mmyolox.curves import Curves
from mmyolox.errors import counted
from mmyolox.version import __version__

UNKNOWN = '-'
"""In the place of a figure where there is nothing to measure."""


@dataclass(frozen=True)
class Run:
    """A model and what is known of it.

    Attributes:
        name: What a person calls it, such as the name of its work dir.
        origin: Which detections are analysed, a sentence; or why there are none.
        analysis: What it does wrong; None where there are no detections.
        facts: What is known of its training, or of the weights, by name.
        environment: The versions of packages, and the machine.
        curves: What the training recorded; None without a training, or without records.
        weights: The file of the weights, to be named in commands; empty where nobody knows.
    """

    name: str
    origin: str
    analysis: Analysis | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    curves: Curves | None = None
    weights: str = ''


def described_data(analysis: Analysis) -> str:
    """What was analysed, in a few words."""
    truth = analysis.case.truth
    return (
        f'{counted(len(truth.image_ids), "image")}, {counted(int(truth.is_object.sum()), "object")}, '
        f'{counted(len(truth.classes), "class")}, {counted(len(analysis.case.detections), "detection")}'
    )


def footer() -> str:
    """What stands at the end of a page: what made it, and when."""
    return f'Made by mmyolox {__version__} on {datetime.now():%d %B %Y, %H:%M}.'


def share(value: float, digits: int = 3) -> str:
    """A figure from 0 to 1 as it is shown; a dash where there is nothing to measure."""
    return UNKNOWN if math.isnan(value) else f'{value:.{digits}f}'
