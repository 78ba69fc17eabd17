"""The sections of a report with pictures: the worst images, and labels that are likely wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from mmyolox.analysis import Analysis
from mmyolox.analysis.error_types import TYPES
from mmyolox.analysis.suspects import Suspect
from mmyolox.errors import counted, one_line
from mmyolox.pages import Box, Cell, Column, Page, Picture, Table, Text, embed

from .photos import BoxesOfImages, Crop, gallery, pixels_of, shown_names, within

WORST_ROOM, SUSPECTS_ROOM = 1_300_000, 700_000
"""The bytes that the pictures of a section may take of the page."""
_WORST, _SUSPECTS = 24, 36
"""How many pictures there are at most."""
_TRIED = 4
"""For how many images in the place of each picture files are tried, where some cannot be read."""
_ROWS = 200
"""How many images or labels a table lists."""
_LONGEST, _CROP = 520, 260
"""The longest sides of photos and crops, in pixels."""

KINDS = {
    'no-box': 'an object without a box?',
    'not-found': 'a box without an object?',
    'other-class': 'another class?',
    'box-off': 'a box that is off?',
}
"""What each kind of suspect may be, as a question."""


def add_worst_images(page: Page, analysis: Analysis) -> None:
    """Adds the images that are worst, with annotations and detections.

    Args:
        page: The page.
        analysis: The analysis.
    """
    images, truth = analysis.images, analysis.case.truth
    if not len(images.worst):
        return
    names = shown_names(truth.paths)
    pictures = within(worst_pictures(analysis, names), WORST_ROOM, _WORST)
    rows = [
        [
            names[image],
            float(images.f1[image]),
            int(images.correct[image]),
            int(images.false_negatives[image]),
            int(images.false_positives[image]),
            *images.type_counts[image, :-1].tolist(),
        ]
        for image in images.worst[:_ROWS].tolist()
    ]
    columns = [
        Column('Image'),
        Column('F1', 3, is_barred=True),
        Column('Hits', 0),
        Column('Missed', 0),
        Column('False', 0),
        *(Column(name, 0) for name in TYPES[:-1]),
    ]
    page.section(
        'Worst images',
        Text(
            f'What is annotated is at the left, what was detected with a score of {images.threshold:.2f} or '
            'more at the right. Look for what these images have in common, and for annotations that are '
            'wrong.'
        ),
        *gallery(pictures, 'No image can be shown: their files are not at hand.'),
        Table('The worst images, with the types of their errors', columns, rows),
    )


def worst_pictures(analysis: Analysis, names: list[str]) -> Iterator[Picture]:
    boxes, images = BoxesOfImages(analysis), analysis.images
    for image in islice(images.worst.tolist(), _TRIED * _WORST):
        pixels = pixels_of(analysis.case.truth, image)
        if pixels is None:
            continue
        drawn = boxes.of(image)
        note = (
            f'{images.correct[image]} hit, {images.false_negatives[image]} missed, '
            f'{images.false_positives[image]} false'
        )
        skeleton = analysis.case.truth.skeleton
        yield Picture(
            embed(pixels, longest=_LONGEST),
            names[image],
            note,
            [('Annotations', drawn.truth), ('Detections', drawn.detections)],
            () if skeleton is None else skeleton.links,
        )


def add_suspects(page: Page, analysis: Analysis) -> None:
    """Adds the labels that somebody should look at.

    Args:
        page: The page.
        analysis: The analysis.
    """
    suspects, truth = analysis.suspects, analysis.case.truth
    if not suspects:
        page.section('Likely label errors', Text('No label stands out as wrong.'))
        return
    names = shown_names(truth.paths)
    pictures = within(suspect_pictures(analysis, names), SUSPECTS_ROOM, _SUSPECTS)
    rows: list[Sequence[str | float | Cell | None]] = [
        [
            names[suspect.image],
            KINDS[suspect.kind],
            truth.classes[suspect.label],
            suspect.score,
            one_line(suspect.reason),
        ]
        for suspect in suspects[:_ROWS]
    ]
    columns = [
        Column('Image'),
        Column('Question'),
        Column('Class'),
        Column('Suspicion', 3, is_barred=True),
        Column('Why'),
    ]
    page.section(
        'Likely label errors',
        Text(
            f'{counted(len(suspects), "label")} where a model that is right elsewhere contradicts the '
            'annotations, the most suspicious first. Each is a question to a person: some are errors of the '
            "model. `--export-labels DIR` writes all of them for CVAT, and in COCO's format."
        ),
        *gallery(pictures, 'No crop can be shown: the files of the images are not at hand.'),
        Table('The most suspicious labels', columns, rows),
    )


def suspect_pictures(analysis: Analysis, names: list[str]) -> Iterator[Picture]:
    boxes, truth = BoxesOfImages(analysis), analysis.case.truth
    for suspect in islice(analysis.suspects, _TRIED * _SUSPECTS):
        pixels = pixels_of(truth, suspect.image)
        crop = None if pixels is None else Crop.around(pixels, suspect.bbox)
        if crop is None:
            continue
        yield Picture(
            embed(crop.pixels, longest=_CROP),
            f'{truth.classes[suspect.label]}: {KINDS[suspect.kind]}',
            f'{names[suspect.image]}: {one_line(suspect.reason)}',
            [('Boxes', [*crop.moved(_boxes_of(suspect, boxes))])],
        )


def _boxes_of(suspect: Suspect, boxes: BoxesOfImages) -> list[Box]:
    """A suspect, the detection that contradicts it, and the annotations around, which have no texts."""
    shown = [
        box if index == suspect.truth else replace(box, label='', kind='truth')
        for index in boxes.truths_of(suspect.image)
        for box in [boxes.truth(index)]
    ]
    return shown if suspect.detection < 0 else [*shown, boxes.detection(suspect.detection)]
