"""Small detectors with weights at random, and what an exported file answers, for the tests of exports."""

import functools

import numpy as np
import onnxruntime
import torch
from mmengine.config import Config

from mmyolox.checkpoints.record import InputRecord
from mmyolox.config import load_config
from mmyolox.deploy.letterbox import Size
from mmyolox.export.onnx_format import build_float_onnx, save_onnx
from mmyolox.export.options import ExportOptions
from mmyolox.registry import MODELS

onnxruntime.set_default_logger_severity(3)

THRESHOLDS = dict(score_thr=0.2, multi_label=True, nms_pre=1000, nms=dict(iou_threshold=0.6), max_per_img=50)

CLOSE = dict(rtol=3e-3, atol=3e-3)
"""Of random weights: rounding grows a hundredfold on the way through them, and trained ones damp it."""


def small_detector(num_classes=3, test_cfg=THRESHOLDS, seed=0, **options):
    """YOLOX-Nano as published but for its classes; ``options`` change its config."""
    config = load_config('yolox_nano_fast_8xb8-300e_coco').model
    config.bbox_head.head_module.num_classes = num_classes
    config.test_cfg = test_cfg
    config = Config(config)
    config.merge_from_dict(options)
    classes = tuple(f'thing {label}' for label in range(num_classes))
    return randomised(MODELS.build(config), classes, seed, config.backbone.get('input_channels', 3))


def export_onnx(model, path, chosen):
    """Writes a detector as ONNX in float32; returns the file."""
    return save_onnx(build_float_onnx(model, chosen), path)


@functools.cache
def shared_detector():
    """A :func:`small_detector` that nobody changes."""
    return small_detector()


def randomised(model, classes, seed=0, channels=3):
    """Gives a model weights and batch statistics whose scores and boxes differ from prior to prior.

    The batch statistics are those of noisy images, so that features neither grow nor fade.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            uniform(module.weight, 0.7, 1.3)
            uniform(module.bias, -0.3, 0.3)
            module.momentum = 1.0
        elif isinstance(module, torch.nn.Conv2d):
            # Predictors, which have a bias, give small numbers: sizes are their exponentials.
            reach = (1.7 if module.bias is None else 0.4) * module.weight[0].numel() ** -0.5
            uniform(module.weight, -reach, reach)
            if module.bias is not None:
                uniform(module.bias, -0.5, 0.5)
    divisor = getattr(model, 'size_divisor', 32)
    sides = (-(-side // divisor) * divisor for side in (96, 160))
    model.train()(torch.from_numpy(noise(16, channels, *sides, seed=99)))
    model.dataset_meta = dict(classes=classes)
    model.input_record = InputRecord()
    return model.eval().requires_grad_(False)


def options(shape_hw=(64, 96), **kwargs):
    """Options that spare the time of onnxslim, which has a test of its own."""
    return ExportOptions(Size.of_shape(shape_hw), **dict(simplify=False) | kwargs)


def run(path, images):
    """The outputs of an ONNX file by name."""
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: images}), strict=True))


def noise(*shape, seed=0):
    """Letterboxed images (B, channels, h, w) float32: squares of 16 pixels of random grey levels."""
    squares = [side // 16 for side in shape[2:]]
    levels = np.random.default_rng(seed).uniform(0, 255, (*shape[:2], *squares))
    return np.kron(levels, np.ones((16, 16))).astype(np.float32)


def expected_predictions(model, images, decode):
    """The table of :class:`mmyolox.export.network.ExportNetwork`, in a loop over levels and cells."""
    outputs = model(torch.from_numpy(images))
    rows = []
    for level, stride in enumerate(model.bbox_head.head_module.featmap_strides):
        cls, bbox, obj = (
            part[level].double() for part in (outputs.cls_logits, outputs.bbox_preds, outputs.obj_logits)
        )
        for y in range(cls.shape[2]):
            for x in range(cls.shape[3]):
                box = bbox[:, :, y, x]
                if decode:
                    corner = torch.tensor([x, y]) * stride
                    box = torch.cat([box[:, :2] * stride + corner, box[:, 2:].exp() * stride], dim=1)
                rows.append(torch.cat([box, obj[:, :, y, x].sigmoid(), cls[:, :, y, x].sigmoid()], dim=1))
    return torch.stack(rows, dim=1).numpy()


def expected_detections(model, images, matrix=None, size=(10**6, 10**6)):
    """What the model itself finds, boxes clipped at 0 and at the image's ``size`` (h, w)."""
    metas = [dict(matrix=np.eye(3) if matrix is None else matrix, ori_shape=size)] * len(images)
    return model.bbox_head.postprocess(model(torch.from_numpy(images)), metas)


def assert_agree(found, wanted):
    """Compares the outputs of form ``end2end`` with the model's own detections.

    Boxes are cut off at 400 pixels, as weights at random make huge ones. Rounding can turn a decision about a
    pair of boxes whose overlap is near the threshold: one in fifty.
    """
    for image, instances in enumerate(wanted):
        count = int(found['num'][image])
        allowed = len(instances) // 50
        assert abs(count - len(instances)) <= allowed
        table = np.column_stack(
            [
                found['bboxes'][image, :count].clip(0, 400) / 100,
                found['scores'][image, :count],
                found['labels'][image, :count],
            ]
        )
        target = np.column_stack([instances.bboxes.clip(0, 400) / 100, instances.scores, instances.labels])
        apart = np.abs(target[:, None] - table[None]).max(axis=2).min(axis=1, initial=np.inf)
        assert (apart > 5e-3).sum() <= allowed
        np.testing.assert_array_equal(found['labels'][image, count:], -1)
        assert not found['bboxes'][image, count:].any()
        assert (np.diff(found['scores'][image]) <= 0).all()
