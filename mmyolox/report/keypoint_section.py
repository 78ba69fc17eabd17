"""The section of a report about keypoints: which joints are wrong, how, and on which objects."""

import math
from collections.abc import Iterator

import numpy as np

from mmyolox.analysis import Analysis
from mmyolox.analysis.keypoints import KEYPOINT_TYPES, KeypointErrors
from mmyolox.pages import Block, Column, Figure, Figures, Grid, Page, Part, Picture, Table, Text, embed
from mmyolox.pages.charts import Axis, bars, stacked_bars

from .photos import BoxesOfImages, Crop, gallery, pixels_of, shown_names, within
from .run import share

_ROOM, _POSES, _LONGEST = 400_000, 12, 300
"""The bytes of the page for crops, how many there are at most, and their longest side in pixels."""
_HOW_TO_READ = (
    'Each keypoint of an object that was found is *good* (as near as annotators are to one another), a '
    '*jitter* (near, but not near enough), an *inversion* (left and right of the object taken for each '
    'other), a *swap* (that of another object) or a *miss* (near to nothing). A joint with many misses is '
    'hidden or rare in the data; inversions call for flipped examples and right flip pairs; swaps for '
    'crowded images.'
).replace('*', '`')


def add_keypoints(page: Page, analysis: Analysis) -> None:
    """Adds what is wrong with keypoints; nothing for a model without them.

    Args:
        page: The page.
        analysis: The analysis.
    """
    errors = analysis.keypoints
    if errors is None:
        return
    if not len(errors.objects):
        page.section(
            'Keypoints',
            Text('No object with labelled keypoints was found, so that there are none to compare.'),
        )
        return
    costly = int(np.argmax(np.nan_to_num(errors.costs)))
    worst = KEYPOINT_TYPES[costly]
    figures = [
        Figure('Keypoint AP', share(errors.ap), 'mean over OKS 0.50 to 0.95'),
        Figure('Without errors', share(errors.ap_mended), 'the AP with all keypoints in place'),
        Figure('Objects', f'{len(errors.objects):,}', 'found, with labelled keypoints'),
        Figure('Mean OKS', share(float(errors.oks.mean())), 'of these objects'),
    ]
    costs = bars(
        'What each type of error costs',
        f'With every {worst} in its place the AP of keypoints would be {share(float(errors.costs[costly]))} '
        'higher.',
        KEYPOINT_TYPES[1:],
        errors.costs[1:],
        Axis('rise of the AP of keypoints'),
    )
    blocks: list[Block] = [Text(_HOW_TO_READ), Figures(figures), Grid([costs, _by_joint(errors)])]
    blocks += [_joints(errors), _by_labelled(errors)]
    poses = within(pose_pictures(analysis, errors), _ROOM, _POSES)
    said = Text('Annotated at the left, detected at the right; the least alike first.')
    missing = 'No pose can be shown: there is no error, or the files of the images are not at hand.'
    blocks.append(Part('The worst poses', [said, *gallery(poses, missing)]))
    page.section('Keypoints', *blocks)


def _by_joint(errors: KeypointErrors) -> Block:
    shares = errors.shares
    known = [index for index in range(len(errors.names)) if not math.isnan(shares[index, 0])]
    worst = min(known, key=lambda index: shares[index, 0])
    return stacked_bars(
        'Keypoints by joint',
        f'{errors.names[worst]} is the worst joint: {share(float(shares[worst, 0]), 2)} of its keypoints are '
        'good.',
        errors.names,
        {name: errors.counts[:, index] for index, name in enumerate(KEYPOINT_TYPES)},
        Axis('keypoints'),
        shown=len(errors.names),
    )


def _joints(errors: KeypointErrors) -> Table:
    rows = [
        [name, int(counts.sum()), float(shares[0]), *counts[1:].tolist()]
        for name, counts, shares in zip(errors.names, errors.counts, errors.shares, strict=True)
    ]
    columns = [Column('Joint'), Column('Labelled', 0), Column('Good', 3, is_barred=True, note='share')]
    return Table('Keypoints by joint', [*columns, *(Column(name, 0) for name in KEYPOINT_TYPES[1:])], rows)


def _by_labelled(errors: KeypointErrors) -> Table:
    rows = [
        [
            f'{group.least} to {group.most}' if group.most > group.least else str(group.least),
            group.objects,
            group.found,
            group.oks,
            *group.counts.tolist(),
        ]
        for group in errors.by_labelled
    ]
    columns = [
        Column('Labelled keypoints'),
        Column('Objects', 0),
        Column('Found', 3, note='share'),
        Column('Mean OKS', 3),
    ]
    return Table(
        'Objects by the number of their labelled keypoints',
        [*columns, *(Column(name, 0) for name in KEYPOINT_TYPES)],
        rows,
    )


def pose_pictures(analysis: Analysis, errors: KeypointErrors) -> Iterator[Picture]:
    boxes, truth = BoxesOfImages(analysis), analysis.case.truth
    names = shown_names(truth.paths)
    links = () if truth.skeleton is None else truth.skeleton.links
    for index in errors.worst(2 * _POSES).tolist():
        annotated, detected = int(errors.objects[index]), int(errors.detections[index])
        image = int(truth.images[annotated])
        pixels = pixels_of(truth, image)
        box, found = boxes.truth(annotated), boxes.detection(detected)
        crop = None if pixels is None else Crop.around(pixels, box.xyxy, margin=0.3)
        if crop is not None:
            yield Picture(
                embed(crop.pixels, longest=_LONGEST),
                names[image],
                f'OKS {share(float(errors.oks[index]), 2)}',
                [('Annotations', [*crop.moved([box])]), ('Detections', [*crop.moved([found])])],
                links,
            )
