"""The figures of groups by plain loops: which group an object or a detection is in, and COCO's matching."""

import math

import numpy as np


def iou(one, other, is_crowd=False):
    """The IoU of two boxes xyxy; with a crowd, the share of the first."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    whole = areas[0] if is_crowd else sum(areas) - common
    return common / whole if whole else 0.0


def size_of(area, **_):
    names = ('below 16 px', '16 to 32 px', '32 to 64 px', '64 to 96 px', '96 to 192 px', 'from 192 px')
    return names[sum(math.sqrt(area) >= side for side in (16, 32, 64, 96, 192))]


def area_of(area, **_):
    return 'small' if area < 1024 else 'medium' if area < 9216 else 'large'


def aspect_of(box, **_):
    ratio = (box[2] - box[0]) / (box[3] - box[1])
    names = ('below 1:3', '1:3 to 2:3', '2:3 to 3:2', '3:2 to 3:1', 'from 3:1')
    return names[sum(ratio >= limit for limit in (1 / 3, 2 / 3, 1.5, 3))]


def position_of(box, size, **_):
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    column = 'left' if x < size[0] / 3 else 'middle' if x < size[0] * 2 / 3 else 'right'
    row = 'top' if y < size[1] / 3 else 'middle' if y < size[1] * 2 / 3 else 'bottom'
    return 'centre' if (row, column) == ('middle', 'middle') else f'{row} {column}'


def border_of(box, size, **_):
    is_near = box[0] <= 2 or box[1] <= 2 or box[2] >= size[0] - 2 or box[3] >= size[1] - 2
    return 'at the border' if is_near else 'inside'


def crowding_of(box, others, **_):
    """``others`` are the boxes of the objects of the image; one of them is the object itself."""
    near = sum(iou(box, other) >= 0.1 for other in others) - 1
    return ('alone', '1 neighbour', '2 neighbours', '3 and more')[min(max(near, 0), 3)]


RULES = dict(
    area=area_of,
    size=size_of,
    aspect=aspect_of,
    crowding=crowding_of,
    position=position_of,
    border=border_of,
)


def members(case, rule):
    """The group of each object, by the annotated area, and of each detection."""
    truth, found = case.truth, case.detections
    sides = found.bboxes[:, 2:] - found.bboxes[:, :2]
    groups = []
    for images, boxes, areas in (
        (truth.images, truth.bboxes, truth.areas),
        (found.images, found.bboxes, sides[:, 0] * sides[:, 1]),
    ):
        groups.append([])
        for image, box, area in zip(images, boxes, areas, strict=True):
            near = (truth.images == image) & ~truth.is_crowd
            groups[-1].append(rule(box=box, area=area, size=truth.sizes[image], others=truth.bboxes[near]))
    return groups


def outcomes(case, in_group):
    """Whether each detection is right (1), wrong (0) or does not count (None), of the objects of a group."""
    truth, found = case.truth, case.detections
    taken, seen, results = set(), {}, []
    for n in range(len(found)):
        key = found.images[n], found.labels[n]
        seen[key] = seen.get(key, 0) + 1
        best = None
        for t in range(len(truth.ids)):
            if (truth.images[t], truth.labels[t]) != key or (t in taken and not truth.is_crowd[t]):
                continue
            overlap = iou(found.bboxes[n], truth.bboxes[t], truth.is_crowd[t])
            rank = (in_group[t] and not truth.is_crowd[t], overlap, t)
            if overlap >= 0.5 and (best is None or rank > best):
                best = rank
        if seen[key] > 100:
            results.append(None)
        elif best is None:
            results.append(0)
        else:
            taken.add(best[2])
            results.append(1 if best[0] else None)
    return results


def average_precision(outcome, objects):
    """COCO's AP at one IoU, of detections by falling score."""
    points, right = [], 0
    for place, is_right in enumerate(outcome, start=1):
        right += is_right
        points.append((right / objects, right / place))
    steps = np.linspace(0, 1, 101)
    return sum(max((p for recall, p in points if recall >= step), default=0.0) for step in steps) / 101


def figures_by_loop(case, name, threshold):
    """(images, objects, detections, AP50, recall, precision) of each group by its name."""
    truth, found = case.truth, case.detections
    of_objects, of_detections = members(case, RULES[name])
    figures = {}
    for group in {*of_objects, *of_detections}:
        in_group = [one == group for one in of_objects]
        own = [t for t in range(len(truth.ids)) if in_group[t] and not truth.is_crowd[t]]
        outcome = outcomes(case, in_group)
        counted = [
            n for n in range(len(found)) if outcome[n] == 1 or (outcome[n] == 0 and of_detections[n] == group)
        ]
        precisions = []
        for label in sorted({truth.labels[t] for t in own}):
            ranked = sorted((n for n in counted if found.labels[n] == label), key=lambda n: -found.scores[n])
            objects = sum(truth.labels[t] == label for t in own)
            precisions.append(average_precision([outcome[n] for n in ranked], objects))
        kept = [n for n in counted if found.scores[n] >= threshold]
        right = sum(outcome[n] for n in kept)
        figures[group] = (
            len({truth.images[t] for t in own}),
            len(own),
            len(kept),
            sum(precisions) / len(precisions) if precisions else math.nan,
            right / len(own) if own else math.nan,
            right / len(kept) if kept else math.nan,
        )
    return figures
