"""Writes the state-dict layouts of Megvii's seven YOLOX models; runs in Megvii's own environment.

    .venv-parity/megvii/bin/python benchmarks/parity/megvii_keys.py tests/data/megvii_yolox_keys.json

The converter's tests read them (``tests/checkpoints/test_megvii_source.py``).
"""

import sys
import types
from pathlib import Path

import layout_file
import torch

sys.modules['torchvision'] = types.ModuleType('torchvision')  # only for NMS, which is not called

from yolox.exp import get_exp  # noqa: E402

EXPERIMENTS = {size: f'yolox_{size}' for size in ('nano', 'tiny', 's', 'm', 'l', 'x')} | {
    'darknet53': 'yolov3'
}


def main(path: str) -> None:
    """Builds every published experiment without memory for its weights."""
    layouts = {}
    for name, experiment in EXPERIMENTS.items():
        with torch.device('meta'):
            state_dict = get_exp(exp_name=experiment).get_model().state_dict()
        layouts[name] = {key: tuple(tensor.shape) for key, tensor in state_dict.items()}
    layout_file.write(layouts, Path(path))


if __name__ == '__main__':
    main(*sys.argv[1:])
