"""Lets MMPose's metrics and data sets work without xtcocotools, which does not install beside NumPy 2.

xtcocotools is COCO's own library with a few more arguments; its wheels are built for NumPy 1, and elsewhere
it needs Cython and a compiler. ``support_mmpose`` puts a finder at the end of ``sys.meta_path`` that answers
for ``xtcocotools`` and the modules that MMPose imports of it, with classes that stand on pycocotools. Python
asks it after all others, so an installed xtcocotools is found first and stays as it is.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from mmyolox.config.components import INSTALL_COMMANDS

INSTALL = 'pip install --no-deps mmpose==1.3.2 munkres'
"""All that MMPose's metrics, data sets and models need beside mmyolox; the other dependencies are unused."""

_PACKAGE = 'xtcocotools'
_SOURCES = {
    f'{_PACKAGE}.coco': f'{__package__}.extended_coco',
    f'{_PACKAGE}.cocoeval': f'{__package__}.extended_coco',
    f'{_PACKAGE}.mask': 'pycocotools.mask',
}
"""The module whose public names each module of the stand-in has."""


def support_mmpose() -> None:
    """Let ``import xtcocotools`` find the stand-in where there is none, and config checks name the command.

    Safe to repeat.
    """
    INSTALL_COMMANDS['mmpose'] = INSTALL
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


class _XtcocotoolsFinder(MetaPathFinder, Loader):
    """Finds and makes the modules of the stand-in, and no others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _PACKAGE:
            return ModuleSpec(fullname, self, origin=__file__, is_package=True)
        return ModuleSpec(fullname, self, origin=__file__) if fullname in _SOURCES else None

    def exec_module(self, module: ModuleType) -> None:
        """Fills a module with the names of its source; the package itself is empty."""
        if module.__name__ in _SOURCES:
            names = vars(import_module(_SOURCES[module.__name__]))
            vars(module).update({name: names[name] for name in names if not name.startswith('_')})


_FINDER = _XtcocotoolsFinder()
