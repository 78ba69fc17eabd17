"""The config of ours for a model that was recognised in its weights."""

from collections.abc import Mapping
from typing import Any

from mmyolox.errors import UserError

from .recognise import FAMILIES, PUBLISHED, Architecture


def config_for(
    architecture: Architecture, recorded: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Finds the config of ours, and what is to be changed in it, for a model.

    A model of factors that no published one has gets the config of the published size nearest in width, from
    which it also takes the size of its input.

    Args:
        architecture: The model.
        recorded: What is recorded of its data, as for :func:`mmyolox.config.load_config`.

    Returns:
        The name of a config, and ``cfg_options`` for it; none for a published model for COCO.

    Raises:
        UserError: There is no config of such a model.
    """
    family = FAMILIES[architecture.family]
    size = _nearest_size(architecture)
    name, options = family.config(architecture, size, recorded or {})
    if size != architecture.name:
        options |= _factors(architecture)
    if architecture.num_classes != family.num_classes:
        options['model.bbox_head.head_module.num_classes'] = architecture.num_classes
    if architecture.input_channels != 3:
        options['model.backbone.input_channels'] = architecture.input_channels
    if architecture.spp_zero_padding:
        options['model.backbone.spp_zero_padding'] = True
    if architecture.input_channels == 1:
        options['test_dataloader.dataset.pipeline.0.color_type'] = 'grayscale'
    return name, options


def _factors(architecture: Architecture) -> dict[str, Any]:
    """Returns the options that turn a config of another CSP-Darknet model into one of this."""
    options: dict[str, Any] = {
        f'model.{part}.{name}': value
        for part in ('backbone', 'neck', 'bbox_head.head_module')
        for name, value in (
            ('widen_factor', architecture.widen_factor),
            ('use_depthwise', architecture.use_depthwise),
        )
    }
    return options | {
        f'model.{part}.deepen_factor': architecture.deepen_factor for part in ('backbone', 'neck')
    }


def _nearest_size(architecture: Architecture) -> str:
    """The size that has a config: the model's own, else the nearest in width with the same convolutions."""
    family = FAMILIES[architecture.family]
    if architecture.name in family.sizes:
        return architecture.name
    if architecture.name == 'darknet53':
        raise UserError(f'there is no config of {architecture.family} on DarkNet53; write one and name it')
    alike = [
        size
        for size in family.sizes
        if size != 'darknet53' and PUBLISHED[size][2] == architecture.use_depthwise
    ]
    return min(alike, key=lambda size: abs(PUBLISHED[size][1] - architecture.widen_factor))
