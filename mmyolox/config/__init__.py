"""Configs as users mean them: variables propagate, values come from the data, mistakes are found at once."""

from .load import load_config, require

__all__ = ['load_config', 'require']
