"""Finds objects in an image or in all images under a folder.

    python tools/image_demo.py photos/ yolox_s_fast_8xb8-300e_coco yolox_s.pth --out-dir outputs

``outputs`` gets a picture for every image, under the image's name, with the boxes drawn; and
``predictions.json``, a list of ``dict(image_id, file_name, label, class_name, bbox, score)`` with ``bbox`` as
in COCO's results: x, y, width, height in pixels of the image. Folders that are links are not entered.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.utils.cli import add_cfg_options, run_tool
from mmyolox.utils.errors import UserError

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    from mmyolox.models import YOLODetector


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = argparse.ArgumentParser(description='Finds objects in an image or in all images under a folder.')
    parser.add_argument('input', type=Path, help='an image, or a folder that is searched for images')
    parser.add_argument('config', help='a config file, or the name of one of ours')
    parser.add_argument('checkpoint', help='the checkpoint file, or its web address')
    parser.add_argument('--out-dir', type=Path, default=Path('outputs'), help='(default: %(default)s)')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='keep what is at least so certain (default: %(default)s)'
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
    parser.add_argument(
        '--allow-unsafe-checkpoint',
        action='store_true',
        help='load a checkpoint file that holds more than weights; it can run code, so trust its origin',
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def find_images(source: Path, out_dir: Path) -> dict[Path, Path]:
    """Finds the images, and where their pictures go.

    Args:
        source: An image or a folder.
        out_dir: Gets the pictures; what an earlier run left there is no input.

    Returns:
        The picture's path for each image, in order.

    Raises:
        UserError: There is no image, or a picture would overwrite an image.
    """
    from mmyolox.utils.dataset_files import IMAGE_SUFFIXES, list_images

    if not source.exists():
        raise UserError(f'{source}: there is no such image or folder')
    if source.is_file():
        targets = {source: out_dir / source.name}
    else:
        inside = [] if out_dir.resolve() == source.resolve() else [out_dir.resolve()]
        found = [path for path in list_images(source) if not {*inside}.intersection(path.resolve().parents)]
        targets = {path: out_dir / path.relative_to(source) for path in found}
    if not targets:
        raise UserError(f'{source}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    clash = next((path for path, target in targets.items() if target.resolve() == path.resolve()), None)
    if clash:
        raise UserError(f'--out-dir {out_dir}: {clash} would be overwritten; choose another folder')
    return targets


def draw(sample: 'DetDataSample', found: 'InstanceData', names: Sequence[str], target: Path) -> None:
    """Writes the image of a prediction with the boxes of ``found`` to ``target``."""
    import cv2

    from mmyolox.datasets.transforms import read_image
    from mmyolox.utils.draw import draw_boxes

    picture = draw_boxes(read_image(sample.img_path), found.bboxes, found.labels, names, found.scores)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(cv2.imencode(target.suffix, picture)[1])


def as_results(sample: 'DetDataSample', found: 'InstanceData', names: Sequence[str], file_name: str) -> list:
    """The entries of ``predictions.json`` for one image."""
    results: list[dict[str, Any]] = []
    for bbox, score, label in zip(
        found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
    ):
        x1, y1, x2, y2 = bbox
        results.append(
            dict(
                image_id=sample.img_id,
                file_name=file_name,
                label=label,
                class_name=names[label],
                bbox=[round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                score=round(score, 4),
            )
        )
    return results


def run(model: 'YOLODetector', targets: dict[Path, Path], args: argparse.Namespace) -> tuple[int, list]:
    """Predicts and draws, with a progress bar; returns the number of images and the results."""
    from mmengine.utils import track_iter_progress

    from mmyolox.inference import detect
    from mmyolox.utils.threads import map_ahead

    def report(sample: 'DetDataSample') -> list:
        found = sample.pred_instances
        found = found[found.scores >= args.score_thr]
        target = targets[Path(sample.img_path)]
        draw(sample, found, names, target)
        return as_results(sample, found, names, target.relative_to(args.out_dir).as_posix())

    names, ahead = model.dataset_meta['classes'], 2 * args.batch_size
    predictions = detect(model, list(targets), args.batch_size, args.workers)
    tracked = track_iter_progress((predictions, len(targets)), file=sys.stderr)
    reports = list(map_ahead(report, ((sample,) for sample in tracked), args.workers, ahead))
    return len(reports), [result for results in reports for result in results]


def main() -> None:
    """Finds the images, then the objects in them."""
    args = parse_args()
    targets = find_images(args.input, args.out_dir)
    if args.batch_size < 1:
        raise UserError(f'--batch-size {args.batch_size}: at least 1 is needed')
    if args.workers < 0:
        raise UserError(f'--workers {args.workers}: 0 or more are needed')
    import json

    from mmyolox.inference import init_detector

    model = init_detector(
        args.config,
        args.checkpoint,
        args.device,
        args.cfg_options,
        args.allow_unsafe_checkpoint,
        dtype=args.dtype,
    )
    count, results = run(model, targets, args)
    if not count:
        raise UserError(f'{args.input}: none of {len(targets)} images can be decoded')
    if not args.no_json:
        (args.out_dir / 'predictions.json').write_text(json.dumps(results, indent=1), encoding='utf-8')
    skipped = f', {len(targets) - count} not decoded' if count < len(targets) else ''
    print(f'{len(results)} objects in {count} images{skipped}, scores from {args.score_thr}: {args.out_dir}')


if __name__ == '__main__':
    run_tool(main)
