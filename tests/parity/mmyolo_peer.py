"""Writes the state-dict layout of MMYOLO 0.6.0's YOLOX models; runs in MMYOLO's own environment.

python mmyolo_peer.py OUT.json
"""

import sys
import types
from pathlib import Path

import layout_file
import mmcv
import torch

SIZES = ('tiny', 's', 'm', 'l', 'x')


class AbsentOps(types.ModuleType):
    """Stands in for mmcv's compiled operators: importable, of no use when called."""

    def __getattr__(self, name: str) -> object:
        if name.startswith('__'):
            raise AttributeError(name)
        return None


def layouts() -> dict[str, layout_file.Layout]:
    """Builds each published config without memory for its weights."""
    mmcv.__version__ = '2.0.1'  # mmyolo refuses the 2.1 that mmdet 3.3 takes
    sys.modules['mmcv._ext'] = AbsentOps('mmcv._ext')
    import mmyolo
    from mmengine.config import Config
    from mmyolo.registry import MODELS
    from mmyolo.utils import register_all_modules

    register_all_modules()
    folder = Path(mmyolo.__file__).parent / '.mim' / 'configs' / 'yolox'
    found = {}
    for size in SIZES:
        config = Config.fromfile(folder / f'yolox_{size}_fast_8xb8-300e_coco.py')
        with torch.device('meta'):
            model = MODELS.build(config.model)
        found[size] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return found


if __name__ == '__main__':
    layout_file.write(layouts(), Path(sys.argv[1]))
