"""Converts weights of Megvii's YOLOX (all sizes, DarkNet53, Nano) to this project's checkpoint layout.

    python tools/model_converters/yolox_to_mmyolox.py yolox_s.pth yolox_s_mmyolox.pth

Prints what became of every tensor of the file. The result is written only when all of them are used and
none is missing, or under ``--allow-partial``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.utils import UserError
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.utils.megvii import Conversion


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', type=Path, help="Megvii's .pth")
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument(
        '--allow-partial', action='store_true', help='write even when tensors are unused or missing'
    )
    parser.add_argument('--list', action='store_true', help='print the new name of every used tensor')
    parser.add_argument(
        '--allow-unsafe-checkpoint',
        action='store_true',
        help='read a file that holds more than weights; it can run code, so trust its origin',
    )
    return parser.parse_args()


def main() -> None:
    """Converts one file."""
    args = parse_args()
    from mmyolox.utils.megvii import convert, read_checkpoint

    state_dict, others = read_checkpoint(args.src, args.allow_unsafe_checkpoint)
    try:
        conversion = convert(state_dict)
    except UserError as error:
        raise UserError(f'{args.src}: {error}') from error
    print(summary(args.src, conversion, others, args.list))
    faults = len(conversion.unused) + len(conversion.missing)
    if faults and not args.allow_partial:
        raise UserError(
            f'{args.src}: {len(conversion.unused)} tensors unused and {len(conversion.missing)} missing, '
            'nothing written; --allow-partial writes the rest'
        )
    save(args.dst, checkpoint(args.src, conversion))
    print(f'written: {args.dst}')


def summary(src: Path, conversion: Conversion, others: tuple[str, ...], list_used: bool) -> str:
    """Accounts for every tensor of the file, and for every one that the model needs."""
    model = conversion.architecture
    used = conversion.used
    parts = Counter(new.split('.')[0] for new in used.values())
    lines = [
        f'{src}: YOLOX-{model.name}, deepen_factor {model.deepen_factor:g}, '
        f'widen_factor {model.widen_factor:g}, use_depthwise {model.use_depthwise}, '
        f'{model.num_classes} classes, {model.input_channels} image channels',
        f'  tensors in the file  {len(used) + len(conversion.unused)}',
        f'  used                 {len(used)} (' + ', '.join(f'{k} {n}' for k, n in parts.items()) + ')',
        *(f'    {old} -> {new}' for old, new in used.items() if list_used),
        f'  unused               {len(conversion.unused)}',
        *(f'    {name}: {reason}' for name, reason in conversion.unused.items()),
        f'  missing              {len(conversion.missing)}',
        *(f'    {name}' for name in conversion.missing),
        f'  counters set to 0    {len(conversion.state_dict) - len(used)}',
    ]
    if others:
        lines.append(f'  other entries, not converted: {", ".join(others)}')
    return '\n'.join(lines)


def checkpoint(src: Path, conversion: Conversion) -> dict[str, Any]:
    """The content of the new file: plain types only, so that it loads with ``weights_only=True``."""
    meta = dict(source=src.name, converted_from='Megvii YOLOX', architecture=asdict(conversion.architecture))
    return dict(state_dict=conversion.state_dict, meta=meta)


def save(dst: Path, content: dict[str, Any]) -> None:
    """Writes the whole file or nothing."""
    import torch

    from mmyolox.utils.atomic import atomic_write

    try:
        with atomic_write(dst) as part:
            torch.save(content, part)
    except (OSError, RuntimeError) as error:  # PyTorch's writer reports a full disk as the latter
        raise UserError(f'{dst} cannot be written: {str(error).splitlines()[0]}') from error


if __name__ == '__main__':
    run_tool(main)
