"""One module for each framework that weights come from."""

from . import megvii, mindspore, onnx, openmmlab, super_gradients
from .base import register_source

for _source in (
    megvii.SOURCE,
    openmmlab.MMYOLO,
    openmmlab.MMDET,
    super_gradients.SOURCE,
    mindspore.SOURCE,
    onnx.SOURCE,
):
    register_source(_source)
