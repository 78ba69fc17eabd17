"""YOLOX and YOLOX-Pose for the OpenMMLab stack.

Importing this package is light and needs no other: it checks that those OpenMMLab packages that are installed
are new enough, imports none of them, and lets an mmcv without compiled ops be imported.
"""

from .compat import check_versions, install_finder
from .version import __version__

check_versions()
install_finder()

__all__ = ['__version__']
