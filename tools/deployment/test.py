"""Evaluates an exported file: COCO's average precision, as of a checkpoint.

    mmyolox test-export yolox_s.onnx --ann-file instances_val2017.json --img-prefix val2017/
    mmyolox test-export yolox-pose_s.onnx --config yolox-pose_s_8xb32-300e-rtmdet-hyp_coco

With ``--config`` the images, annotations and figures are those of the config's test data set. Keypoints are
evaluated too; without ``--config`` with COCO's sigmas for those of COCO's names, and their mean for others.
The file runs in its runtime.
"""

import argparse
from typing import TYPE_CHECKING

from mmyolox.tool_parser import ToolParser, add_cfg_options, add_verbose_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmengine.config import ConfigDict

    from mmyolox.deploy import ModelInfo


def parse_args() -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0], split='val')
    parser.add_argument('exported', help='a file that mmyolox export wrote')
    parser.add_argument('--ann-file', help="annotations in COCO's format")
    parser.add_argument('--img-prefix', help='the folder of its images')
    parser.add_argument('--config', help='a config file, or the name of one of ours, for its test data set')
    parser.add_argument('--threads', type=int, help="of the runtime; default: the runtime's choice")
    parser.add_argument('--batch-size', type=int, default=8, help='(default: %(default)s)')
    parser.add_argument('--out', help="keep the detections, in COCO's format: PREFIX.bbox.json")
    add_cfg_options(parser)
    add_verbose_option(parser)
    args = parser.parse_args()
    if bool(args.config) == bool(args.ann_file) or bool(args.ann_file) != bool(args.img_prefix):
        parser.error('give either --ann-file and --img-prefix, or --config')
    if args.cfg_options and not args.config:
        parser.error('--cfg-options needs --config')
    return args


def evaluation_data(args: argparse.Namespace, info: 'ModelInfo') -> 'tuple[ConfigDict, ConfigDict]':
    """The configs of the data set and of its metric, for a model."""
    from mmyolox.apis.evaluate import coco_data
    from mmyolox.checkpoints.record import FOLD
    from mmyolox.config import load_config, require
    from mmyolox.config.options import warn_of_validation_options

    if args.config:
        warn_of_validation_options(args.cfg_options or ())
        fold = dict(trained_fold=dict(zip(FOLD, info.fold, strict=True))) if info.fold else {}
        cfg = load_config(args.config, args.cfg_options, dict(classes=info.classes) | fold)
        require(cfg, 'test_dataloader', 'test_evaluator')
        return cfg.test_dataloader.dataset, cfg.test_evaluator
    return coco_data(info, args.ann_file, args.img_prefix)


def main() -> None:
    """Evaluates, and prints the figures."""
    args = parse_args()
    from mmengine.registry import init_default_scope

    from mmyolox.apis import ExportedDetector
    from mmyolox.apis.evaluate import evaluate, image_dataset
    from mmyolox.deploy import ExportedModel
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.files import check_target

    use_terminal(args.verbose)
    if args.out:
        check_target(f'{args.out}.bbox.json')
    model = ExportedModel(args.exported, args.threads, batch_size=args.batch_size)
    init_default_scope('mmyolox')
    data, metric = evaluation_data(args, model.info)
    if args.out:
        metric.outfile_prefix = args.out
    dataset = image_dataset(data, model.channels)
    figures = evaluate(ExportedDetector(model), dataset, metric, model.batch_size)
    for name, value in figures.items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    run_tool(main)
