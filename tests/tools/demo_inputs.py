"""Inputs of image_demo.py's tests: a network that finds much, and what is drawn with it."""

from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmyolox.apis.drawing import YOLOXVisualizer
from mmyolox.config import load_config
from mmyolox.registry import MODELS, VISUALIZERS

CONFIG = Path(__file__).parents[2] / 'configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'
OPTIONS = ('--device', 'cpu', '--score-thr', 0.2, '--cfg-options', 'img_scale=(64,64)', 'classes=cat,dog')


def random_weights(cfg):
    """The weights of a config's model, random ones that find many objects."""
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    return model.state_dict()


def write_checkpoint(path):
    weights = random_weights(load_config(CONFIG, dict(img_scale=(64, 64), classes=('cat', 'dog'))))
    torch.save(dict(state_dict=weights, meta=dict(dataset_meta=dict(classes=('cat', 'dog')))), path)
    return path


@VISUALIZERS.register_module()
class StripeVisualizer(YOLOXVisualizer):
    """Draws a white first row, and an entry more."""

    def draw(self, image, instances):
        picture = image.copy()
        picture[0] = 255
        return picture

    def entries(self, instances):
        return [dict(entry, stripes=1) for entry in super().entries(instances)]
