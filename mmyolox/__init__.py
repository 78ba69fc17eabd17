"""YOLOX and YOLOX-Pose for the OpenMMLab stack.

Importing this package is light: it checks that the OpenMMLab packages are there, imports none of them, and
lets an mmcv without compiled ops be imported.
"""

from .compat import check_requirements, install_extension
from .version import __version__

check_requirements()
install_extension()

__all__ = ['__version__']
