"""Prints a config as it is used: with its bases, the given options, and what is read from the data set."""

import argparse

from mmyolox.tool_parser import ToolParser, add_cfg_options
from mmyolox.utils.cli import run_tool


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='a config file, or the name of a config of mmyolox')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    """Prints the config in the form of a config file."""
    args = parse_args()
    from rich.console import Console

    from mmyolox.config import load_config  # after the arguments: `-h` answers at once
    from mmyolox.engine.terminal import use_terminal

    use_terminal(console=Console(stderr=True))
    cfg = load_config(args.config, args.cfg_options)
    print(f'# {cfg.filename}\n{cfg.pretty_text}')


if __name__ == '__main__':
    run_tool(main)
