"""Detectors at random whose answers rounding hardly moves, to verify inexact files with."""

import copy

from tests.export.models import options


def calmed(model):
    """A copy whose predictions depend little on the features: what these say is damped."""
    model = copy.deepcopy(model)
    for name, weight in model.bbox_head.head_module.named_parameters():
        if 'multi_level_conv' in name:
            weight.mul_(0.1) if name.endswith('weight') else weight.add_(0.5 * ('reg' not in name))
    return model


def keeping_options(**asked):
    """Options that suppress nothing: which of two near-equal boxes stays is a matter of rounding."""
    return options(**asked, iou_thr=1.0, max_per_img=1000)
