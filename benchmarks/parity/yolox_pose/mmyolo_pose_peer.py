"""MMYOLO 0.6.0's YOLOX-Pose: its outputs, its state-dict layouts or its losses; runs in MMYOLO's environment.

    python mmyolo_pose_peer.py SIZE FOLDER
    python mmyolo_pose_peer.py layouts OUT.json
    python mmyolo_pose_peer.py losses CASES.pth OUT.pth

FOLDER gets ``epoch_1.pth`` and ``outputs.pth``, see ``mmyolo_outputs.py``.
"""

import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path += [str(HERE.parents[1]), str(HERE.parent)]

import layout_file  # noqa: E402
from peers import prepare_mmyolo  # noqa: E402

FOLDER = prepare_mmyolo() / 'pose'

from mmengine.config import Config  # noqa: E402
from mmyolo.models.losses import oks_loss  # noqa: E402
from mmyolo.registry import MODELS  # noqa: E402
from mmyolo_outputs import store  # noqa: E402

SIZES = ('tiny', 's', 'm', 'l')
SIGMAS = (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)
"""COCO's, in thousandths."""


def published(size: str) -> Config:
    """The config of a size."""
    return Config.fromfile(FOLDER / f'yolox-pose_{size}_8xb32-300e-rtmdet-hyp_coco.py')


def layouts() -> dict[str, layout_file.Layout]:
    """Name and shape of every tensor of the published models."""
    return {
        size: {
            name: tuple(tensor.shape)
            for name, tensor in MODELS.build(published(size).model).state_dict().items()
        }
        for size in SIZES
    }


def run(model: torch.nn.Module, case: dict[str, Any]) -> dict[str, Any]:
    """The losses of a case, and the gradients of their sum.

    The case is a batch: of raw outputs, or of images together with a state dict.
    """
    head = model.bbox_head
    head.use_bbox_aux = case['use_l1']
    if 'images' in case:
        model.load_state_dict(case['state_dict'], strict=True)
        model.train().zero_grad()
        outputs = head(model.extract_feat(case['images']))
        inputs = list(model.parameters())
    else:
        outputs = case['outputs']
        inputs = [level.requires_grad_() for levels in outputs for level in levels]
    images, rows = (case['labels'] >= 0).nonzero(as_tuple=True)
    columns = [images[:, None], case['labels'][images, rows][:, None], case['bboxes'][images, rows]]
    points, visibility = case['keypoints'][images, rows].split([2, 1], dim=-1)
    losses = head.loss_by_feat(
        *outputs,
        torch.cat(columns, dim=1),
        points,
        visibility[..., 0].clamp(max=1),
        [{}] * len(case['labels']),
    )
    losses = {name: loss.mean() for name, loss in losses.items()}  # as mmengine's parse_losses
    return dict(
        losses={name: loss.detach() for name, loss in losses.items()},
        grads=torch.autograd.grad(sum(losses.values()), inputs),
    )


def main(what: str, *paths: str) -> None:
    """Does one of the three.

    MMYOLO has MMPose read the sigmas out of a file; the numbers are handed to it instead.
    """
    oks_loss.parse_pose_metainfo = lambda _: dict(sigmas=torch.tensor(SIGMAS) / 1000)
    if what == 'layouts':
        layout_file.write(layouts(), Path(*paths))
    elif what == 'losses':
        given, out = paths
        model = MODELS.build(published('tiny').model)
        torch.save([run(model, case) for case in torch.load(given)], out)
    else:
        store(published(what), *paths)


if __name__ == '__main__':
    main(*sys.argv[1:])
