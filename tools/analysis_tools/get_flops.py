"""Prints the parameters and the GFLOPs of a config's network, and the memory that its training needs.

    mmyolox flops yolox_s [--shape 640 640] [--memory [--batch 32] [--amp]]

Counted are backbone, neck and head convolutions with their norms, for one image, as 2 FLOPs a multiply-add:
the figures that YOLOX publishes. Decoding and NMS are left out.

``--memory`` computes what a training step needs on an accelerator, without one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmyolox.tool_parser import ToolParser, add_cfg_options
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument(
        '--shape', type=int, nargs=2, metavar=('H', 'W'), help="input size; default: the config's img_scale"
    )
    parser.add_argument(
        '--memory', action='store_true', help='what training needs on an accelerator, without one'
    )
    parser.add_argument(
        '--batch', type=int, metavar='N', help="images of each device, for --memory; default: the config's"
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, for --memory')
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
    if args.memory:
        prepare_training(cfg, args.batch, args.amp)
    model = MODELS.build(cfg.model)
    params, flops = complexity(model, (model.input_channels, height, width))
    print(f'config      {cfg.filename}')
    print(f'input       {width} x {height} (w x h)')
    print(f'parameters  {params / 1e6:.2f} M')
    print(f'GFLOPs      {flops / 1e9:.2f} (2 x multiply-adds)')
    if args.memory:
        print_memory(cfg)


def prepare_training(cfg: Config, count: int | None, is_mixed: bool) -> None:
    """Puts into a config what its training is to be like.

    Args:
        cfg: The config.
        count: The images of a batch; None is for the config's.
        is_mixed: Whether to train in mixed precision, where the config does not say.

    Raises:
        UserError: There is no number of images, or the config is not one of a training.
    """
    from mmyolox.config import require
    from mmyolox.errors import UserError

    require(cfg, 'train_dataloader', 'optim_wrapper')
    loader = cfg.train_dataloader
    loader.batch_size = loader.batch_size if count is None else count
    if not isinstance(loader.batch_size, int) or loader.batch_size < 1:
        raise UserError(f'--memory: {loader.batch_size} is no number of images; give one with --batch N')
    if is_mixed and cfg.optim_wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'


def print_memory(cfg: Config) -> None:
    """Prints what a config's training needs on an accelerator."""
    from mmyolox.engine.device_memory import training_memory

    memory = training_memory(cfg)
    dtype = str(memory.dtype or 'float32').removeprefix('torch.')
    parts = {
        name: getattr(memory, name) for name in ('weights', 'average', 'gradients', 'moments', 'activations')
    }
    width, height = memory.size
    images = f'{memory.images} images of {width} x {height} in {dtype}'
    print(f'memory      {memory.total / 2**30:.2f} GiB to train on {images}')
    print('            ' + ', '.join(f'{name} {size / 2**30:.2f}' for name, size in parts.items()))
    print('            beside it, not computed: the driver, and what convolutions need within themselves;')
    print('            on several devices, the gradients once more')


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
