"""Prints the parameters and the GFLOPs of a config's network.

    mmyolox flops yolox_s [--shape 640 640]

Counted are backbone, neck and head convolutions with their norms, for one image, as 2 FLOPs a multiply-add:
the figures that YOLOX publishes. Decoding and NMS are left out.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmyolox.tool_parser import ToolParser, add_cfg_options
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from torch import nn


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument(
        '--shape', type=int, nargs=2, metavar=('H', 'W'), help="input size; default: the config's img_scale"
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    """Builds the network and prints its size and cost."""
    args = parse_args()
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config
    from mmyolox.deploy.letterbox import MAX_PIXELS
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.errors import UserError
    from mmyolox.registry import MODELS

    use_terminal()
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmyolox'))
    if args.shape is None and 'img_scale' not in cfg:
        raise UserError(f'{cfg.filename}: has no img_scale; give --shape H W')
    height, width = args.shape or reversed(cfg.img_scale)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise UserError(
            f'--shape {height} {width}: give two sizes in pixels, which are {MAX_PIXELS} together at most'
        )
    model = MODELS.build(cfg.model)
    params, flops = complexity(model, (model.input_channels, height, width))
    print(f'config      {cfg.filename}')
    print(f'input       {width} x {height} (w x h)')
    print(f'parameters  {params / 1e6:.2f} M')
    print(f'GFLOPs      {flops / 1e9:.2f} (2 x multiply-adds)')


def complexity(model: nn.Module, shape: tuple[int, int, int]) -> tuple[int, float]:
    """Counts a network's parameters and FLOPs.

    MMEngine counts one FLOP for a multiply-add, hence the factor. Its ``get_model_complexity_info`` would
    run the network once more for the activations.

    Args:
        model: The model, whose forward takes an image batch alone.
        shape: The channels, height and width of the image.

    Returns:
        The number of parameters, and of multiplications plus additions.
    """
    import torch
    from mmengine.analysis import FlopAnalyzer

    analyzer = FlopAnalyzer(model.eval(), torch.zeros(1, *shape))
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return sum(parameter.numel() for parameter in model.parameters()), 2 * analyzer.total()


if __name__ == '__main__':
    run_tool(main)
