"""Plain loops, and pycocotools, that the analysis is compared with."""

import contextlib
import io
from typing import NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.analysis.random_cases import categories


class Matched(NamedTuple):
    """As in :class:`mmyolox.analysis.matching.Matching`, in the order of the case."""

    objects: np.ndarray
    is_counted: np.ndarray
    is_correct: np.ndarray


def evaluated(annotations, results, images, classes, params=()):
    """pycocotools' evaluation of COCO's entries."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(
            info={},
            images=[dict(id=i, width=1, height=1) for i in range(1, images + 1)],
            annotations=annotations,
            categories=categories(classes),
        )
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
        for name, value in dict(params).items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def matched_by_pycocotools(annotations, results, case):
    """What pycocotools makes of each detection at an IoU of 0.5."""
    truth, found = case.truth, case.detections
    evaluation = evaluated(annotations, results, len(truth.image_ids), len(truth.classes))
    index_of = {truth_id: index for index, truth_id in enumerate(truth.ids)}
    count = len(found)
    objects, counted = np.full(count, -1), np.zeros(count, bool)
    places = {}
    for place in range(count):
        key = (int(found.images[place]), int(found.labels[place]))
        places.setdefault(key, []).append(place)
    for image in filter(None, evaluation.evalImgs[: len(evaluation.evalImgs)]):
        if image['aRng'] != [0, 1e10]:
            continue
        key = image['image_id'] - 1, image['category_id'] - 1
        own = places.get(key, [])
        assert len(image['dtIds']) == min(len(own), 100)
        columns = image['dtMatches'][0], image['dtIgnore'][0]
        for place, matched, ignored in zip(own, *columns, strict=False):
            objects[place] = index_of[int(matched)] if matched else -1
            counted[place] = not ignored
    correct = counted & (objects >= 0) & ~truth.is_crowd[objects] if count else counted
    return Matched(objects, counted, correct)
