"""Writes the state-dict layout of MMYOLO 0.6.0's YOLOX models; runs in MMYOLO's own environment.

python mmyolo_peer.py OUT.json
"""

import sys
from pathlib import Path

import layout_file
import torch

sys.path.append(str(Path(__file__).parents[2] / 'benchmarks'))

from peers import prepare_mmyolo

SIZES = ('tiny', 's', 'm', 'l', 'x')


def layouts() -> dict[str, layout_file.Layout]:
    """Builds each published config without memory for its weights."""
    folder = prepare_mmyolo()
    from mmengine.config import Config
    from mmyolo.registry import MODELS

    found = {}
    for size in SIZES:
        config = Config.fromfile(folder / f'yolox_{size}_fast_8xb8-300e_coco.py')
        with torch.device('meta'):
            model = MODELS.build(config.model)
        found[size] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return found


if __name__ == '__main__':
    layout_file.write(layouts(), Path(sys.argv[1]))
