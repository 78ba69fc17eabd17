"""Compares our detectors' outputs with those of MMYOLO 0.6.0's YOLOX on the same weights.

    benchmarks/parity/make_env.sh mmyolo
    python benchmarks/parity/mmyolo_forward.py [--models nano tiny s m l x]

Each model runs in MMYOLO's own environment (``mmyolo_peer.py``). The checkpoint that its runner saves goes
through our converter; the detector of our config must give the same raw outputs, and at both configs'
thresholds the same boxes, scores and labels, in pixels of the original images, to 1e-4. MMYOLO's nano must be
refused.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from converted import compare, converted
from mmengine.registry import init_default_scope

import mmyolox  # noqa: F401
from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.models import HeadOutputs, YOLODetector
from mmyolox.registry import MODELS

PEER = Path(__file__).with_name('mmyolo_peer.py')
SIZES = ('tiny', 's', 'm', 'l', 'x')
KINDS = ('cls', 'reg', 'obj')
INTERPRETER = '.venv-parity/mmyolo/bin/python'


@torch.no_grad()
def is_equal(command: Sequence[str], size: str, config: str, kinds: Sequence[str]) -> bool:
    """Compares one size.

    Args:
        command: A peer and its interpreter.
        size: Of MMYOLO's model.
        config: The name of our config.
        kinds: What each of the raw outputs is called.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, size, folder], check=True)
        network = converted(Path(folder, 'epoch_1.pth'), 'mmyolo', size)
        peer = torch.load(Path(folder, 'outputs.pth'), weights_only=True)
    init_default_scope('mmyolox')
    settings = load_config(config).model
    settings.test_cfg.update(nms_pre=-1, max_per_img=-1)  # MMYOLO returns all that the suppression leaves
    model: YOLODetector = MODELS.build(settings).double().eval()
    model.load_state_dict(network.state_dict())
    outputs = model(peer['images'])
    pairs = zip(kinds, outputs, peer['outputs'], strict=True)
    is_close = [compare(f'{size} {kind}', *levels) for kind, *levels in pairs]
    return is_same_found(size, model, outputs, peer) and all(is_close)


def is_same_found(size: str, model: YOLODetector, outputs: HeadOutputs, peer: Any) -> bool:
    """Compares predictions: the fields of each image's boxes, the best first."""
    metas = [
        dict(matrix=np.diag([*meta['scale_factor'], 1]), ori_shape=meta['ori_shape'])
        for meta in peer['metas']
    ]
    ours, theirs = model.bbox_head.postprocess(outputs, metas), peer['predictions']
    counts = [[len(image['scores']) for image in images] for images in (ours, theirs)]
    print(f'{size} boxes of each image: {counts[0]} here, {counts[1]} in MMYOLO')
    if counts[0] != counts[1]:
        return False
    is_close = [
        compare(f'{size} {name}', [image[name] for image in ours], [image[name] for image in theirs])
        for name in sorted(theirs[0])
    ]
    return all(is_close)


def is_refused(command: Sequence[str]) -> bool:
    """Converts MMYOLO's nano; prints what the user is told, and checks that it is so."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, 'nano', folder], check=True)
        weights = read_weights(Path(folder, 'epoch_1.pth'))[0]
    depthwise = [name for name in weights if '.depthwise_conv.' in name]
    try:
        convert(weights)
    except UserError as error:
        print(f'nano: {error}')
        is_so = depthwise and not any('.blocks.' in name for name in depthwise)
        return "MMYOLO's nano" in str(error) and bool(is_so)
    print('nano was converted')
    return False


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=['nano', 'tiny', 's'], choices=('nano', *SIZES))
    parser.add_argument('--python', default=INTERPRETER, help="MMYOLO's interpreter")
    args = parser.parse_args()
    command = (args.python, '-Wignore', str(PEER))
    equal = [
        is_refused(command)
        if size == 'nano'
        else is_equal(command, size, f'yolox_{size}_fast_8xb8-300e_coco', KINDS)
        for size in args.models
    ]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
