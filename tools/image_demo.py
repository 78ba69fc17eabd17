"""Finds objects in an image, in all images under a folder, or in a video.

    mmyolox predict photos/ yolox_s --out-dir outputs

The path of a checkpoint may stand there as well: ``yolox_s`` are published weights, which are downloaded
(``mmyolox weights`` lists such names). Which model a checkpoint holds is seen from it; a config is needed for
what weights do not tell, such as another size of the network's input (``mmyolox predict photos/ CONFIG
yolox_s``). Instead of a checkpoint it may be an exported file (``.onnx``, OpenVINO's ``.xml``, ...), which
its runtime runs.

``outputs`` gets a picture for every image, under the image's name (``a.npy.png`` for the array ``a.npy``),
with what was found drawn by the config's visualizer; and ``predictions.json``, a list in the form of COCO's
results: ``dict(image_id, file_name, label, class_name, category_id, bbox, score)``, with ``bbox`` as x, y,
width, height in pixels of the image, and for pose models ``keypoints``. Folders that are links are not
entered.

For a video there is a video with the same frame rate and without sound (MPEG-4, ``.mp4``), and every entry
has ``frame``, counted from 0.
"""

import argparse
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError, counted
from mmyolox.files import PICTURE_SUFFIXES, check_folder
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_unsafe_option, add_verbose_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    import numpy as np
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    from numpy.typing import NDArray

    from mmyolox.apis import Detector
    from mmyolox.apis.thresholds import Thresholds
    from mmyolox.deploy.letterbox import Image

Entry = dict[str, Any]

DEFAULT_WEIGHTS = 'yolox_nano'
VIDEO_SUFFIXES = frozenset({'.mp4', '.avi', '.mov', '.mkv', '.webm'})


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('input', type=Path, help='an image, a folder that is searched for images, or a video')
    parser.add_argument(
        'config',
        nargs='?',
        help="a config file, or the name of one of ours; default: the config of the checkpoint's model",
    )
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='the checkpoint file, its web address, or a name such as yolox_s; or an exported file '
        f'(default: {DEFAULT_WEIGHTS})',
    )
    parser.add_argument('--out-dir', type=Path, default=Path('outputs'), help='(default: %(default)s)')
    parser.add_argument(
        '--score-thr',
        default='0.3',
        help='keep what is at least so certain: a number for all classes, or for some, such as '
        'person=0.4,car=0.25; the others have the default (default: %(default)s)',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: the accelerator, if there is one')
    parser.add_argument('--batch-size', type=int, default=8, help='(default: %(default)s)')
    parser.add_argument(
        '--dtype',
        default='float32',
        help='what the network computes in: float32, bfloat16, float16, or auto for the fastest that the '
        'device has (default: %(default)s)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=4,
        help='threads that read images, and as many that draw, while the network is at work; 0 for one after '
        'the other (default: %(default)s)',
    )
    parser.add_argument('--no-json', action='store_true', help='draw only')
    add_verbose_option(parser)
    add_unsafe_option(parser)
    add_cfg_options(parser)
    args = parser.parse_intermixed_args(argv)
    if args.checkpoint is None:  # a single one is no config
        args.config, args.checkpoint = None, args.config or DEFAULT_WEIGHTS
    for word in (args.config, args.checkpoint):
        if word and Path(word).suffix.lower() in PICTURE_SUFFIXES:
            parser.error(
                f'{word}: an image, where a config or checkpoint stands; give the folder of the images'
            )
    return args


def find_images(source: Path, out_dir: Path) -> dict[Path, Path]:
    """Finds the images, and where their pictures go.

    Args:
        source: An image or a folder.
        out_dir: The folder for the pictures; what an earlier run left there is no input.

    Returns:
        The picture's path for each image, in order.

    Raises:
        UserError: There is no image, it is a pipe or a device, or a picture would overwrite an image.
    """
    from mmyolox.files import IMAGE_SUFFIXES, is_archive, list_images

    if not source.exists():
        raise UserError(f'{source}: there is no such image or folder')
    if not source.is_file() and not source.is_dir():
        raise UserError(f'{source}: not a regular file; name an image or a folder')
    if source.is_file() and is_archive(source):
        raise UserError(f'{source}: an archive; unpack it, and name the folder')
    if source.is_file():
        targets = {source: out_dir / source.name}
    else:
        inside = [] if out_dir.resolve() == source.resolve() else [out_dir.resolve()]
        images = [path for path in list_images(source) if not {*inside}.intersection(path.resolve().parents)]
        targets = {path: out_dir / path.relative_to(source) for path in images}
    if not targets:
        raise UserError(f'{source}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    clash = next((path for path, target in targets.items() if target.resolve() == path.resolve()), None)
    if clash:
        raise UserError(f'--out-dir {out_dir}: {clash} would be overwritten; choose another folder')
    return targets


def find_video(source: Path, out_dir: Path) -> Path:
    """Says where the drawn video of a video goes.

    Raises:
        UserError: There is no such video, or its folder is the one for the results.
    """
    if not source.is_file():
        raise UserError(f'{source}: there is no such video, or it is no regular file')
    if out_dir.resolve() == source.resolve().parent:
        raise UserError(
            f'--out-dir {out_dir}: {source} lies there, so a video could be overwritten; choose another'
        )
    return out_dir / f'{source.stem}.mp4'


class ImageFiles:
    """One image, or those under a folder, as a source of predictions.

    Args:
        args: The command line.
        thresholds: The least scores of what is kept.

    Attributes:
        expected: The number of pictures that there should be.
        noun: The word for one of them.
    """

    noun = 'image'

    def __init__(self, args: argparse.Namespace, thresholds: 'Thresholds') -> None:
        self.args = args
        self.thresholds = thresholds
        self.targets = find_images(args.input, args.out_dir)
        self.expected = len(self.targets)

    def results(self, detector: 'Detector') -> Iterator[list[Entry]]:
        """Predicts and draws; yields the entries of each image that can be decoded."""
        from mmyolox.apis.detectors import detect, map_ahead
        from mmyolox.apis.drawing import write_image
        from mmyolox.datasets.transforms import read_image
        from mmyolox.deploy.draw import picture_path

        def report(sample: 'DetDataSample') -> list[Entry]:
            instances, target = above(sample, thresholds), self.targets[Path(sample.img_path)]
            # What is grey for the network is drawn upon in colour.
            pixels = detector.read(sample.img_path) if detector.channels > 3 else read_image(sample.img_path)
            write_image(picture_path(target), visualizer.draw(pixels, instances))
            name = target.relative_to(args.out_dir).as_posix()
            return [
                dict(image_id=sample.img_id, file_name=name, **entry)
                for entry in visualizer.entries(instances)
            ]

        args, visualizer = self.args, detector.visualizer
        thresholds = self.thresholds.of(detector.dataset_meta['classes'])
        samples = detect(detector, list(self.targets), args.batch_size, args.workers)
        return map_ahead(report, samples, args.workers, 2 * args.batch_size)

    def missing(self, count: int) -> str:
        """What is to be said about images that gave no picture."""
        return f', {self.expected - count} not decoded' if count < self.expected else ''


class VideoFile:
    """A video as a source of predictions; as :class:`ImageFiles`.

    No more frames are in memory than a few batches and the drawing threads need.
    """

    noun = 'frame'

    def __init__(self, args: argparse.Namespace, thresholds: 'Thresholds') -> None:
        self.args = args
        self.thresholds = thresholds
        self.target = find_video(args.input, args.out_dir)
        from mmyolox.apis.video import VideoReader

        self.video = VideoReader(args.input)
        self.expected = self.video.announced

    def results(self, detector: 'Detector') -> Iterator[list[Entry]]:
        """Predicts, draws and writes; yields the entries of each frame."""
        from mmyolox.apis.detectors import detect, map_ahead
        from mmyolox.apis.video import VideoWriter

        def report(pair: 'tuple[DetDataSample, Image]') -> tuple['Image', list[Entry]]:
            sample, frame = pair
            instances, number = above(sample, thresholds), sample.img_id
            where = dict(image_id=number, file_name=self.target.name, frame=number)
            return visualizer.draw(frame, instances), [
                where | entry for entry in visualizer.entries(instances)
            ]

        def remembered() -> 'Iterator[Image]':
            for frame in self.video.frames(args.batch_size if args.workers else 0):
                under_way.append(frame)
                yield frame

        args, visualizer, under_way = self.args, detector.visualizer, deque()
        thresholds = self.thresholds.of(detector.dataset_meta['classes'])
        frames = as_grey(remembered()) if detector.channels == 1 else remembered()
        samples = detect(detector, frames, args.batch_size, args.workers)
        pairs = ((sample, under_way.popleft()) for sample in samples)
        with VideoWriter(self.target, self.video.rate) as writer:
            for picture, entries in map_ahead(report, pairs, args.workers, args.workers):
                writer.write(picture)
                yield entries

    def missing(self, count: int) -> str:
        """What is to be said about a video that ends early."""
        # One less is no sign: the number may be an estimate by the duration.
        return f', then the video breaks off ({self.expected} announced)' if count + 1 < self.expected else ''


def above(sample: 'DetDataSample', thresholds: 'NDArray[np.float64]') -> 'InstanceData':
    """The objects of a prediction that are certain enough for their class, by (C,) thresholds."""
    instances = sample.pred_instances
    of_classes = instances.scores.new_tensor(thresholds)
    return instances[instances.scores >= of_classes[instances.labels]]


def as_grey(frames: 'Iterable[Image]') -> 'Iterable[Image]':
    """Frames of a single channel."""
    import cv2

    return (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames)


def recorded(results: Iterator[list[Entry]], path: Path) -> Iterator[list[Entry]]:
    """Writes entries to a JSON file as they pass; no file for none."""
    import json

    from mmyolox.files import atomic_write

    first = list(islice(results, 1))
    if not first:
        return
    with atomic_write(path) as part, part.open('w', encoding='utf-8') as file:
        file.write('[')
        separator = '\n'
        for entries in chain(first, results):
            for entry in entries:
                file.write(separator + json.dumps(entry))
                separator = ',\n'
            yield entries
        file.write('\n]\n')


def main() -> None:
    """Finds the images or the video, then the objects in them."""
    args = parse_args()
    if args.batch_size < 1:
        raise UserError(f'--batch-size {args.batch_size}: at least 1 is needed')
    if args.workers < 0:
        raise UserError(f'--workers {args.workers}: 0 or more are needed')
    from mmyolox.apis.thresholds import Thresholds

    thresholds = Thresholds.parse(args.score_thr)
    check_folder(args.out_dir)
    is_video = args.input.suffix.lower() in VIDEO_SUFFIXES and not args.input.is_dir()
    source = VideoFile(args, thresholds) if is_video else ImageFiles(args, thresholds)
    from mmyolox.apis import open_detector
    from mmyolox.engine.progress_line import with_progress
    from mmyolox.engine.terminal import use_terminal

    use_terminal(args.verbose)
    detector = open_detector(
        args.checkpoint,
        args.config,
        args.device,
        args.cfg_options,
        args.allow_unsafe_checkpoint,
        args.dtype,
    )
    results = source.results(detector)
    if not args.no_json:
        results = recorded(results, args.out_dir / 'predictions.json')
    counts = [len(entries) for entries in with_progress(results, source.expected, f'{source.noun}s')]
    if not counts:
        raise UserError(f'{args.input}: no {source.noun} of {source.expected} can be decoded')
    done = f'{counted(sum(counts), "object")} in {counted(len(counts), source.noun)}'
    print(f'{done}{source.missing(len(counts))}, scores from {thresholds}: {args.out_dir}')


if __name__ == '__main__':
    run_tool(main)
