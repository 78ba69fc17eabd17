"""An exported network, run by mmyolox.deploy, finds what the detector itself finds in the same images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmyolox.apis import detect, init_detector
from mmyolox.config import load_config
from mmyolox.deploy import Detections, ExportedModel
from mmyolox.deploy.letterbox import Size
from mmyolox.export.options import ExportOptions
from mmyolox.registry import MODELS
from tests.export.models import export_onnx

CONFIG = Path(__file__).parents[2] / 'configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'
OPTIONS = {'img_scale': (96, 64), 'classes': ('cat', 'dog', 'owl'), 'model.test_cfg.score_thr': 0.3}
SIZES = [(100, 60), (37, 90), (64, 96), (130, 131), (1, 1), (128, 192)]  # (height, width)


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """A detector with random weights that finds many things, all over an image."""
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, OPTIONS).model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # so that one pass sets the statistics: else the features fade away
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.1)
    images = 255 * torch.rand(6, 3, 64, 96)
    images[1:4, :, :, 60:] = images[3:] = 114.0  # as letterboxes
    images[4, :, :30] = 0.0
    model.train()(images)
    path = tmp_path_factory.mktemp('weights') / 'w.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return init_detector(CONFIG, path, 'cpu', OPTIONS)


@pytest.mark.parametrize(
    'options',
    [
        dict(form='raw', dynamic_batch=True),
        dict(form='decoded', batch=4, colour='rgb'),
        dict(form='decoded', dynamic_size=True),
        dict(form='end2end', batch=2),
        dict(form='decoded', preprocess=True, dynamic_batch=True),
        dict(form='end2end', preprocess=True),
    ],
    ids=str,
)
def test_exports_find_what_the_detector_finds(detector, tmp_path: Path, options: dict) -> None:
    path = export_onnx(detector, tmp_path / 'n.onnx', ExportOptions(Size(96, 64), simplify=False, **options))
    rng = np.random.default_rng(0)
    # Images of one colour for a letterbox in the graph: its levels may differ by one, which random weights
    # make much of.
    pixels = (lambda size: (1, 1)) if 'preprocess' in options else (lambda size: size)
    colours = [rng.integers(0, 256, (*pixels(size), 3), dtype=np.uint8) for size in SIZES]
    images = [np.broadcast_to(one, (*size, 3)) for one, size in zip(colours, SIZES, strict=True)]
    expected = [sample.pred_instances for sample in detect(detector, images)]
    exported = ExportedModel(path)
    assert exported.info.classes == ('cat', 'dog', 'owl')
    for found, wanted in zip(exported(images), expected, strict=True):
        assert len(wanted) > 5
        wanted = Detections(*(wanted[name].numpy() for name in ('bboxes', 'scores', 'labels')))
        assert share_found(wanted, found) > 0.95
        assert share_found(found, wanted) > 0.95


def share_found(some: Detections, others: Detections) -> float:
    """How many of some detections others have too, of those that are not at the threshold itself."""
    some = some.select(some.scores > 0.31)
    # Of random weights: rounding grows a hundredfold on the way through them, and trained ones damp it.
    same = np.isclose(some.scores[:, None], others.scores, atol=5e-3)
    same &= some.labels[:, None] == others.labels
    same &= np.abs(some.bboxes[:, None] - others.bboxes).max(axis=2) < 0.2
    return float(same.any(axis=1).mean())
