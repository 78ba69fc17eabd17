"""What the peers need before they can be imported without compiled ops: a few stand-ins.

Runs in the peers' environments. NMS, the one op that is called, is OpenCV's C++ one.
"""

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor


class _Stub(types.ModuleType):
    """A module that has every name, as None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return None


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices of the (N, 4) xyxy boxes that stay, by falling score."""
    corners = bboxes.detach().double()
    xywh = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2] + offset], 1)
    keep = cv2.dnn.NMSBoxes(xywh.numpy(), scores.detach().float().numpy(), 0.0, iou_threshold)
    return torch.as_tensor(keep, dtype=torch.long).flatten()


def batched_nms(bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """torchvision's function: classes are moved apart, all go in one pass."""
    if not len(bboxes):
        return torch.zeros(0, dtype=torch.long)
    return nms(bboxes + labels[:, None].to(bboxes) * (bboxes.max() + 1), scores, iou_threshold)


def prepare_mmyolo() -> Path:
    """Makes MMYOLO 0.6.0 importable and fills its registries.

    Returns:
        The folder of its YOLOX configs.
    """
    import mmcv

    mmcv.__version__ = '2.0.1'  # mmyolo refuses the 2.1 that mmdet 3.3 takes
    ops = _Stub('mmcv._ext')
    ops.nms = nms
    ops.__spec__ = ModuleSpec('mmcv._ext', None)  # mmcv looks whether there is a loader
    sys.modules['mmcv._ext'] = ops
    import mmyolo
    from mmyolo.utils import register_all_modules

    register_all_modules()
    return Path(mmyolo.__file__).parent / '.mim' / 'configs' / 'yolox'


def set_img_scale(pipeline: list[dict[str, Any]], side: int) -> None:
    """Changes the square size in an MMYOLO pipeline, where several steps repeat it."""
    for step in pipeline:
        if 'img_scale' in step:
            step['img_scale'] = (side, side)
        if step['type'] == 'mmdet.Resize':
            step['scale'] = (side, side)
        if 'border' in step:
            step['border'] = (-side // 2, -side // 2)


def prepare_megvii() -> None:
    """Makes Megvii's YOLOX importable without torchvision."""
    vision = types.ModuleType('torchvision')
    vision.ops = types.SimpleNamespace(nms=nms, batched_nms=batched_nms)
    sys.modules['torchvision'] = vision
