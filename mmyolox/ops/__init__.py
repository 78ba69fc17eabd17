"""Tensor operations that run on every device torch knows, without compiled extensions."""

from .nms import batched_nms, images_nms, nms

__all__ = ['batched_nms', 'images_nms', 'nms']
