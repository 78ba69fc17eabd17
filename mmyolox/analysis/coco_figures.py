"""COCO's average precisions and recalls of a case, by hotcoco."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .average_precision import mean_of_known
from .case import Case

_AREAS = {'': 0, 's': 1, 'm': 2, 'l': 3}
_LIMITS = {'1': 0, '10': 1, '100': 2}
_IOUS = {'': slice(None), '50': slice(0, 1), '75': slice(5, 6)}


@dataclass(frozen=True)
class CocoFigures:
    """COCO's figures, from 0 to 1; NaN where there is nothing to find.

    Attributes:
        overall: The figures by COCO's short names: ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``,
            ``AR1``, ``AR10``, ``AR100``, ``ARs``, ``ARm``, ``ARl``.
        ap: (C,) float64, the AP of each class.
        ap50: (C,) float64, at an IoU of 0.5.
        ap75: (C,) float64, at an IoU of 0.75.
        recall: (C,) float64, the AR100 of each class.
        precisions: (10, 101, C) float64, the precision at each IoU (0.50, 0.55, ..., 0.95), recall (0.00,
            0.01, ..., 1.00) and class.
    """

    overall: Mapping[str, float]
    ap: NDArray[np.float64]
    ap50: NDArray[np.float64]
    ap75: NDArray[np.float64]
    recall: NDArray[np.float64]
    precisions: NDArray[np.float64]


def evaluated(case: Case) -> Any:
    """hotcoco's ``COCOeval`` of a case after ``evaluate()``; ids of images and categories are indices + 1.

    An evaluation in a process that was forked after one hangs.
    """
    import hotcoco

    truth, found = case.truth, case.detections
    images = [
        dict(id=number, width=width, height=height, file_name='')
        for number, (width, height) in enumerate(truth.sizes.tolist(), start=1)
    ]
    categories = [dict(id=number, name=name) for number, name in enumerate(truth.classes, start=1)]
    objects = hotcoco.COCO.from_arrays(
        images,
        categories,
        image_ids=truth.images + 1,
        category_ids=truth.labels + 1,
        boxes=_xywh(truth.bboxes),
        area=truth.areas,
        iscrowd=truth.is_crowd.astype(np.int64),
    )
    columns = found.images + 1.0, _xywh(found.bboxes), found.scores, found.labels + 1.0
    evaluation = hotcoco.COCOeval(objects, objects.load_res(np.column_stack(columns)), 'bbox')
    evaluation.evaluate()
    return evaluation


def coco_figures(case: Case) -> CocoFigures:
    """Computes the figures of a case."""
    evaluation = evaluated(case)
    evaluation.accumulate()
    precision, recall = (
        np.where(values < 0, np.nan, values)
        for values in (evaluation.eval['precision'], evaluation.eval['recall'])
    )
    overall = {
        f'AP{iou or area}': mean_of_known(precision[_IOUS[iou], :, :, _AREAS[area], 2])
        for iou, area in (('', ''), ('50', ''), ('75', ''), ('', 's'), ('', 'm'), ('', 'l'))
    }
    overall |= {f'AR{limit}': mean_of_known(recall[:, :, 0, place]) for limit, place in _LIMITS.items()}
    overall |= {f'AR{area}': mean_of_known(recall[:, :, _AREAS[area], 2]) for area in 'sml'}
    curves = precision[:, :, :, 0, 2]
    return CocoFigures(
        overall,
        curves.mean((0, 1)),
        curves[0].mean(0),
        curves[5].mean(0),
        recall[:, :, 0, 2].mean(0),
        curves,
    )


def _xywh(bboxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([bboxes[:, :2], bboxes[:, 2:] - bboxes[:, :2]], 1)
