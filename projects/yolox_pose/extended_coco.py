"""pycocotools behind the interface of xtcocotools (1.14), as far as it evaluates COCO-like keypoints."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import coco, cocoeval

from mmyolox.errors import UserError

_BOX_TO_AREA = 0.53
"""How much of its box an object covers on average, where areas are not used (xtcocotools)."""


class COCO(coco.COCO):
    """An annotation file; unlike pycocotools, takes results without any detection."""

    def loadRes(self, resFile: str | list[dict[str, Any]]) -> 'COCO':  # noqa: N802, N803  pycocotools' names
        """The detections of a result file, or of its content, as a ``COCO`` with the same images."""
        if isinstance(resFile, str):
            with open(resFile, encoding='utf-8') as file:
                resFile = json.load(file)  # noqa: N806
        return super().loadRes(resFile) if resFile else _replaced(self, [])


class COCOeval(cocoeval.COCOeval):
    """COCO's evaluation, with the sigmas as an argument.

    As in xtcocotools, and unlike pycocotools, labelled keypoints are counted, ``iscrowd`` may be absent, ids
    may count from 0, and detections of which no keypoint has a score above 0 are left out.

    Args:
        cocoGt: The annotations; they are not changed.
        cocoDt: The detections, as ``cocoGt.loadRes`` makes them.
        iouType: ``keypoints``, ``bbox`` or ``segm``.
        sigmas: (K,) by default those of COCO's people.
        use_area: Take the ``area`` of an annotation, rather than that of its box times 0.53.

    Raises:
        UserError: ``iouType`` is one of the other data sets' that only xtcocotools evaluates.
    """

    def __init__(
        self,
        cocoGt: coco.COCO,  # noqa: N803  pycocotools' names
        cocoDt: coco.COCO,  # noqa: N803
        iouType: str = 'keypoints',  # noqa: N803
        sigmas: Sequence[float] | None = None,
        use_area: bool = True,
    ) -> None:
        if iouType not in ('keypoints', 'bbox', 'segm'):
            raise UserError(
                f'evaluation of {iouType!r} needs xtcocotools; with a C compiler: pip install cython '
                '"setuptools<81", then pip install --no-build-isolation xtcocotools'
            )
        truth, found = cocoGt.anns.values(), cocoDt.anns.values()
        if iouType == 'keypoints':
            truth = [_object(one, number, use_area) for number, one in enumerate(truth, start=1)]
            found = [one for one in found if any(score > 0 for score in one['keypoints'][2::3])]
        super().__init__(_replaced(cocoGt, truth), _replaced(cocoDt, found), iouType)
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)


def _object(annotation: dict[str, Any], number: int, use_area: bool) -> dict[str, Any]:
    """An annotation as pycocotools needs it."""
    width, height = annotation['bbox'][2:]
    return annotation | dict(
        id=number,
        iscrowd=int(annotation.get('iscrowd', 0)),
        num_keypoints=sum(visibility > 0 for visibility in annotation['keypoints'][2::3]),
        area=annotation['area'] if use_area else _BOX_TO_AREA * width * height,
    )


def _replaced(side: coco.COCO, annotations: Iterable[dict[str, Any]]) -> COCO:
    """The images and categories of ``side`` with other annotations."""
    made = COCO()
    made.dataset = side.dataset | dict(annotations=list(annotations))
    made.createIndex()
    return made
