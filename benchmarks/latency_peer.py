"""Runs one side of ``latency.py``, which starts it in that side's environment.

    python latency_peer.py ours|megvii
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inference_peer import NMS_THRESHOLD, build_megvii, our_boxes, our_outputs, to_megvii, to_ours
from side_by_side import serve

THRESHOLDS = (0.1, 0.01)
Variant = tuple[Callable[[], Any], Callable[[Any, float], Any]]
"""From nothing to raw outputs of the image, and from these and a threshold to boxes."""


def megvii_variants(folder: Path, model: str, weights: str | None, threads: int) -> dict[str, Variant]:
    """Megvii's PyTorch model, and its ONNX in ONNX Runtime with its NumPy functions behind."""
    outputs = build_megvii(folder, model, weights)
    network, _ = outputs['default']
    images = to_megvii(np.load(folder / 'inputs.npy')[:1])
    session = _session(_export_megvii(network, images, folder / 'megvii.onnx'), threads)
    blob = images.numpy()
    return {
        'PyTorch eager': (lambda: network(images), partial(_megvii_boxes, network.head.num_classes)),
        'ONNX Runtime': (
            lambda: session.run(None, {session.get_inputs()[0].name: blob})[0],
            partial(_megvii_numpy_boxes, blob.shape[2:]),
        ),
    }


def _export_megvii(network: torch.nn.Module, images: torch.Tensor, path: Path) -> Path:
    """What ``tools/export_onnx.py`` does by default: SiLU of elementary operations, raw outputs, simplified."""
    import copy

    from torch import nn
    from yolox.models.network_blocks import SiLU
    from yolox.utils import replace_module

    model = replace_module(copy.deepcopy(network), nn.SiLU, SiLU)
    model.head.decode_in_inference = False
    names = dict(input_names=['images'], output_names=['output'])
    torch.onnx.export(model, images, path, opset_version=11, dynamo=False, **names)
    return path


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])


def _megvii_boxes(num_classes: int, outputs: torch.Tensor, score_thr: float) -> Any:
    from yolox.utils import postprocess

    return postprocess(outputs, num_classes, score_thr, NMS_THRESHOLD)


def _megvii_numpy_boxes(size: tuple[int, int], outputs: np.ndarray, score_thr: float) -> Any:
    """What ``demo/ONNXRuntime/onnx_inference.py`` does behind the session, but class by class."""
    from yolox.utils import demo_postprocess, multiclass_nms

    rows = demo_postprocess(outputs, size)[0]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    return multiclass_nms(boxes, rows[:, 4:5] * rows[:, 5:], NMS_THRESHOLD, score_thr, class_agnostic=False)
