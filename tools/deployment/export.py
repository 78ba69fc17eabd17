"""Exports a checkpoint to the file of another runtime, and checks that it computes the same.

    mmyolox export yolox_s
    mmyolox export yolox_s --form end2end --preprocess --dynamic batch
    mmyolox export yolox_s --format openvino --precision int8 --images photos/
    mmyolox export my_config.py my.pth --eval --ann-file val.json --img-prefix val/
    mmyolox export --list

The config may be left out: the size of the model and its source are recognised from the weights. The file
runs with ``mmyolox.deploy.ExportedModel``, which needs no torch, and with ``mmyolox predict`` in place of
a checkpoint. Every file is compared with PyTorch on images, and removed if it differs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.deploy.formats import FORMATS
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.export.formats import check_options, export_model, find_format, target_path, unavailable
from mmyolox.export.options import CHOICES, PRECISIONS, ExportOptions, Precision, calibration_files
from mmyolox.extensions import load_extensions
from mmyolox.files import some_images
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_unsafe_option, add_verbose_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmengine.config import ConfigDict

    from mmyolox.datasets import DetectionDataset
    from mmyolox.deploy import ModelInfo
    from mmyolox.deploy.formats import Format
    from mmyolox.export.inputs import Image
    from mmyolox.models import YOLODetector

_CHECKED_IMAGES = 8
"""So many of ``--images`` are compared."""
_FEW_IMAGES = 30
"""The number of images below which ranges for int8 are a matter of chance."""

ASCEND = dict(opset=11, focus='conv', dynamic_batch=False, dynamic_size=False, preprocess=False)
"""What Ascend's compiler ``atc`` takes of every version: fixed shapes and operators that it has."""


class ListFormats(argparse.Action):
    """Prints the formats and which of them can be had here, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Prints a line for each."""
        load_extensions()
        for entry in FORMATS.values():
            print(f'{entry.name:14}{unavailable(entry) or f"{entry.title}: can be had here"}')
        parser.exit()


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'config', nargs='?', help='a config file, or the name of one of ours; default: as the weights say'
    )
    parser.add_argument('checkpoint', help='the checkpoint file, its web address, or a name such as yolox_s')
    parser.add_argument(
        '--format', default='onnx', help='one of those that --list shows (default: %(default)s)'
    )
    parser.add_argument('--list', action=ListFormats, nargs=0, help='show what can be had on this machine')
    parser.add_argument(
        '--out',
        type=Path,
        help="the file; default: in the current folder, the checkpoint's name with the format's suffix",
    )
    _add_graph_options(parser)
    _add_threshold_options(parser)
    _add_data_options(parser)
    add_verbose_option(parser)
    add_unsafe_option(parser)
    add_cfg_options(parser)
    return parser.parse_intermixed_args(argv)


def pixels(text: str) -> Size:
    """Reads a height and width, ``480x640``, or one number for both."""
    height, cross, width = text.partition('x')
    try:
        return Size(width=int(width if cross else height), height=int(height))
    except ValueError as error:
        example = 'one number, or HEIGHTxWIDTH such as 480x640, is needed'
        raise argparse.ArgumentTypeError(f'{text!r}: {example}') from error


def _add_graph_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('the graph')
    group.add_argument(
        '--form',
        choices=CHOICES['form'],
        default='decoded',
        help="the predictions of all priors, as the network gives them (Megvii's layout) or in pixels, or "
        'detections (default: %(default)s)',
    )
    group.add_argument(
        '--size',
        type=pixels,
        metavar='PIXELS',
        help="of the input: HEIGHTxWIDTH, or one number for both; default: as trained, else the config's",
    )
    group.add_argument('--batch', type=int, default=1, help='images a run (default: %(default)s)')
    group.add_argument(
        '--dynamic',
        action='append',
        choices=('batch', 'size'),
        default=[],
        help='what may change from run to run; may be given twice',
    )
    group.add_argument(
        '--preprocess', action='store_true', help='take uint8 images of any size and letterbox them inside'
    )
    group.add_argument(
        '--colour', choices=CHOICES['colour'], default='bgr', help='that it takes (default: %(default)s)'
    )
    group.add_argument(
        '--focus',
        choices=CHOICES['focus'],
        default='conv',
        help='the stem, as an equal convolution or as slices of pixels (default: %(default)s)',
    )
    group.add_argument('--opset', type=int, help='version of the ONNX operators (default: 17; 11 for Ascend)')
    group.add_argument('--no-simplify', action='store_true', help='do not clean the ONNX graph with onnxslim')
    group.add_argument('--precision', choices=PRECISIONS, default='fp32', help='(default: %(default)s)')
    group.add_argument(
        '--ascend', action='store_true', help='ONNX that the compiler of Ascend takes: opset 11, fixed shapes'
    )


def _add_threshold_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('thresholds', "in end2end and the metadata; default: the config's")
    group.add_argument('--score-thr', type=float, help='a detection scores more')
    group.add_argument('--iou-thr', type=float, help='a detection overlaps better ones of its class less')
    group.add_argument('--max-per-img', type=int, help='detections of an image')
    group.add_argument('--nms-pre', type=int, help='candidates of an image before NMS; -1 for no limit')


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('data')
    group.add_argument(
        '--images', type=Path, help='a folder of photographs to calibrate int8 with and to check the file on'
    )
    group.add_argument(
        '--calibration-count', type=int, default=300, help='of --images, at most (default: %(default)s)'
    )
    group.add_argument('--eval', action='store_true', help="print COCO's AP of the file beside PyTorch's")
    group.add_argument('--ann-file', type=Path, help="for --eval, in COCO's format; default: the config's")
    group.add_argument('--img-prefix', type=Path, help='the folder of its images')


def read_options(args: argparse.Namespace, size: Size) -> ExportOptions:
    """What is to be exported, for an input of a size.

    Raises:
        UserError: Options contradict each other.
    """
    graph = dict(
        dynamic_batch='batch' in args.dynamic,
        dynamic_size='size' in args.dynamic,
        preprocess=args.preprocess,
        focus=args.focus,
        opset=args.opset or (ASCEND['opset'] if args.ascend else ExportOptions.opset),
    )
    if args.ascend and (graph != ASCEND or args.form == 'end2end' or args.format != 'onnx'):
        raise UserError(
            '--ascend: needed is --format onnx with --form raw or decoded, --focus conv and --opset 11, '
            'without --dynamic and --preprocess'
        )
    return ExportOptions(
        size,
        form=args.form,
        batch=args.batch,
        colour=args.colour,
        simplify=not args.no_simplify,
        precision=Precision(args.precision, args.images, args.calibration_count),
        score_thr=args.score_thr,
        iou_thr=args.iou_thr,
        max_per_img=args.max_per_img,
        nms_pre=args.nms_pre,
        **graph,
    )


def read_size(args: argparse.Namespace, model: 'YOLODetector') -> Size:
    """The input size: as given, else that of the config's test data, which is the recorded one."""
    if args.size is None:
        return Size(*model.cfg.test_dataloader.dataset.img_scale)
    recorded = model.input_record.img_scale
    if recorded not in (None, tuple(args.size)):
        (width, height), (own_width, own_height) = args.size, recorded
        print(
            f'--size {height}x{width} is used, although the checkpoint was trained for '
            f'{own_height}x{own_width} (height x width)'
        )
    return args.size


def images_to_check(args: argparse.Namespace, model: 'YOLODetector', size: Size) -> 'list[Image]':
    """Some of ``--images`` or of those to evaluate on, or made ones."""
    from mmyolox.export.inputs import made_images, photographs

    folder = args.images or args.img_prefix
    if folder is None:
        return made_images(size.shape_hw, model.input_channels)
    return list(photographs(model, some_images(folder, _CHECKED_IMAGES)))


def evaluation_data(
    args: argparse.Namespace, model: 'YOLODetector', info: 'ModelInfo'
) -> 'tuple[DetectionDataset, ConfigDict]':
    """The data set and the config of its metric: of the given files, else the config's for testing.

    Of a training of ours the config is the one that it saved beside its checkpoints, which names its data.
    """
    from mmyolox.apis.evaluate import coco_data, image_dataset
    from mmyolox.config import load_config
    from mmyolox.config.find import find_saved_config

    options = args.cfg_options or {}
    saved = find_saved_config(args.checkpoint, model.input_record.recipe)
    try:
        if args.ann_file:
            data, metric = coco_data(info, args.ann_file, args.img_prefix, model.dataset_meta)
        else:
            is_own = saved and args.config is None and 'data_root' not in options
            cfg = load_config(saved, options) if saved and is_own else model.cfg
            data, metric = cfg.test_dataloader.dataset, cfg.test_evaluator
        return image_dataset(data, model.input_channels), metric
    except UserError as error:
        hint = '' if args.ann_file else '; or give --ann-file and --img-prefix'
        raise UserError(f'--eval: {error}{hint}') from error


def print_ap(
    data: 'tuple[DetectionDataset, ConfigDict]', model: 'YOLODetector', path: Path, entry: 'Format'
) -> None:
    """The figures of PyTorch and of the exported file, side by side: AP of boxes, and of keypoints."""
    from mmyolox.apis import ExportedDetector
    from mmyolox.apis.evaluate import evaluate
    from mmyolox.deploy import ExportedModel
    from mmyolox.export.verify import reference_detector

    exported = ExportedModel(path)
    first, second = (
        evaluate(detector, *data)
        for detector in (reference_detector(model, exported.info), ExportedDetector(exported))
    )
    print(f'{"":20}{"PyTorch":>10}{entry.name:>14}{"difference":>12}')
    for key, value in first.items():
        print(f'{key.rpartition("/")[2]:20}{value:10.3f}{second[key]:14.3f}{second[key] - value:+12.3f}')


def warn_of_few_images(precision: Precision) -> None:
    """Prints a line if int8 was calibrated on so few images that others may fall out of its ranges."""
    if precision.name != 'int8':
        return
    count = len(calibration_files(precision))
    if count < _FEW_IMAGES:
        print(f'calibrated on {count} images only: some hundred like those to come keep more of the AP')


def check_data_options(args: argparse.Namespace) -> None:
    """Raises a ``UserError`` for data options that miss or contradict one another, or a missing file."""
    if (args.ann_file is None) != (args.img_prefix is None):
        raise UserError('--ann-file and --img-prefix: give both or neither')
    if args.ann_file is not None and not args.eval:
        raise UserError('--ann-file: it is read with --eval only; add that')
    if args.ann_file is not None and not args.ann_file.is_file():
        raise UserError(f'--ann-file {args.ann_file}: there is no such file')
    for name, path in (('--images', args.images), ('--img-prefix', args.img_prefix)):
        if path is not None and not path.is_dir():
            raise UserError(f'{name} {path}: there is no such folder')


def main() -> None:
    """Exports, checks, and evaluates if asked to."""
    args = parse_args()
    entry = find_format(args.format)
    check_data_options(args)
    # All but the size is known before the model is loaded.
    check_options(entry, read_options(args, Size(0, 0)))
    path = target_path(entry, args.out or Path(Path(args.checkpoint).stem))
    from mmyolox.apis import init_detector
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.export.description import describe
    from mmyolox.export.verify import verify

    use_terminal(args.verbose)
    model = init_detector(args.config, args.checkpoint, 'cpu', args.cfg_options, args.allow_unsafe_checkpoint)
    options = read_options(args, read_size(args, model))
    info = describe(model, options)
    data = evaluation_data(args, model, info) if args.eval else None
    images = images_to_check(args, model, options.size)
    path = export_model(entry, model, path, options)
    width, height = options.size
    print(f'{path}: {entry.title}, {options.form}, {height}x{width} (height x width)')
    warn_of_few_images(options.precision)
    reason = entry.unrunnable()
    if reason:
        print(f'not verified: {reason}')
        return
    report = verify(model, path, options, images)
    print(f'checked against PyTorch: {report.describe()}')
    if not report.objects:
        print('nothing was found in these images: photographs, given with --images, say more')
    if data:
        print_ap(data, model, path, entry)


if __name__ == '__main__':
    run_tool(main)
