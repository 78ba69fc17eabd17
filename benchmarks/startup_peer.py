"""Runs MMYOLO 0.6.0's own ``tools/train.py``; ``startup.py`` starts it in MMYOLO's environment.

    python startup_peer.py models                  # imports MMYOLO's models
    python startup_peer.py train [ARGUMENT ...]    # its tools/train.py with these arguments
    python startup_peer.py configs                 # prints where its YOLOX configs are

Compiled ops are not needed before the first evaluation: empty names stand in for them.
"""

import runpy
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class AbsentOps(types.ModuleType):
    """Has every name, as None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return None


def main(action: str, *args: str) -> None:
    """Does what is asked for."""
    spec = find_spec('mmyolo')
    assert spec is not None
    assert spec.origin is not None
    mim = Path(spec.origin).parent / '.mim'
    if action == 'configs':
        print(mim / 'configs' / 'yolox')
        return
    import mmcv

    mmcv.__version__ = '2.0.1'  # mmyolo refuses the 2.1 that mmdet 3.3 takes
    sys.modules['mmcv._ext'] = AbsentOps('mmcv._ext')
    sys.modules['mmcv._ext'].__spec__ = ModuleSpec('mmcv._ext', None)
    if action == 'models':
        import mmyolo.models  # noqa: F401
    else:
        sys.argv = ['train.py', *args]
        runpy.run_path(str(mim / 'tools' / 'train.py'), run_name='__main__')


if __name__ == '__main__':
    main(*sys.argv[1:])
