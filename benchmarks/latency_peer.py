"""Runs one side of ``latency.py``, which starts it in that side's environment.

python latency_peer.py ours|megvii
"""

import copy
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inference_peer import NMS_THRESHOLD, build_megvii, our_boxes, our_outputs, to_megvii, to_ours
from side_by_side import serve
from torch import nn

THRESHOLDS = (0.1, 0.01)
Variant = tuple[Callable[[], Any], Callable[[Any, float], Any]]
"""From nothing to raw outputs of the image, and from these and a threshold to boxes."""


def megvii_variants(folder: Path, model: str, weights: str | None, threads: int) -> dict[str, Variant]:
    """Megvii's PyTorch model, and its ONNX in ONNX Runtime with its NumPy functions behind."""
    network, _ = build_megvii(folder, model, weights)['default']
    images = to_megvii(np.load(folder / 'inputs.npy')[:1])
    session = _session(_export_megvii(network, images, folder / 'megvii.onnx'), threads)
    blob = images.numpy()
    run = partial(_run_session, session, blob)
    np.save(folder / 'rows.npy', run())
    return {
        'PyTorch eager': (partial(network, images), partial(_megvii_boxes, network.head.num_classes)),
        'ONNX Runtime': (run, partial(_megvii_numpy_boxes, blob.shape[2:])),
    }


def _export_megvii(network: nn.Module, images: torch.Tensor, path: Path) -> Path:
    """What ``tools/export_onnx.py`` does: SiLU of elementary operations, raw outputs, a simplified graph.

    onnxslim stands in for onnxsim.
    """
    import onnx
    import onnxslim
    from yolox.models.network_blocks import SiLU
    from yolox.utils import replace_module

    model = replace_module(copy.deepcopy(network), nn.SiLU, SiLU)
    model.head.decode_in_inference = False
    names = dict(input_names=['images'], output_names=['output'])
    torch.onnx.export(model, images, path, opset_version=11, dynamo=False, **names)
    onnx.save(onnxslim.slim(onnx.load(path)), path)
    return path


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])


def _run_session(session: Any, blob: np.ndarray) -> np.ndarray:
    return session.run(None, {session.get_inputs()[0].name: blob})[0]


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


def our_variants(folder: Path, model: str, weights: str | None, threads: int) -> dict[str, Variant]:
    """Our PyTorch model, eager and compiled, and its exports; ``weights`` are read by Megvii's side."""
    from mmyolox.apis import init_detector
    from mmyolox.deploy.formats import FORMATS
    from mmyolox.export.formats import export_model
    from mmyolox.export.options import ExportOptions, Precision

    canvases = np.load(folder / 'inputs.npy')
    images, size = to_ours(canvases[:1]), canvases.shape[1:3]
    options = {'model.test_cfg.multi_label': True, 'model.test_cfg.nms.iou_threshold': NMS_THRESHOLD}
    detector = init_detector(f'yolox_{model}_fast_8xb8-300e_coco', folder / 'weights.pth', 'cpu', options)
    compiled = copy.copy(detector)
    compiled.forward = torch.compile(detector.forward)
    variants: dict[str, Variant] = {
        'PyTorch eager': (partial(our_outputs, detector, images), partial(_torch_boxes, detector)),
        'PyTorch compiled': (partial(our_outputs, compiled, images), partial(_torch_boxes, detector)),
    }
    int8 = Precision('int8', _write_images(canvases, folder / 'calibration'))
    for title, name, precision in (
        ('ONNX Runtime', 'onnx', Precision()),
        ('OpenVINO', 'openvino', Precision()),
        ('OpenVINO int8', 'openvino', int8),
    ):
        dst = folder / f'{name}_{precision.name}{FORMATS[name].suffix}'
        export_model(FORMATS[name], detector, dst, ExportOptions(size=size, form='raw', precision=precision))
        variants[title] = _exported(dst, images.float().contiguous().numpy(), threads)
    return variants


def _exported(path: Path, blob: np.ndarray, threads: int) -> Variant:
    """An exported file in its runtime, with the functions of ``mmyolox.deploy`` behind."""
    from mmyolox.deploy import ModelInfo
    from mmyolox.deploy.decode import detections_of
    from mmyolox.deploy.runtimes import open_runtime

    runtime = open_runtime(path, threads)
    info = ModelInfo.from_json(runtime.metadata)

    def boxes(outputs: list[np.ndarray], score_thr: float) -> Any:
        return detections_of(outputs[0][0], replace(info, score_thr=score_thr))

    return partial(runtime.run, blob), boxes


def _torch_boxes(detector: nn.Module, outputs: Any, score_thr: float) -> Any:
    detector.bbox_head.test_cfg.score_thr = score_thr
    return our_boxes(detector, outputs)


def _write_images(canvases: np.ndarray, folder: Path) -> Path:
    """The canvases as files, to calibrate with."""
    from mmyolox.apis.drawing import write_image

    folder.mkdir()
    for number, canvas in enumerate(canvases):
        write_image(folder / f'{number:04}.png', canvas)
    return folder


class Side:
    """Answers requests.

    Args:
        who: ``ours`` or ``megvii``.
    """

    def __init__(self, who: str) -> None:
        self.build_variants = dict(ours=our_variants, megvii=megvii_variants)[who]
        self.variants: dict[str, Variant] = {}
        self.folder = Path()

    def build(self, folder: str, model: str, weights: str | None, threads: int) -> list[str]:
        """Makes the models; their names."""
        torch.set_num_threads(threads)
        self.folder = Path(folder)
        self.variants = self.build_variants(self.folder, model, weights, threads)
        return list(self.variants)

    def run(self, variant: str) -> dict[str, float]:
        """Detects once for each threshold: seconds in the network and behind it."""
        network, find = self.variants[variant]
        times, seconds = {}, []
        for threshold in THRESHOLDS:
            start = time.perf_counter()
            outputs = network()
            middle = time.perf_counter()
            find(outputs, threshold)
            times[f'boxes {threshold}'] = time.perf_counter() - middle
            seconds.append(middle - start)
        return dict(network=sum(seconds) / len(seconds), **times)

    def compare(self) -> float:
        """The largest difference of our ONNX file's raw outputs from Megvii's, relative to 1 + their size."""
        theirs = np.load(self.folder / 'rows.npy')
        ours = self.variants['ONNX Runtime'][0]()[0]
        return float((np.abs(ours - theirs) / (1 + np.abs(theirs))).max())


@torch.no_grad()
def main(who: str) -> None:
    """Serves."""
    side = Side(who)
    actions: dict[str, Callable[..., Any]] = dict(build=side.build, run=side.run, compare=side.compare)
    serve(lambda action, **request: actions[action](**request))


if __name__ == '__main__':
    main(sys.argv[1])
