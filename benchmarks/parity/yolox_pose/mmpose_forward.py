"""Compares our networks' outputs with those of MMPose 1.3.2's YOLOXPose on the same weights.

    benchmarks/parity/make_env.sh mmpose
    python benchmarks/parity/yolox_pose/mmpose_forward.py [--models tiny s m l]

Each model runs in MMPose's own environment (``mmpose_peer.py``). The file that it saves goes through our
converter; our network must give the same raw outputs, and the same boxes and keypoints in pixels, to 1e-4.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from mmyolox.models.boxes import decode_bboxes, grid_priors
from mmyolox.models.levels import flatten_levels
from mmyolox.projects.yolox_pose.head_module import PoseOutputs, decode_keypoints

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from converted import compare, converted, logits  # noqa: E402

STRIDES = (8, 16, 32)
SIZES = ('tiny', 's', 'm', 'l')
KINDS = ('cls', 'reg', 'obj', 'offsets', 'visibility', 'boxes, pixels', 'keypoints, pixels')


def decoded(outputs: PoseOutputs) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes (B, N, 4) xyxy and keypoints (B, N, K, 2), in input pixels."""
    shapes = [(level.shape[2], level.shape[3]) for level in outputs.cls_logits]
    priors = grid_priors(shapes, STRIDES, outputs.cls_logits[0].device)
    bboxes = decode_bboxes(flatten_levels(outputs.bbox_preds), priors)
    offsets = flatten_levels(outputs.offsets)
    return [bboxes], [decode_keypoints(offsets, priors.expand(len(bboxes), -1, -1))]


def is_equal(python: str, size: str) -> bool:
    """Compares one size."""
    with tempfile.TemporaryDirectory() as folder:
        weights, outputs = Path(folder, 'epoch_300.pth'), Path(folder, 'outputs.pth')
        subprocess.run([python, str(HERE / 'mmpose_peer.py'), size, str(weights), str(outputs)], check=True)
        network = converted(weights, 'mmpose', size)
        peer = torch.load(outputs, weights_only=True)
    cls, obj, reg, offsets, vis = peer['outputs']
    raw = logits(network, peer['images'])
    theirs = (cls, reg, obj, offsets, vis, [peer['bboxes']], [peer['keypoints']])
    pairs = zip(KINDS, (*raw, *decoded(raw)), theirs, strict=True)
    is_close = [compare(f'{size} {kind}', *levels) for kind, *levels in pairs]
    return all(is_close)


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['tiny', 's'], choices=SIZES)
    parser.add_argument('--python', default='.venv-parity/mmpose/bin/python', help="MMPose's interpreter")
    args = parser.parse_args()
    equal = [is_equal(args.python, size) for size in args.models]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
