"""Runs one YOLOXPose of MMPose 1.3.2 and stores what it saw and said; runs in MMPose's own environment.

    python mmpose_peer.py SIZE WEIGHTS.pth OUTPUTS.pth
    python mmpose_peer.py layouts OUT.json

WEIGHTS.pth is what the checkpoint hook would save; the weights are random. OUTPUTS.pth holds the ``images``;
the raw ``outputs``, five lists of levels: classes, objectness, boxes, keypoints, visibility; and as MMPose's
head decodes them, ``bboxes`` (B, N, 4) and ``keypoints`` (B, N, K, 2). ``layouts`` writes names and shapes of
all models' tensors, for the quick tests.
"""

import os
import sys
from pathlib import Path
from unittest.mock import MagicMock

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1]))

import layout_file
from random_weights import randomise

CONFIGS = {'tiny': 'tiny_4xb64-300e_coco-416'} | {size: f'{size}_8xb32-300e_coco-640' for size in 'sml'}


UNUSED = (
    'mmcv._ext',
    'mmdet',
    'mmdet.utils',
    *(f'xtcocotools{part}' for part in ('', '.coco', '.cocoeval', '.mask')),
)
"""What MMPose imports for other heads, for data sets and for metrics."""


def prepare() -> None:
    """Makes MMPose importable, and goes to its folder, from where its configs name each other."""
    sys.modules |= {name: MagicMock() for name in UNUSED}
    import mmpose.models  # noqa: F401  fills the registries
    from mmengine.registry import init_default_scope

    init_default_scope('mmpose')
    os.chdir(Path(sys.modules['mmpose'].__file__).parent / '.mim')


def build(size: str) -> nn.Module:
    """The model of a published config."""
    from mmengine.config import Config
    from mmpose.registry import MODELS

    folder = 'configs/body_2d_keypoint/yoloxpose/coco'
    return MODELS.build(Config.fromfile(f'{folder}/yoloxpose_{CONFIGS[size]}.py').model)


@torch.no_grad()
def run(size: str, weights: Path, out: Path) -> None:
    """Builds, fills, stores and runs a model."""
    torch.manual_seed(0)
    model = build(size)
    images = randomise(model, None)
    torch.save(dict(meta=dict(epoch=300), state_dict=model.state_dict()), weights)
    outputs = model(images, None)
    head = model.head
    sizes = [level.shape[2:] for level in outputs[0]]
    priors = torch.cat(
        head.prior_generator.grid_priors(sizes, dtype=torch.float64, with_stride=True, device='cpu')
    )
    rows = [head._flatten_predictions(levels) for levels in outputs]
    cells = (priors[:, :2], priors[:, 2])
    decoded = dict(bboxes=head.decode_bbox(rows[2], *cells), keypoints=head.decode_kpt_reg(rows[3], *cells))
    torch.save(dict(images=images, outputs=outputs, **decoded), out)


def write_layouts(out: Path) -> None:
    """Stores the layouts of all models."""
    layouts = {}
    for size in CONFIGS:
        with torch.device('meta'):
            state_dict = build(size).state_dict()
        layouts[size] = {key: tuple(tensor.shape) for key, tensor in state_dict.items()}
    layout_file.write(layouts, out)


if __name__ == '__main__':
    what, *paths = sys.argv[1], *(Path(path).absolute() for path in sys.argv[2:])
    prepare()
    if what == 'layouts':
        write_layouts(*paths)
    else:
        run(what, *paths)
