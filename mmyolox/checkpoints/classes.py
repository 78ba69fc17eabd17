"""The classes of a file and of a model: which row of a class layer belongs to which."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmyolox.errors import UserError, first_few

CLASS_LAYERS = 'multi_level_conv_cls'
"""The part of a name that says that the size of the layer is the number of classes."""

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
        rows = zip(self.model, own, strict=True)
        return torch.stack([theirs[places[name]].to(row) if name in places else row for name, row in rows])

    def describe(self) -> str:
        """The names of both sides."""
        return f"the file's: {first_few(self.file, 5)}; the model's: {first_few(self.model, 5)}"


def names_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of a ``metainfo``, or of what a checkpoint records of its data; empty if it names none."""
    return tuple(map(str, data.get('classes') or ()))


def recorded_data(content: Mapping[str, Any], weights: Mapping[str, Tensor], file: str) -> dict[str, Any]:
    """What a checkpoint of OpenMMLab's says of the data set of its training; empty if it says nothing.

    It is the ``dataset_meta``, or for files from before MMEngine the ``classes`` alone. Candidates of
    MMDetection 3.0 wrote ``CLASSES`` into the former. What cannot be true of the weights is left out, with a
    warning: names that are not one for each class, and lists that are not one entry for each name. (More
    colours than that are usual: MMDetection writes COCO's 80 beside any classes.)

    Args:
        content: What the file holds.
        weights: Its weights in our layout.
        file: Its name, for messages.

    Raises:
        UserError: The classes are no names.
    """
    meta = content.get('meta')
    if not isinstance(meta, dict):
        return {}
    recorded = meta.get('dataset_meta')
    data = dict(recorded) if isinstance(recorded, dict) else {}
    classes = data.pop('CLASSES', meta.get('CLASSES'))
    if classes and isinstance(classes, list | tuple):
        data.setdefault('classes', tuple(classes))
    names = data.get('classes') or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str | int) for name in names):
        raise UserError(f'checkpoint {file}: the classes in its meta (dataset_meta) are no list of names')
    fault = fault_of_names(names, weights)
    if fault:
        print_log(
            f'checkpoint {file}: its meta (dataset_meta) {fault}; what it says of classes is not used',
            'current',
            logging.WARNING,
        )
        return {key: value for key, value in data.items() if key not in _PER_CLASS}
    lists = (key for key in _PER_CLASS if isinstance(data.get(key), list | tuple) and data[key])
    for key in list(lists):
        count = len(data[key])
        if count < len(names) or (count > len(names) and key != 'palette'):
            told = f'{count} {key} for {len(names)} classes ({first_few(names, 5)})'
            print_log(
                f'checkpoint {file}: its meta (dataset_meta) has {told}; they are not used',
                'current',
                logging.WARNING,
            )
            del data[key]
    return data


def fault_of_names(names: Sequence[str | int], weights: Mapping[str, Tensor]) -> str:
    """Why names cannot be those of the classes that weights are for; empty if they can."""
    rows = {len(tensor) for name, tensor in weights.items() if CLASS_LAYERS in name and tensor.ndim}
    if names and rows and rows != {len(names)}:
        counts = ' and '.join(map(str, sorted(rows)))
        return f'names {len(names)} classes ({first_few(names, 5)}), but its class layers are for {counts}'
    twice = [name for name, count in Counter(map(str, names)).items() if count > 1]
    return f'names a class more than once ({first_few(twice, 5)})' if twice else ''


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
