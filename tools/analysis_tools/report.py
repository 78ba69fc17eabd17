"""Reports what a model does wrong, or what got better and worse between several, as an HTML page.

    mmyolox report work_dirs/yolox_s_fast_1xb8-50e_custom
    mmyolox report work_dirs/a work_dirs/b
    mmyolox report yolox_nano --cfg-options data_root=my_data/
    mmyolox report found.bbox.json --ann-file instances.json --img-prefix images/

Of a training, what was detected in its best validation is analysed, where that is kept, else its best
checkpoint is run. A checkpoint or an exported file is run on the validation data. Detections may be those of
any program. Several are each compared with the first. The page is one file that works offline.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmyolox.errors import UserError, counted, one_line
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_unsafe_option, add_verbose_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.analysis import Analysis
    from mmyolox.report.run import Run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0], split='val')
    parser.add_argument(
        'sources',
        nargs='+',
        metavar='source',
        help='the work dir of a training; a checkpoint, its web address, or a name such as yolox_s; an '
        "exported file; or detections in COCO's result format (.json)",
    )
    parser.add_argument('--out', type=Path, help='the page; default: beside what is reported')
    parser.add_argument(
        '--config',
        help='a config file, or the name of one of ours, for the data; default: that of the training',
    )
    parser.add_argument('--ann-file', help="the annotations in COCO's format, where no config is named")
    parser.add_argument('--img-prefix', help='the folder of their images')
    parser.add_argument('--split', choices=('val', 'test'), default='val', help='(default: %(default)s)')
    parser.add_argument(
        '--export-labels',
        metavar='DIR',
        type=Path,
        help="write the labels that are likely wrong into this folder, for CVAT and in COCO's format",
    )
    parser.add_argument(
        '--group-by',
        default='folder',
        metavar='FIELD',
        help="group the images by folder, or by a field of theirs in COCO's file (default: %(default)s)",
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: the accelerator, if there is one')
    parser.add_argument('--batch-size', type=int, default=8, help='(default: %(default)s)')
    add_verbose_option(parser)
    add_unsafe_option(parser)
    add_cfg_options(parser)
    args = parser.parse_intermixed_args(argv)
    if args.config and args.ann_file:
        parser.error('give either --config or --ann-file')
    if args.img_prefix and not args.ann_file:
        parser.error('--img-prefix needs --ann-file')
    if args.batch_size < 1:
        parser.error('--batch-size: at least 1 is needed')
    if args.export_labels and len(args.sources) > 1:
        parser.error('--export-labels is for one model')
    return args


def options_of(args: argparse.Namespace) -> dict[str, object]:
    """The options of the config, those of the annotation file among them."""
    from mmyolox.datasets.splits import SPLITS

    options = dict(args.cfg_options or {})
    if args.ann_file:
        path = os.path.abspath(args.ann_file)
        # Where nothing names the folder of the images, their names begin at that of the annotations.
        images = os.path.abspath(args.img_prefix or os.path.dirname(args.ann_file))
        for split in SPLITS:  # a config may ask for all of them
            options |= {f'{split}_ann_file': path, f'{split}_img_prefix': os.path.join(images, '')}
    return options


def page_path(args: argparse.Namespace) -> Path:
    """Where the page goes: beside what is reported, in this folder where several are, or weights by name."""
    if args.out:
        return args.out
    if len(args.sources) > 1:
        return Path('comparison.html')
    source = Path(args.sources[0])
    if source.is_dir():
        return source / 'report.html'
    stem = source.name.removesuffix('.json').removesuffix('.bbox')
    return (source.parent if source.exists() else Path()) / f'{Path(stem).stem}.report.html'


def distinct_names(runs: 'Sequence[Run]', sources: Sequence[str]) -> 'list[Run]':
    """Runs of which no two are called alike: else by what was given."""
    from dataclasses import replace

    names = [run.name for run in runs]
    distinct = []
    for run, source in zip(runs, sources, strict=True):
        if names.count(run.name) > 1:
            run = replace(run, name=one_line(source))
        if run.analysis is not None:
            case = replace(run.analysis.case, name=run.name)
            run = replace(run, analysis=replace(run.analysis, case=case))
        distinct.append(run)
    return distinct


def export_labels(analysis: 'Analysis', folder: Path) -> None:
    """Writes the labels that are likely wrong; no files where there are none."""
    from mmyolox.analysis.export_suspects import image_folder, write_coco, write_cvat

    files = folder / 'suspects.json', folder / 'suspects.xml'
    if not analysis.suspects:
        earlier = [str(path) for path in files if path.exists()]
        told = f' ({" and ".join(earlier)}: of an earlier report)' if earlier else ''
        print(one_line(f'labels: none is suspicious, so that no file is written{told}'))
        return
    write_coco(files[0], analysis)
    write_cvat(files[1], analysis)
    images = image_folder(analysis) or os.curdir
    print(one_line(f'labels: {counted(len(analysis.suspects), "suspect")}: {folder}, of images in {images}'))


def main() -> None:
    """Collects what is to be reported, analyses it, and writes the page."""
    args = parse_args()
    from mmyolox.files import check_folder, check_target

    path = page_path(args)
    check_target(path)
    if args.export_labels:
        check_folder(args.export_labels)
    from report_sources import Wanted, run_of

    from mmyolox.engine.terminal import use_terminal
    from mmyolox.pages import require_packages
    from mmyolox.report.comparison import comparison_page
    from mmyolox.report.page import report_page

    use_terminal(args.verbose)
    require_packages('hotcoco')
    wanted = Wanted(
        args.config,
        options_of(args),
        args.split,
        args.group_by,
        args.device,
        args.batch_size,
        args.allow_unsafe_checkpoint,
    )
    runs = distinct_names([run_of(source, wanted) for source in args.sources], args.sources)
    if args.export_labels:
        if runs[0].analysis is None:
            raise UserError(f'--export-labels: {runs[0].origin}')
        export_labels(runs[0].analysis, args.export_labels)
    page = report_page(runs[0]) if len(runs) == 1 else comparison_page(runs)
    page.write(path)
    print(f'report: {one_line(str(path))}')


if __name__ == '__main__':
    run_tool(main)
