"""A stand-in for xtcocotools (1.14), as far as it evaluates COCO-like keypoints: its names for pycocotools.

xtcocotools is COCO's own library with a few more arguments. MMPose's metrics and data sets import it, but
its wheels are built for NumPy 1, and elsewhere it needs Cython and a compiler. ``support_mmpose`` puts a
finder at the end of ``sys.meta_path`` that answers for ``xtcocotools`` and the modules that MMPose imports
of it. Python asks it after all others, so an installed xtcocotools is found first and stays as it is.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
from pycocotools import coco, cocoeval, mask

from mmyolox.config.components import INSTALL_COMMANDS
from mmyolox.errors import UserError

INSTALL = 'pip install --no-deps mmpose==1.3.2 munkres'
"""All that MMPose's metrics, data sets and models need beside mmyolox; the other dependencies are unused."""

_BOX_TO_AREA = 0.53
"""How much of its box an object covers on average, where areas are not used (xtcocotools)."""


class COCO(coco.COCO):
    """An annotation file; unlike pycocotools, takes results without any detection."""

    def loadRes(self, resFile: str | list[dict[str, Any]]) -> 'COCO':  # noqa: N802, N803  pycocotools' names
        """The detections of a result file, or of its content, as a ``COCO`` with the same images."""
        if isinstance(resFile, str):
            with open(resFile, encoding='utf-8') as file:
                resFile = json.load(file)  # noqa: N806
        return super().loadRes(resFile) if resFile else _with_annotations(self, [])


class COCOeval(cocoeval.COCOeval):
    """COCO's evaluation, with the sigmas as an argument.

    As in xtcocotools, and unlike pycocotools, labelled keypoints are counted, ``iscrowd`` may be absent, ids
    may count from 0, and detections of which no keypoint has a score above 0 are left out.

    Args:
        cocoGt: The annotations; they are not changed.
        cocoDt: The detections, as ``cocoGt.loadRes`` makes them.
        iouType: What is compared: ``keypoints``, ``bbox`` or ``segm``.
        sigmas: (K,), by default those of COCO's people.
        use_area: Whether to take the ``area`` of an annotation, rather than that of its box times 0.53.

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
        truth, detections = cocoGt.anns.values(), cocoDt.anns.values()
        if iouType == 'keypoints':
            truth = [
                annotation
                | dict(
                    id=number,
                    iscrowd=int(annotation.get('iscrowd', 0)),
                    num_keypoints=sum(visibility > 0 for visibility in annotation['keypoints'][2::3]),
                    area=annotation['area'] if use_area else _BOX_TO_AREA * width * height,
                )
                for number, annotation in enumerate(truth, start=1)
                for width, height in [annotation['bbox'][2:]]
            ]
            detections = [one for one in detections if any(score > 0 for score in one['keypoints'][2::3])]
        super().__init__(_with_annotations(cocoGt, truth), _with_annotations(cocoDt, detections), iouType)
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)


def _with_annotations(side: coco.COCO, annotations: Iterable[dict[str, Any]]) -> COCO:
    """The images and categories of ``side`` with other annotations."""
    made = COCO()
    made.dataset = side.dataset | dict(annotations=list(annotations))
    made.createIndex()
    return made


class _XtcocotoolsFinder(MetaPathFinder, Loader):
    """Finds and makes the modules of the stand-in, and no others."""

    modules: dict[str, dict[str, Any]] = {
        'xtcocotools': {},
        'xtcocotools.coco': dict(COCO=COCO),
        'xtcocotools.cocoeval': dict(COCOeval=COCOeval),
        'xtcocotools.mask': {name: value for name, value in vars(mask).items() if not name.startswith('_')},
    }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.modules:
            return None
        return ModuleSpec(fullname, self, origin=__file__, is_package=fullname == 'xtcocotools')

    def exec_module(self, module: ModuleType) -> None:
        """Fills a module with its names."""
        vars(module).update(self.modules[module.__name__])


_FINDER = _XtcocotoolsFinder()


def support_mmpose() -> None:
    """Lets ``import xtcocotools`` find the stand-in where there is none, and config checks name the command.

    It is safe to repeat.
    """
    INSTALL_COMMANDS['mmpose'] = INSTALL
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
