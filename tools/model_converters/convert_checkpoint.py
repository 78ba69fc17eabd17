"""Converts YOLOX weights of any framework to this project's checkpoint layout, and ours to Megvii's.

    mmyolox convert yolox_s.pth yolox_s_mmyolox.pth
    mmyolox convert epoch_300.pth yolox_s_megvii.pth --to megvii

Where the weights come from, and which model they are, is seen from them: Megvii's YOLOX, MMYOLO,
MMDetection, MMPose, SuperGradients, MindYOLO and MindSpore's model zoo, and ONNX files of Megvii's exporter.
Prints what became of every tensor of the file. The result is written only when all of them are used and none
is missing, or under ``--allow-partial``. Where a file holds the moving average of the weights beside the raw
ones, the average is taken; optimizers are left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError, first_few
from mmyolox.files import check_target
from mmyolox.tool_parser import add_unsafe_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.checkpoints.convert import Conversion
    from mmyolox.checkpoints.record import InputRecord
    from mmyolox.config.recorded import Normalisation

_SUFFIXES = ('.pth', '.pt', '.safetensors')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'src',
        help='the weights: .pth, .safetensors, .ckpt of MindSpore, .onnx; their web address, or a name such '
        'as yolox_s',
    )
    parser.add_argument('dst', type=Path, help='the checkpoint to write, .pth or .safetensors')
    parser.add_argument(
        '--from',
        dest='source',
        metavar='NAME',
        help='where the weights come from, if that is not recognised: megvii, mmyolo, mmdet, mmpose, '
        'super-gradients, mindspore or onnx',
    )
    parser.add_argument(
        '--to',
        choices=('mmyolox', 'megvii'),
        default='mmyolox',
        help='whose layout to write (default: %(default)s)',
    )
    parser.add_argument(
        '--allow-partial', action='store_true', help='write even when tensors are unused or missing'
    )
    parser.add_argument('--list', action='store_true', help='print the new name of every used tensor')
    add_unsafe_option(parser)
    return parser.parse_args()


def main() -> None:
    """Converts one file."""
    args = parse_args()
    check_destination(Path(args.src), args.dst)
    from mmyolox.checkpoints.classes import names_of, recorded_data
    from mmyolox.checkpoints.convert import convert
    from mmyolox.checkpoints.load import load_checkpoint, weights_in
    from mmyolox.checkpoints.published import checkpoint_file
    from mmyolox.checkpoints.record import read_record
    from mmyolox.engine.terminal import use_terminal

    use_terminal()
    src = checkpoint_file(args.src)
    old = load_checkpoint(src, allow_unsafe=args.allow_unsafe_checkpoint)
    tensors, others = weights_in(old, str(src))
    try:
        conversion = convert(tensors, args.source)
        record = read_record(old, conversion.state_dict, str(src))
        recorded = recorded_data(old, conversion.state_dict, str(src))
        content = checkpoint(src, conversion, recorded, record, args.to)
    except UserError as error:
        raise UserError(f'{src}: {error}') from error
    print(summary(src, conversion, others, args.list))
    names = first_few(names_of(recorded), 5) or 'not named in the file; tools assume names, and say so'
    print(f'  classes              {names}')
    if record.normalisation and record.normalisation.mean:
        told = 'as the weights tell' if record.is_guess else 'as recorded'
        note = images_note(args.to, record.normalisation)
        print(f'  images               normalised, {told}: {record.normalisation}; {note}')
    faults = len(conversion.unused) + len(conversion.missing)
    if faults and not args.allow_partial:
        raise UserError(
            f'{src}: {len(conversion.unused)} tensors unused and {len(conversion.missing)} missing, '
            'nothing written; --allow-partial writes the rest'
        )
    save(args.dst, content)
    print(f'written: {args.dst}')


def check_destination(src: Path, dst: Path) -> None:
    """Raises a ``UserError`` if the result cannot be called ``dst``."""
    if dst.is_dir():
        raise UserError(f'{dst} is a folder; name the file to write')
    if dst.suffix not in _SUFFIXES:
        raise UserError(
            f'{dst}: the result is a checkpoint, whose name must end in {first_few(_SUFFIXES)}; other '
            'formats are written by mmyolox export'
        )
    if dst.exists() and src.exists() and dst.samefile(src):
        raise UserError(f'{dst} is the file to convert itself; choose another name for the result')
    check_target(dst)


def summary(src: Path, conversion: Conversion, others: tuple[str, ...], list_used: bool) -> str:
    """Accounts for every tensor of the file, and for every one that the model needs."""
    used = conversion.used_names
    parts = Counter(new.split('.')[0] for new in conversion.used)
    total = len(used) + len(conversion.unused) + len(conversion.dropped)
    lines = [
        f'{src}: {conversion.source.title}',
        f'  model                {conversion.architecture.describe()}',
        f'  tensors in the file  {total}',
        f'  used                 {len(used)} (' + ', '.join(f'{k} {n}' for k, n in parts.items()) + ')',
        *(f'    {old} -> {new}' for new, old in conversion.used.items() if list_used),
        f'  unused               {len(conversion.unused)}',
        *(f'    {name}: {reason}' for name, reason in conversion.unused.items()),
        f'  missing              {len(conversion.missing)}',
        *(f'    {name}' for name in conversion.missing),
    ]
    for reason, count in Counter(conversion.dropped.values()).items():
        lines.append(f'  not needed           {count} ({reason})')
    counters = sum(
        name.endswith('.num_batches_tracked') for name in conversion.state_dict if name not in conversion.used
    )
    if counters:
        lines.append(f'  counters set to 0    {counters}')
    if others:
        lines.append(f'  other entries, not converted: {", ".join(others)}')
    return '\n'.join(lines)


def images_note(layout: str, pixels: Normalisation) -> str:
    """What is to be known of a file whose images must be normalised."""
    from mmyolox.checkpoints.record import IMAGENET

    if layout == 'megvii' and pixels == IMAGENET:
        return "Megvii's tools feed such weights with --legacy"
    if layout == 'megvii':
        return "Megvii's tools have no such images: prepare them so yourself"
    return 'recorded in the checkpoint; all tools that load it follow'


def checkpoint(
    src: Path, conversion: Conversion, recorded: dict[str, Any], record: InputRecord, layout: str
) -> dict[str, Any]:
    """The content of the new file: plain types only, so that it loads with ``weights_only=True``."""
    from mmyolox.checkpoints.recognise import config_for
    from mmyolox.checkpoints.record import GREY_LEVELS, KEY, InputRecord
    from mmyolox.checkpoints.sources.megvii import to_megvii
    from mmyolox.config import load_config
    from mmyolox.config.recorded import other_settings

    if layout == 'megvii':
        published, _ = config_for(conversion.architecture)
        others = other_settings(record.network, load_config(published))
        if others:
            told = first_few(f'{path}={theirs}, not {value}' for path, (theirs, value) in others.items())
            raise UserError(f"Megvii's YOLOX has no such network: {told}")
        return dict(model=to_megvii(conversion.state_dict))
    architecture = asdict(conversion.architecture)
    meta = dict(source=src.name, converted_from=conversion.source.title, architecture=architecture)
    if recorded:
        meta['dataset_meta'] = recorded
    if record != InputRecord() and not (record.is_guess and record.normalisation == GREY_LEVELS):
        meta[KEY] = record.to_meta()
    return dict(state_dict=conversion.state_dict, meta=meta)


def save(dst: Path, content: dict[str, Any]) -> None:
    """Writes the whole file or nothing."""
    import io

    import torch

    from mmyolox.checkpoints.safetensors_file import write_checkpoint
    from mmyolox.files import atomic_write

    if dst.suffix == '.safetensors':
        write_checkpoint(dst, content.get('state_dict') or content['model'], content.get('meta', {}))
        return
    # Through memory: PyTorch's own writer of files may end the process when the disk is full.
    whole = io.BytesIO()
    torch.save(content, whole)
    with atomic_write(dst) as part:
        part.write_bytes(whole.getbuffer())


if __name__ == '__main__':
    run_tool(main)
