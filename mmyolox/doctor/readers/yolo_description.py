"""What a data set of YOLO says of itself, as far as it can be read: what is at fault is kept beside it."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mmyolox.datasets.yolo_files import class_names, find_description, keypoint_shape, read_description
from mmyolox.errors import ReadingReport, UserError, first_few, printable

MOST_NAMELESS = 1000
"""How many classes there can be at most where nobody names them."""
_MOST_KEYPOINTS = 1000


class DescriptionFault(NamedTuple):
    """Something in the description that is at fault.

    Attributes:
        kind: The name of the check that tells of it.
        reason: What is wrong.
    """

    kind: str
    reason: str


@dataclass
class Description:
    """The description of a data set; make it by :meth:`of`.

    Attributes:
        path: Its file; None where there is none.
        data: What stands there, see :func:`.yolo_files.read_yaml`.
        names: The class names in the order of their indices, None for an index without one; None in all
            where no class has a name that can be read.
        keypoint_shape: How many keypoints each label has, and of how many numbers: (0, 0) without any, None
            where that cannot be read.
        faults: What is at fault.
    """

    path: Path | None
    data: Mapping[str, Any]
    names: list[str | None] | None = None
    keypoint_shape: tuple[int, int] | None = None
    faults: list[DescriptionFault] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, args: Mapping[str, Any]) -> 'Description':
        """Reads the description of a data set.

        Args:
            root: The folder of the data set.
            args: The arguments of :class:`mmyolox.datasets.YOLOXYoloDataset`.

        Raises:
            UserError: The file cannot be read at all.
        """
        file = args.get('ann_file')
        path = root / file if file else find_description(root, ReadingReport())
        description = cls(path, read_description(path) if path else {})
        description.names = description._read_names(root)
        description.keypoint_shape = description._read_keypoint_shape()
        return description

    def note(self, kind: str, reason: str) -> None:
        """Keeps a fault."""
        self.faults.append(DescriptionFault(kind, reason))

    def _read_names(self, root: Path) -> list[str | None] | None:
        names = self.data.get('names')
        if names is None:
            try:
                found = class_names(root, self.path, self.data)
            except UserError as error:
                self.note('names-unreadable', str(error))
                return None
            return None if found is None else [*found]
        values = self._listed(names) if isinstance(names, dict) else names
        if not isinstance(values, list) or not values:
            self.note('names-unreadable', f'names: {reprlib.repr(names)}')
            return None
        count = self.data.get('nc', str(len(values)))
        if count not in (str(len(values)), str(len(names))):
            self.note('nc-differs', f'nc: {reprlib.repr(count)}, and {len(values)} names')
        read = [name if isinstance(name, str) and '' != name == printable(name) else None for name in values]
        for index, name in enumerate(values):
            if read[index] is None and name is not None:
                self.note('names-unreadable', f'index {index}: {reprlib.repr(name)}')
        return read

    def _listed(self, names: Mapping[Any, Any]) -> list[Any]:
        """The names of a mapping in the order of their indices, None for one that has none."""
        known = {str(index): index for index in range(MOST_NAMELESS)}
        if unknown := [key for key in names if key not in known]:
            self.note('names-unreadable', f'names of no index: {first_few(map(repr, unknown))}')
        by_index = {known[key]: name for key, name in names.items() if key in known}
        indices = range(max(by_index, default=-1) + 1)
        for index in indices:
            if index not in by_index:
                self.note('name-index-missing', f'{index}, of {len(indices)}')
        return [by_index.get(index) for index in indices]

    def _read_keypoint_shape(self) -> tuple[int, int] | None:
        try:
            shape = keypoint_shape(self.path, self.data)
        except UserError:
            shape = _MOST_KEYPOINTS + 1, 0
        if shape[0] <= _MOST_KEYPOINTS:
            return shape
        self.note('keypoint-shape-unreadable', f'kpt_shape: {reprlib.repr(self.data["kpt_shape"])}')
        return None
