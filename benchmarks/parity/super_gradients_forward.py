"""Compares our networks' outputs with those of SuperGradients 3.7.1's YOLOX on the same weights.

    benchmarks/parity/make_env.sh super_gradients
    python benchmarks/parity/super_gradients_forward.py [--models nano tiny s m l x]

Each model runs in SuperGradients' own environment (``super_gradients_peer.py``). The file that it saves goes
through our converter; our network must give the same logits, and the same decoded boxes and scores, to 1e-4.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from converted import compare, converted, logits
from torch import Tensor

from mmyolox.models.boxes import decode_bboxes, grid_priors

HERE = Path(__file__).parent
STRIDES = (8, 16, 32)
SIZES = {'nano': 'n', 'tiny': 't', 's': 's', 'm': 'm', 'l': 'l', 'x': 'x'}


def in_their_order(outputs: tuple[list[Tensor], ...]) -> list[Tensor]:
    """Our logits of every level as (B, 1, H, W, 5 + C): box, objectness, classes."""
    levels = [torch.cat([reg, obj, cls], dim=1) for cls, reg, obj in zip(*outputs, strict=True)]
    return [level.permute(0, 2, 3, 1)[:, None] for level in levels]


def decoded(levels: list[Tensor]) -> Tensor:
    """Logits of all levels as (B, N, 5 + C): centre, width and height in input pixels, scores."""
    rows = torch.cat([level.flatten(1, 3) for level in levels], dim=1)
    priors = grid_priors([level.shape[2:4] for level in levels], STRIDES, rows.device)
    top_left, bottom_right = decode_bboxes(rows[..., :4], priors).split(2, dim=-1)
    sides = bottom_right - top_left
    return torch.cat([top_left + sides / 2, sides, rows[..., 4:].sigmoid()], dim=-1)


def is_equal(python: str, size: str) -> bool:
    """Compares one size."""
    with tempfile.TemporaryDirectory() as folder:
        weights, outputs = Path(folder, 'ckpt_best.pth'), Path(folder, 'outputs.pth')
        name = f'yolox_{SIZES[size]}'
        command = [python, str(HERE / 'super_gradients_peer.py'), name, str(weights), str(outputs)]
        subprocess.run(command, check=True)
        network = converted(weights, 'super-gradients', size)
        peer = torch.load(outputs, weights_only=True)
    levels = in_their_order(logits(network, peer['images']))
    is_raw_equal = compare(f'{size} logits', levels, peer['logits'])
    return compare(f'{size} decoded', [decoded(levels)], [peer['rows']]) and is_raw_equal


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's'], choices=SIZES)
    interpreter = '.venv-parity/super_gradients/bin/python'
    parser.add_argument('--python', default=interpreter, help="SuperGradients' interpreter")
    args = parser.parse_args()
    equal = [is_equal(args.python, size) for size in args.models]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
