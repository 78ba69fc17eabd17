"""Finds what is wrong with a data set, before a training does.

    mmyolox doctor my_data/
    mmyolox doctor yolox_s --cfg-options data_root=my_data/
    mmyolox doctor annotations.json --img-dir photos/
    mmyolox doctor my_data/ --fix cleaned/

Reads COCO's format, YOLO's and Pascal VOC's, as they are written.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError, did_you_mean, printable
from mmyolox.tool_parser import ToolParser, add_cfg_options
from mmyolox.utils.cli import run_tool
from mmyolox.version import __version__

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmyolox.doctor.diagnosis import Diagnosis
    from mmyolox.doctor.examined import Plan
    from mmyolox.doctor.raw import RawData

_SIZE = (640, 640)
_FAILED = 2
"""The exit status of a wrong call, that of argparse."""
_STATUSES = (
    'exit status: 0 if no error is found in the data, 1 if there is one, 2 if they could not be examined: '
    'a path is wrong, a file cannot be read or written, an option is not known'
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0], epilog=_STATUSES)
    parser.add_argument(
        'data',
        metavar='DATA_OR_CONFIG',
        help='the folder of a data set, an annotation file of COCO, or a config, by its file or its name',
    )
    parser.add_argument('--img-dir', type=Path, metavar='DIR', help="the images of COCO's annotation file")
    parser.add_argument(
        '--img-scale',
        type=int,
        nargs='+',
        metavar='SIDE',
        help='the width and height of the network input, or one side for both; default: that of the config, '
        'or 640',
    )
    parser.add_argument(
        '--headers', action='store_true', help='read the headers of images alone: fast, and no pixel is seen'
    )
    parser.add_argument(
        '--ignore', nargs='+', default=[], metavar='CHECK', help='checks that are not to be made'
    )
    parser.add_argument(
        '--shown', type=int, default=3, help='how many cases of each finding are told (default: %(default)s)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the findings as JSON')
    parser.add_argument(
        '--html', type=Path, metavar='FILE', help='write a page with pictures of the worst cases'
    )
    parser.add_argument(
        '--fix',
        type=Path,
        metavar='DIR',
        help="write a cleaned copy in COCO's layout, and what was changed; the data stay as they are",
    )
    parser.add_argument(
        '--images',
        choices=('link', 'copy'),
        default='link',
        help='how the images of the cleaned copy are made (default: %(default)s)',
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def read_data(args: argparse.Namespace) -> tuple[RawData, Plan]:
    """Reads what the command line names, and what is planned with it."""
    from mmyolox.config import load_config
    from mmyolox.datasets.layouts.layout import Contents
    from mmyolox.doctor.reading import config_sources, other_layouts, read_sources
    from mmyolox.engine.progress_line import with_progress

    path = Path(args.data)
    is_file = path.suffix.lower() == '.json'
    if args.img_dir and not is_file:
        raise UserError(f'--img-dir {args.img_dir}: it is for an annotation file of COCO, and {path} is none')
    if is_file and not path.is_file():
        raise UserError(f'{path}: there is no such annotation file')
    if is_file and args.cfg_options:
        raise UserError(f'--cfg-options is for a config or a folder of data, and {path} is a file')
    if is_file or (path.is_dir() and not args.cfg_options):
        return read_alone(args, path, is_file)
    options = args.cfg_options or {}
    if path.is_dir():
        options = dict(data_root=args.data) | options
    config = named_config('yolox_s' if path.is_dir() else args.data)
    cfg = load_config(config, options)
    notes = [cfg.data_layout] if cfg.get('data_layout') else []
    sources = config_sources(cfg)
    is_recognised = bool(notes) and cfg.get('data_format') is None and cfg.get('train_ann_file') is None
    others = other_layouts(Contents.of(sources[0].root), sources[0].format) if is_recognised else []
    return read_sources(args.data, sources, notes, others, with_progress), plan_of(args, cfg)


def named_config(name: str) -> Path:
    """The config of a name; what is none may be meant for data."""
    from mmyolox.config.find import find_config
    from mmyolox.files import is_archive

    path = Path(name)
    try:
        return find_config(name, 'custom')
    except UserError as error:
        if not path.is_file():
            raise UserError(f'there is no folder {name}, and {error}') from None
    advice = 'unpack it, and name the folder' if is_archive(path) else f'name its folder, {path.parent}'
    raise UserError(f'{path} is no config, nor an annotation file of COCO: {advice}')


def read_alone(args: argparse.Namespace, path: Path, is_file: bool) -> tuple[RawData, Plan]:
    """Reads data without a config; the usual fine-tuning is planned, what depends on the data left open."""
    from mmengine.config import Config

    from mmyolox.doctor.reading import file_source, folder_sources, read_sources
    from mmyolox.engine.progress_line import with_progress

    plan = plan_of(args, Config.fromfile(named_config('yolox_s')))
    named = ([file_source(path, args.img_dir)], (), []) if is_file else folder_sources(path)
    return read_sources(args.data, *named, with_progress), plan


def plan_of(args: argparse.Namespace, cfg: Config) -> Plan:
    """The training that a config plans, at the size of the command line if it says one."""
    from mmyolox.doctor.examined import Plan

    return Plan(scale_of(args.img_scale) or tuple(cfg.get('img_scale', _SIZE)), cfg.to_dict())


def scale_of(sides: Sequence[int] | None) -> tuple[int, int] | None:
    """The input size of ``--img-scale``."""
    if sides is None:
        return None
    if len(sides) > 2 or min(sides) < 1:
        raise UserError(f'--img-scale {" ".join(map(str, sides))}: give width and height in pixels')
    return sides[0], sides[-1]


def examine(args: argparse.Namespace) -> Diagnosis:
    """Reads the data and makes the checks."""
    from mmyolox.doctor.checks import CHECKS
    from mmyolox.doctor.diagnosis import diagnose
    from mmyolox.doctor.examined import Examined
    from mmyolox.doctor.files import read_headers
    from mmyolox.doctor.pixels import read_pixels
    from mmyolox.engine.progress_line import with_progress

    for name in args.ignore:
        if name not in CHECKS:
            raise UserError(f'--ignore {name}: there is no such check{did_you_mean(name, CHECKS)}')
    raw, plan = read_data(args)
    files = read_headers(raw.images.paths, with_progress)
    pixels = None if args.headers else read_pixels(raw.images.paths, files, with_progress)
    data = Examined(raw, files, plan, pixels)
    return diagnose(data, (check for name, check in CHECKS.items() if name not in args.ignore))


def write_json(path: Path, content: Any) -> None:
    """Writes JSON in UTF-8."""
    from mmyolox.files import atomic_write

    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding='utf-8')


def fix(diagnosis: Diagnosis, folder: Path, copies: bool) -> str:
    """Writes the cleaned copy; what was changed and what is left, in lines."""
    from mmyolox.doctor.cleaned import check_new_folder, write_cleaned
    from mmyolox.doctor.mending import mend
    from mmyolox.engine.progress_line import with_progress

    for split in diagnosis.data.raw.splits:
        check_new_folder(folder, Path(split.folder))
    mended = mend(diagnosis)
    written = write_cleaned(mended, folder, copies, with_progress)
    counts = Counter(change.check for change in mended.changes)
    done = ', '.join(f'{name} {count}' for name, count in counts.items()) or 'nothing to change'
    left = [finding.check.name for finding in diagnosis.findings if finding.check.name not in counts]
    lines = [
        f'fixed     {folder}: {done}; see changes.txt there',
        f'left      {", ".join(left) or "nothing"}',
    ]
    if not written:
        lines.append('note      no image is left, so that there are no data in it')
    elif 'train' not in written:
        files = ', '.join(map(str, written.values()))
        lines.append(f'note      it has no split train; examine it by {files}')
    return '\n'.join(lines)


def main() -> int:
    """Examines the data and tells what was found."""
    args = parse_args()
    from mmyolox.doctor.as_json import as_json
    from mmyolox.doctor.cleaned import check_new_folder
    from mmyolox.doctor.page import page_of
    from mmyolox.doctor.text import describe
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.files import check_target
    from mmyolox.pages import require_packages

    use_terminal()
    if args.shown < 0:
        raise UserError(f'--shown {args.shown}: give the number of cases, 0 or more')
    for target in filter(None, (args.json, args.html)):
        check_target(target)
    if args.html:
        require_packages()
    if args.fix:
        check_new_folder(args.fix, Path(args.data))
    diagnosis = examine(args)
    print(describe(diagnosis, args.shown, min(100, shutil.get_terminal_size().columns)))
    if args.json:
        write_json(args.json, as_json(diagnosis))
    if args.html:
        page_of(diagnosis, f'mmyolox {__version__}').write(args.html)
    if args.fix:
        print(printable(f'\n{fix(diagnosis, args.fix, args.images == "copy")}'))
    return int(diagnosis.has_errors)


if __name__ == '__main__':
    run_tool(main, _FAILED)
