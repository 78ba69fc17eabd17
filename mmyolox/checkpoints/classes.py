"""The classes of a file and of a model: which row of a class layer belongs to which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmyolox.errors import first_few

_PER_CLASS = ('classes', 'cat_ids', 'palette', 'class_keypoints')
"""What of a ``dataset_meta`` has an entry for each class."""


@dataclass(frozen=True)
class ClassNames:
    """The names of the labels, in order, in a file and in a model that its weights are for.

    Names are compared as they are written.

    Attributes:
        file: Those of the file; empty if they are not known.
        model: Those of the model; empty if they are not known.
    """

    file: tuple[str, ...] = ()
    model: tuple[str, ...] = ()

    @property
    def new(self) -> tuple[str, ...]:
        """The model's names that are not the file's."""
        return tuple(name for name in self.model if name not in self.file)

    def fit(self, theirs: Tensor, own: Tensor) -> bool:
        """Whether there is a name for each row of a layer in the file, and for each in the model."""
        return 0 < len(self.file) == len(theirs) and 0 < len(self.model) == len(own)

    def rows(self, theirs: Tensor, own: Tensor) -> Tensor:
        """A class layer for the model: for each name the file's row, or the model's own for a new one.

        Args:
            theirs: The layer in the file, a row for each of its classes.
            own: The layer in the model.
        """
        places = {name: place for place, name in enumerate(self.file)}
        known = [label for label, name in enumerate(self.model) if name in places]
        rows = own.clone()
        rows[known] = theirs[[places[self.model[label]] for label in known]].to(rows)
        return rows

    def describe(self) -> str:
        """The names of both sides."""
        return f"the file's: {first_few(self.file, 5)}; the model's: {first_few(self.model, 5)}"


def names_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of a ``metainfo``, or of what a checkpoint records of its data; empty if it names none."""
    return tuple(map(str, data.get('classes') or ()))


def of_classes(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is recorded of some data, with the entries of given classes alone, in their order.

    Args:
        data: A ``dataset_meta`` with ``classes``.
        names: Some of these.
    """
    recorded = names_of(data)
    places = [recorded.index(name) for name in names]
    chosen = {
        key: [data[key][place] for place in places]
        for key in _PER_CLASS
        if isinstance(data.get(key), list | tuple) and len(data[key]) == len(recorded)
    }
    return {**data, **chosen}
