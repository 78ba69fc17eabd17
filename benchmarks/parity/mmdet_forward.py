"""Compares our networks' outputs with those of MMDetection's YOLOX on the same weights.

    python benchmarks/parity/mmdet_forward.py [--models nano tiny s m l x]

MMDetection is that of this environment. Each of its configs is built with random weights; the file that its
checkpoint hook would write goes through our converter, and our network must give the same logits to 1e-4.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import mmdet
import torch
from converted import compare, converted, logits
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from random_weights import randomise
from torch import nn

SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x')


def build(size: str) -> nn.Module:
    """The detector of MMDetection's config."""
    folder = Path(mmdet.__file__).parent / '.mim' / 'configs' / 'yolox'
    return MODELS.build(Config.fromfile(folder / f'yolox_{size}_8xb8-300e_coco.py').model)


@torch.no_grad()
def is_equal(size: str) -> bool:
    """Compares one size."""
    torch.manual_seed(0)
    model = build(size)
    images = randomise(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'epoch_300.pth')
        torch.save(dict(meta=dict(epoch=300), state_dict=model.state_dict()), path)
        network = converted(path, 'mmdet', size)
    outputs = zip(logits(network, images), model(images), ('cls', 'reg', 'obj'), strict=True)
    is_close = [compare(f'{size} {kind}', *levels) for *levels, kind in outputs]
    return all(is_close)


def main() -> int:
    """Compares all and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--models', nargs='*', default=SIZES, choices=SIZES)
    args = parser.parse_args()
    register_all_modules()
    equal = [is_equal(size) for size in args.models]
    return int(not all(equal))


if __name__ == '__main__':
    sys.exit(main())
