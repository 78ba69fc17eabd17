"""Compares our state-dict layout with that of MMYOLO 0.6.0's YOLOX tiny, s, m, l and x.

    benchmarks/parity/make_env.sh mmyolo
    python benchmarks/parity/mmyolo_keys.py [--write tests/data/mmyolo_yolox_keys.json]

``--write`` keeps MMYOLO's layout for the quick test of the same
(``tests/checkpoints/test_recognise.py``).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import layout_file

from mmyolox.checkpoints.recognise import PUBLISHED, Architecture

PEER = Path(__file__).with_name('mmyolo_peer.py')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--python', default='.venv-parity/mmyolo/bin/python', help="MMYOLO's interpreter")
    parser.add_argument('--write', type=Path, help='store the layouts here')
    return parser.parse_args()


def main() -> int:
    """Compares all sizes and returns 1 when one differs."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = args.write or Path(folder, 'layouts.json')
        subprocess.run([args.python, str(PEER), 'layouts', str(out)], check=True)
        layouts = layout_file.read(out)
    equal = [
        layout_file.compare(size, Architecture(size, *PUBLISHED[size]).shapes(), theirs)
        for size, theirs in layouts.items()
    ]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
