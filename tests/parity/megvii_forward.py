"""Compares our networks' outputs with those of Megvii's YOLOX 0.3.0 on the same weights.

    tests/parity/make_env.sh megvii
    python tests/parity/megvii_forward.py [--models nano tiny s darknet53] [--weights yolox_nano.pth]

Each model runs in Megvii's own environment (``megvii_peer.py``); its random weights go through our
converter and our network must give the same logits to 1e-4. ``--weights`` compares on a published file.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from mmyolox.convert.conversion import convert
from mmyolox.convert.files import read_weights

HERE = Path(__file__).parent
TOLERANCE = 1e-4
KINDS = ('cls', 'reg', 'obj')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's', 'darknet53'])
    parser.add_argument('--weights', type=Path, help="also compare on this file of Megvii's")
    parser.add_argument('--python', default='.venv-parity/megvii/bin/python', help="Megvii's interpreter")
    return parser.parse_args()


@torch.no_grad()
def compare(python: str, model: str, weights: Path | None = None) -> float:
    """Returns the largest absolute difference between the logits of both networks."""
    experiment = 'yolov3' if model == 'darknet53' else f'yolox_{model}'
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder, 'peer.pth')
        extra = [str(weights)] if weights else []
        subprocess.run([python, str(HERE / 'megvii_peer.py'), experiment, str(dump), *extra], check=True)
        peer = torch.load(dump, weights_only=True)
    conversion = convert(peer['model'])
    if conversion.unused or conversion.missing or conversion.architecture.name != model:
        raise SystemExit(f'{model}: converter: {conversion.unused or conversion.missing}')
    network = conversion.architecture.build().eval()
    network.load_state_dict(conversion.state_dict, strict=True)
    outputs = network.bbox_head.head_module(network.neck(network.backbone(peer['images'])))
    ours = [level for levels in outputs for level in levels]
    theirs = [level for kind in KINDS for level in peer[kind]]
    difference = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    largest = max(float(b.abs().max()) for b in theirs)
    print(
        f'{model:10} {weights.name if weights else "random":28} logits to {largest:6.2f}, {difference=:.1e}'
    )
    return difference


def main() -> int:
    """Compares all and returns 1 when one differs."""
    args = parse_args()
    differences = [compare(args.python, model) for model in args.models]
    if args.weights:
        model = convert(read_weights(args.weights)[0]).architecture.name
        differences.append(compare(args.python, model, args.weights.resolve()))
    return int(not all(difference <= TOLERANCE for difference in differences))  # NaN fails too


if __name__ == '__main__':
    sys.exit(main())
