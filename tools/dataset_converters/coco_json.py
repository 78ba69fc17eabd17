"""Building and writing COCO annotation files, for the converters."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmyolox.errors import ReadingReport, counted, printable

Box = tuple[float, float, float, float]


@dataclass
class CocoFile:
    """A COCO annotation file being built.

    All ids count from 1: pycocotools takes an annotation id of 0 for "not matched". Class i of
    ``class_names`` becomes category id i + 1.

    Attributes:
        class_names: The names of the classes, in the order of the labels.
        category_fields: What every category gets beside its id and name (``keypoints``, ``skeleton``).
        images: The ``images`` entries so far.
        annotations: The ``annotations`` entries so far.
    """

    class_names: Sequence[str]
    category_fields: Mapping[str, Any] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add_image(self, file_name: str, width: int, height: int) -> int:
        """Adds an image, ``file_name`` relative to the image folder, and returns its id."""
        image_id = len(self.images) + 1
        self.images.append(dict(id=image_id, file_name=file_name, width=width, height=height))
        return image_id

    def add_annotation(self, image_id: int, label: int, bbox: Box, **fields: Any) -> None:
        """Adds an object.

        Args:
            image_id: What :meth:`add_image` returned.
            label: The index into ``class_names``.
            bbox: The box, xyxy in pixels of the image. It is written as COCO's xywh, to 1/1000 pixel.
            **fields: Further entries; ``area`` (that of the box) and ``iscrowd`` (0) are overridden so.
        """
        x1, y1, x2, y2 = bbox
        entry = dict(
            id=len(self.annotations) + 1,
            image_id=image_id,
            category_id=label + 1,
            bbox=[round(float(value), 3) for value in (x1, y1, x2 - x1, y2 - y1)],
            area=round(float((x2 - x1) * (y2 - y1)), 3),
            iscrowd=0,
        )
        self.annotations.append({**entry, **fields})

    def class_counts(self) -> dict[str, int]:
        """The number of annotations of each class, in the order of the labels."""
        counts = Counter(annotation['category_id'] for annotation in self.annotations)
        return {name: counts[i + 1] for i, name in enumerate(self.class_names)}

    def to_dict(self) -> dict[str, Any]:
        """The file's content: ``info``, ``licenses``, ``categories``, ``images``, ``annotations``."""
        categories = [
            dict(id=i + 1, name=name, supercategory='', **self.category_fields)
            for i, name in enumerate(self.class_names)
        ]
        # pycocotools' loadRes raises KeyError for a file without `info`.
        return dict(
            info=dict(description='Written by mmyolox'),
            licenses=[],
            categories=categories,
            images=self.images,
            annotations=self.annotations,
        )

    def write(self, path: str | Path) -> None:
        """Writes the file, making its folder: the whole file or, on any failure, none of it."""
        # Not at the top, as it imports MMEngine: `-h` of a converter answers at once.
        from mmyolox.files import atomic_write

        # A file name that is no UTF-8 becomes an escape of JSON's.
        with atomic_write(path) as part, part.open('w', encoding='utf-8', errors='backslashreplace') as file:
            json.dump(self.to_dict(), file, ensure_ascii=False, allow_nan=False)


@dataclass
class ConversionReport(ReadingReport):
    """What a conversion left out or changed.

    Attributes:
        clipped: The number of boxes that reached outside their image and were cut to it.
    """

    clipped: int = 0

    def without_empty(self, files: Mapping[str, CocoFile]) -> dict[str, CocoFile]:
        """The files of the splits that have images; the others, which nothing could read, are noted."""
        self.note(
            'splits without a usable image, not written', [name for name in files if not files[name].images]
        )
        return {name: file for name, file in files.items() if file.images}

    def checked_box(self, bbox: Sequence[float], size: tuple[int, int], location: str | Path) -> Box | None:
        """Clips a box to its image.

        Args:
            bbox: The box, xyxy in pixels of the image.
            size: The width and height of the image in pixels.
            location: The name of the box's file, for the report.

        Returns:
            The part of the box inside the image; None, and a line in ``skipped``, if the box has no area
            or none inside the image, or a coordinate that is NaN or beyond any image.
        """
        # Not at the top, as it imports PyTorch: `-h` of a converter answers at once.
        from mmyolox.datasets.annotations import COORDINATE_LIMIT, UNBOUNDED

        x1, y1, x2, y2 = (float(value) for value in bbox)
        width, height = size
        shown = f'box ({x1:g}, {y1:g}, {x2:g}, {y2:g})'
        if not all(abs(value) <= COORDINATE_LIMIT for value in (x1, y1, x2, y2)):
            self.skip(location, f'{shown} {UNBOUNDED}')
            return None
        if not (x2 > x1 and y2 > y1):
            self.skip(location, f'{shown} has no area')
            return None
        clipped = max(0.0, x1), max(0.0, y1), min(x2, float(width)), min(y2, float(height))
        if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
            self.skip(location, f'{shown} lies outside the {width}x{height} image')
            return None
        self.clipped += clipped != (x1, y1, x2, y2)
        return clipped

    def summary(self, files: Mapping[str, CocoFile]) -> str:
        """What a converter prints at its end.

        Args:
            files: The files written, by split.
        """
        lines = [f'skipped: {line}' for line in self.skipped]
        lines += [f'note: {line}' for line in self.note_lines()]
        if self.clipped:
            lines.append(f'note: boxes that reached outside their image, clipped to it: {self.clipped}')
        for name, file in files.items():
            counts = ', '.join(f'{key} {count}' for key, count in file.class_counts().items())
            images, boxes = counted(len(file.images), 'image'), counted(len(file.annotations), 'box')
            lines.append(f'{name}.json: {images}, {boxes} ({counts})')
        return printable('\n'.join(lines))


def write_files(files: Mapping[str, CocoFile], folder: Path, report: ConversionReport) -> None:
    """Writes the annotation files of a data set.

    Args:
        files: The files by split.
        folder: Their folder.
        report: The report, which gets a note of other files there, which a training takes for splits of this
            data set.
    """
    others = sorted(path.name for path in folder.glob('*.json') if path.stem not in files)
    report.note(
        f'files in {folder} that this conversion has not written; remove them if they are old', others
    )
    for split, file in files.items():
        file.write(folder / f'{split}.json')
