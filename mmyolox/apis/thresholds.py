"""What a detection has to score, for all classes or for some of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError, first_few

DEFAULT = 0.3
"""The threshold of classes for which none is given."""


@dataclass(frozen=True)
class Thresholds:
    """The least scores of detections that are kept.

    Attributes:
        others: That of the classes that have none of their own.
        of_classes: Those of some classes, by name.
    """

    others: float = DEFAULT
    of_classes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> 'Thresholds':
        """Reads a number for all classes, or ``person=0.4,car=0.25``; both: ``0.3,person=0.4``.

        Args:
            text: What was written.

        Raises:
            UserError: It is none of these.
        """
        others, of_classes = DEFAULT, {}
        # Only behind a number: a class may have a comma in its name.
        for part in re.split(r'(?<=\d),', text):
            name, _, number = part.rpartition('=')
            try:
                value = float(number)
            except ValueError:
                value = float('nan')
            if not 0 <= value <= 1:
                raise UserError(
                    f'--score-thr {text}: a number from 0 to 1 is needed, or one for each class, such as '
                    'person=0.4,car=0.25'
                )
            if name:
                of_classes[name.strip()] = value
            else:
                others = value
        return cls(others, of_classes)

    def of(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """(C,) float64, the threshold of each class.

        Args:
            classes: The names of the C classes.

        Raises:
            UserError: One is of no class.
        """
        if unknown := [name for name in self.of_classes if name not in classes]:
            raise UserError(
                f'--score-thr: no class is called {first_few(unknown)}; there are {first_few(classes)}'
            )
        return np.array([self.of_classes.get(name, self.others) for name in classes])

    def __str__(self) -> str:
        return ', '.join([f'{self.others}', *(f'{name} {value}' for name, value in self.of_classes.items())])
