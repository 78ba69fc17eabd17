"""Data sets as they lie in folders: a module a format, and what recognises one among them."""

from .layout import Format, Layout
from .recognise import FORMATS, NoDataSetError, passed_over, recognise

__all__ = ['FORMATS', 'Format', 'Layout', 'NoDataSetError', 'passed_over', 'recognise']
