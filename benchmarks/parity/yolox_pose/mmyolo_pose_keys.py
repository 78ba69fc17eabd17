"""Compares our state-dict layout with that of MMYOLO 0.6.0's YOLOX-Pose tiny, s, m and l.

    benchmarks/make_env.sh mmyolo
    python benchmarks/parity/yolox_pose/mmyolo_pose_keys.py [--write FILE]

``--write`` keeps MMYOLO's layout; ``projects/yolox_pose/tests/mmyolo_pose_keys.json`` is one, for a quick
test.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmyolox.projects.yolox_pose.tests.cases import pose_model

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent)]

import layout_file  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mmyolo', default='.venv-peers/mmyolo/bin/python', help="MMYOLO's interpreter")
    parser.add_argument('--write', type=Path, help='store the layouts here')
    return parser.parse_args()


def layout(size: str) -> layout_file.Layout:
    """Name and shape of every tensor of ours."""
    with torch.device('meta'):
        model = pose_model(size)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def main() -> int:
    """Compares all sizes and returns 1 when one differs."""
    args = parse_args()
    init_default_scope('mmyolox')
    with tempfile.TemporaryDirectory() as folder:
        out = args.write or Path(folder, 'layouts.json')
        subprocess.run([args.mmyolo, str(HERE / 'mmyolo_pose_peer.py'), 'layouts', str(out)], check=True)
        layouts = layout_file.read(out)
    equal = [layout_file.compare(size, layout(size), theirs) for size, theirs in layouts.items()]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
