"""Plots the losses and the validation APs of a training.

    mmyolox curves work_dirs/yolox_s_fast_1xb8-50e_custom

A training does so itself, after each validation. The runs of a work dir that was resumed are joined.
"""

import argparse
from pathlib import Path

from mmyolox.curves import plot_curves, read_curves
from mmyolox.utils.cli import run_tool


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('work_dir', type=Path, help='where the training wrote its logs')
    parser.add_argument('--out', type=Path, help='the picture; default: curves.png in the work dir')
    return parser.parse_args()


def main() -> None:
    """Reads the curves, plots them and says where."""
    args = parse_args()
    out = args.out or args.work_dir / 'curves.png'
    curves = read_curves(args.work_dir)
    plot_curves(curves, out, title=args.work_dir.resolve().name)
    print(f'{len(curves.losses)} losses and {len(curves.metrics)} APs: {out}')


if __name__ == '__main__':
    run_tool(main)
