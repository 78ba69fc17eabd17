"""Evaluates an exported file: COCO's average precision, as ``tools/test.py`` reports that of a checkpoint.

    python tools/deployment/test.py yolox_s.onnx --ann-file instances_val2017.json --img-prefix val2017/
    python tools/deployment/test.py yolox-pose_s.onnx --config yolox-pose_s_8xb32-300e-rtmdet-hyp_coco

With ``--config`` the images, annotations and figures are those of the config's test data set: needed for
keypoints. The file runs in its runtime (ONNX Runtime or OpenVINO) on the CPU.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmyolox.utils.cli import add_cfg_options, run_tool
from mmyolox.utils.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from mmdet.structures import DetDataSample
    from mmengine.config import ConfigDict
    from numpy.typing import NDArray

    from mmyolox.datasets import DetectionDataset
    from mmyolox.deploy import ExportedModel

_WORKERS = 4
"""Threads that decode images while the network is at work."""


def parse_args() -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = argparse.ArgumentParser(description='Evaluate an exported file on a data set.')
    parser.add_argument('exported', help='an .onnx file, or an .xml file of OpenVINO')
    parser.add_argument('--ann-file', help="annotations in COCO's format")
    parser.add_argument('--img-prefix', help='the folder of its images')
    parser.add_argument('--config', help='a config file, or the name of one of ours, for its test data set')
    parser.add_argument('--threads', type=int, help="of the runtime; default: the runtime's choice")
    parser.add_argument('--batch-size', type=int, default=8, help='(default: %(default)s)')
    parser.add_argument('--out', help="keep the detections, in COCO's format: PREFIX.bbox.json")
    add_cfg_options(parser)
    args = parser.parse_args()
    if bool(args.config) == bool(args.ann_file) or bool(args.ann_file) != bool(args.img_prefix):
        parser.error('give either --ann-file and --img-prefix, or --config')
    if args.cfg_options and not args.config:
        parser.error('--cfg-options needs --config')
    return args


def describe_data(args: argparse.Namespace, classes: tuple[str, ...]) -> 'tuple[ConfigDict, ConfigDict]':
    """The configs of the data set and of its metric, for a model of these classes."""
    from mmengine.config import ConfigDict

    from mmyolox.utils.config import load_config

    if args.config:
        cfg = load_config(args.config, args.cfg_options, dict(classes=classes))
        return cfg.test_dataloader.dataset, cfg.test_evaluator
    dataset = ConfigDict(
        type='YOLOXCocoDataset',
        metainfo=dict(classes=classes),
        ann_file=args.ann_file,
        data_prefix=dict(img=args.img_prefix),
        pipeline=[dict(type='LoadImage', tolerant=True)],
        img_scale=(640, 640),  # not read: nothing is resized
        test_mode=True,
    )
    return dataset, ConfigDict(type='YOLOXCocoMetric', ann_file=args.ann_file, proposal_nums=(100, 1, 10))


def build_dataset(cfg: 'ConfigDict', is_grey: bool) -> 'DetectionDataset':
    """The data set, whose samples are images as they were read."""
    from mmyolox.registry import DATASETS

    loading = cfg.pipeline[0]
    if loading.type != 'LoadImage':
        raise UserError(f'the test pipeline begins with {loading.type}; it must begin with LoadImage')
    color_type = 'grayscale' if is_grey else 'color'
    return DATASETS.build(dict(cfg, pipeline=[dict(loading, color_type=color_type)]))


def predictions(
    model: 'ExportedModel', dataset: 'DetectionDataset', batch_size: int
) -> 'Iterator[DetDataSample]':
    """What the model finds in the images of a data set, under their ids there."""
    from mmyolox.predictor import detect_exported
    from mmyolox.utils.threads import map_ahead

    def read(index: int) -> 'NDArray[np.uint8]':
        return dataset[index]['img']

    images = map_ahead(read, ((index,) for index in range(len(dataset))), _WORKERS, 2 * batch_size)
    for index, sample in enumerate(detect_exported(model, images, batch_size)):
        sample.set_metainfo(dict(img_id=dataset.get_data_info(index)['img_id']))
        yield sample


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """The figures by name; the metric also logs its tables."""
    from mmengine.evaluator import Evaluator
    from mmengine.registry import init_default_scope
    from mmengine.utils import track_iter_progress

    from mmyolox.deploy import ExportedModel

    model = ExportedModel(args.exported, args.threads, batch_size=args.batch_size)
    init_default_scope('mmyolox')
    dataset_cfg, metric = describe_data(args, model.info.classes)
    if args.out:
        metric.outfile_prefix = args.out
    dataset = build_dataset(dataset_cfg, is_grey=model.channels == 1)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    found = predictions(model, dataset, model.batch_size)
    for sample in track_iter_progress((found, len(dataset)), file=sys.stderr):
        evaluator.process([sample])
    return evaluator.evaluate(len(dataset))


def main() -> None:
    """Evaluates, and prints the figures."""
    for name, value in evaluate(parse_args()).items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    run_tool(main)
