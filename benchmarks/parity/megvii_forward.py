"""Compares our networks' outputs with those of Megvii's YOLOX 0.3.0 on the same weights.

    benchmarks/parity/make_env.sh megvii
    python benchmarks/parity/megvii_forward.py [--models nano tiny s m l x darknet53] [--weights FILE]

Each model runs in Megvii's own environment (``megvii_peer.py``); its random weights go through our
converter and our network must give the same logits to 1e-4. ``--weights`` compares on a published file.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from converted import compare, converted, logits

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights

HERE = Path(__file__).parent
SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53')
KINDS = ('cls', 'reg', 'obj')


def is_equal(python: str, size: str, weights: Path | None = None) -> bool:
    """Compares one size, on random weights or on those of a file."""
    experiment = 'yolov3' if size == 'darknet53' else f'yolox_{size}'
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder, 'peer.pth')
        extra = [str(weights)] if weights else []
        subprocess.run([python, str(HERE / 'megvii_peer.py'), experiment, str(dump), *extra], check=True)
        network = converted(weights or dump, 'megvii', size)
        peer = torch.load(dump, weights_only=True)
    outputs = zip(KINDS, logits(network, peer['images']), strict=True)
    title = f'{size} {weights.name if weights else "random"}'
    is_close = [compare(f'{title} {kind}', levels, peer[kind]) for kind, levels in outputs]
    return all(is_close)


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's', 'darknet53'], choices=SIZES)
    parser.add_argument('--weights', type=Path, help="also compare on this file of Megvii's")
    parser.add_argument('--python', default='.venv-parity/megvii/bin/python', help="Megvii's interpreter")
    args = parser.parse_args()
    equal = [is_equal(args.python, size) for size in args.models]
    if args.weights:
        size = convert(read_weights(args.weights)[0]).architecture.name
        equal.append(is_equal(args.python, size, args.weights.resolve()))
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
