"""What the packages and the tools share."""

from .errors import UserError

__all__ = ['UserError']
