"""Compares our networks' outputs with those of MindYOLO 0.5.0 and of MindSpore's model zoo, same weights.

    benchmarks/parity/make_env.sh mindspore
    python benchmarks/parity/mindspore_forward.py [--models nano tiny s] [--zoo FOLDER [--zoo-models x]]

FOLDER is ``official/cv/YOLOX`` of the zoo's repository. Each model runs on the CPU in the peers'
environment (``mindspore_peer.py``); the file that ``mindspore.save_checkpoint`` writes goes through our
converter, and our network must give the same logits to 1e-4: for MindYOLO on images that it gets as RGB from
0 to 1 and ours as BGR from 0 to 255.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from converted import compare, converted, logits

HERE = Path(__file__).parent
SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53')


def is_equal(python: str, project: str, size: str, *zoo: str) -> bool:
    """Compares one size; ``zoo`` is the zoo's folder, for a model of its."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(HERE / 'mindspore_peer.py'), project, size, folder, *zoo]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        network = converted(Path(folder, 'weights.ckpt'), 'mindspore', size).float()
        with np.load(Path(folder, 'outputs.npz')) as file:
            peer = {name: torch.from_numpy(value) for name, value in file.items()}
    ours = [level for levels in logits(network, peer['images']) for level in levels]
    theirs = [peer[f'{kind}{level}'] for kind in ('cls', 'reg', 'obj') for level in range(3)]
    return compare(f'{project} {size}', ours, theirs)


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's'], choices=SIZES)
    parser.add_argument('--zoo', help="the zoo's folder official/cv/YOLOX")
    parser.add_argument('--zoo-models', nargs='*', default=['darknet53'], choices=['darknet53', 'x'])
    interpreter = '.venv-parity/mindspore/bin/python'
    parser.add_argument('--python', default=interpreter, help='the interpreter that has mindspore')
    args = parser.parse_args()
    equal = [is_equal(args.python, 'mindyolo', size) for size in args.models]
    for size in args.zoo_models if args.zoo else ():
        equal.append(is_equal(args.python, 'zoo', size, args.zoo))
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
