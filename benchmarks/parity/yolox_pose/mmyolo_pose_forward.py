"""Compares our pose detectors' outputs with those of MMYOLO 0.6.0's YOLOX-Pose on the same weights.

    benchmarks/parity/make_env.sh mmyolo
    python benchmarks/parity/yolox_pose/mmyolo_pose_forward.py [--models tiny s m l]

Each model runs in MMYOLO's own environment (``mmyolo_pose_peer.py``). The checkpoint that its runner saves
goes through our converter; the detector of our config must give the same raw outputs, and at both configs'
thresholds the same boxes, scores and keypoints, in pixels of the original images, to 1e-4.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from mmyolo_forward import INTERPRETER, KINDS, is_equal  # noqa: E402

SIZES = ('tiny', 's', 'm', 'l')


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['tiny', 's'], choices=SIZES)
    parser.add_argument('--python', default=INTERPRETER, help="MMYOLO's interpreter")
    args = parser.parse_args()
    command = (args.python, '-Wignore', str(HERE / 'mmyolo_pose_peer.py'))
    kinds = (*KINDS, 'offsets', 'visibility')
    equal = [
        is_equal(command, size, f'yolox-pose_{size}_8xb32-300e-rtmdet-hyp_coco', kinds)
        for size in args.models
    ]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
