"""Weights of every framework that has a YOLOX, in this project's layout; and back to Megvii's.

:func:`.files.read_weights` reads a file; :func:`.conversion.convert` finds out where it comes from and which
model it holds, and accounts for every tensor; :func:`.configs.config_for` names the config of that model. A
framework is one module with a ``SOURCE`` (see :mod:`.sources`).
"""

from .sources import Source, Translation, find_source, register_source, rename_all

__all__ = ['Source', 'Translation', 'find_source', 'register_source', 'rename_all']
