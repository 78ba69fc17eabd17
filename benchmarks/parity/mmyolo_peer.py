"""Runs one YOLOX of MMYOLO 0.6.0 and stores what it saw and said; runs in MMYOLO's own environment.

    python mmyolo_peer.py SIZE FOLDER
    python mmyolo_peer.py layouts OUT.json

FOLDER gets ``epoch_1.pth`` and ``outputs.pth``, see ``mmyolo_outputs.py``. ``layouts`` writes names and
shapes of all models' tensors, for the quick tests.
"""

import sys
from pathlib import Path

import layout_file
import torch

sys.path.append(str(Path(__file__).parents[1]))

from peers import prepare_mmyolo

FOLDER = prepare_mmyolo()

from mmengine.config import Config  # noqa: E402
from mmyolo.registry import MODELS  # noqa: E402
from mmyolo_outputs import store  # noqa: E402

SIZES = ('tiny', 's', 'm', 'l', 'x')


def published(size: str) -> Config:
    """The config of a size."""
    return Config.fromfile(FOLDER / f'yolox_{size}_fast_8xb8-300e_coco.py')


def layouts() -> dict[str, layout_file.Layout]:
    """Builds each published config without memory for its weights."""
    found = {}
    for size in SIZES:
        with torch.device('meta'):
            model = MODELS.build(published(size).model)
        found[size] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return found


if __name__ == '__main__':
    what, out = sys.argv[1:]
    if what == 'layouts':
        layout_file.write(layouts(), Path(out))
    else:
        store(published(what), out)
