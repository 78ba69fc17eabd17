"""Converts a data set with YOLO's text labels to COCO annotation files.

Takes the usual layouts: ``images/train`` + ``labels/train``, ``train/images`` + ``train/labels``, labels
beside the images, or lists of images (``train.txt``), with class names from ``data.yaml`` (or the only YAML
file that names classes and a split), ``classes.txt`` or ``--classes``. Writes what the custom-data config
takes with nothing set but ``data_root=OUT_DIR``: ``OUT_DIR/annotations/{train,val,test}.json`` and
``OUT_DIR/images``. Where there is no split, all images become ``train.json``. For example:

    mmyolox yolo2coco data/my_yolo_set data/my_set

A label file has one object a line: ``class cx cy w h``, the last four divided by the image's size, or a class
and the points of a polygon, of which the box is taken. The label of ``a/images/b/c.jpg`` is
``a/labels/b/c.txt``, or ``c.txt`` beside the image. An image whose label file is empty or missing is kept as
background; one whose label is no regular file is left out. Image sizes are those after the EXIF rotation, as
training decodes the image. Every line or image that is left out is printed.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from coco_json import CocoFile, ConversionReport, write_files
from dataset_files import place_images

from mmyolox.errors import UserError
from mmyolox.files import check_folder
from mmyolox.utils.cli import run_tool

_SPLITS = ('train', 'val', 'test')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('yolo_root', type=Path, help='folder of the data set')
    parser.add_argument('out_dir', type=Path, help='gets annotations/*.json and images')
    parser.add_argument('--data', type=Path, help='YAML file (default: data.yaml in the folder, if there)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='names in the order of the indices')
    for split in _SPLITS:
        parser.add_argument(f'--{split}', metavar='PATH', help=f'image folder or list for {split}.json')
    parser.add_argument('--images', choices=('link', 'copy', 'none'), default='link', help='(default: link)')
    return parser.parse_args(argv)


def convert_split(
    images: Sequence[Path], base: Path, names: Sequence[str], report: ConversionReport
) -> CocoFile:
    """Builds the COCO file of a split.

    Args:
        images: The images of the split.
        base: The folder that the file names in the COCO file are relative to.
        names: The class names, by index; several indices may have one name.
        report: The report, which gets a line for each image, line and box that cannot be used.
    """
    from mmyolox.datasets.image_sizes import read_image_size
    from mmyolox.datasets.yolo import pixel_box, read_labels
    from mmyolox.datasets.yolo_files import label_path

    coco = CocoFile(list(dict.fromkeys(names)))
    labels = dict(zip(coco.class_names, range(len(names)), strict=False))
    for image in images:
        path = label_path(image)
        try:
            size = read_image_size(image)
            content = read_labels(path, len(names))
        except UserError as error:
            report.skipped.append(f'{error}; image skipped')
            continue
        image_id = coco.add_image(image.relative_to(base).as_posix(), *size)
        for line, reason in content.faults:
            report.skip(f'{path}:{line}', reason)
        for item in content.objects:
            location = f'{path}:{item.line}'
            if item.is_polygon:
                report.note('lines taken for the points of a polygon, of which the box was taken', [location])
            box = report.checked_box(pixel_box(item.bbox, size), size, location)
            if box is not None:
                coco.add_annotation(image_id, labels[names[item.class_index]], box)
    return coco


def image_base(root: Path, images: Iterable[Path]) -> Path:
    """The folder that becomes ``OUT_DIR/images``: ``root/images`` if it holds all, else their common one."""
    common = Path(os.path.commonpath([image.parent for image in images]))
    return root / 'images' if common.is_relative_to(root / 'images') else common


def convert(args: argparse.Namespace, report: ConversionReport) -> tuple[dict[str, CocoFile], Path]:
    """Reads the data set and builds all its COCO files.

    Returns:
        The files by split, and the folder that their file names are relative to.

    Raises:
        UserError: The classes or images cannot be found, or there is no usable object at all.
    """
    from mmyolox.datasets import yolo_files

    root = Path(os.path.abspath(args.yolo_root))
    if not root.is_dir():
        raise UserError(f'{root}: no such folder')
    yaml_path = args.data or yolo_files.find_description(root, report)
    data = yolo_files.read_description(yaml_path) if yaml_path else {}
    if data.get('kpt_shape'):
        raise UserError(
            f'{yaml_path}: kpt_shape: labels with keypoints are not converted, only boxes and polygons'
        )
    given_names = yolo_files.checked_names(args.classes, '--classes') if args.classes else None
    names = given_names or yolo_files.class_names(root, yaml_path, data)
    if names is None:
        raise UserError(
            f'{root}: no class names in a data.yaml or classes.txt; give them with --classes or --data'
        )
    yolo_files.note_names(names, report)
    given = {split: getattr(args, split) for split in _SPLITS}
    splits = yolo_files.find_splits(root, data, report, given)
    if not splits and (images := yolo_files.unsplit_images(root, report)):
        splits = {'train': images}
    if not splits:
        raise UserError(f'{root}: no images found; name their folders or lists with --train and --val')
    images = [image for split in splits.values() for image in split]
    labels = {image: yolo_files.label_path(image) for image in images}
    yolo_files.note_missing_labels(labels, report)
    yolo_files.note_lost_labels(labels.values(), report)
    train, val = splits.get('train', []), splits.get('val', [])
    report.note('images both in train.json and in val.json', sorted({*train} & {*val}))
    report.note(
        'no images found for a split that training needs',
        [f'--{s}' for s in ('train', 'val') if s not in splits],
    )
    base = image_base(root, images)
    files = {split: convert_split(paths, base, names, report) for split, paths in splits.items()}
    files = report.without_empty(files)
    if not any(file.annotations for file in files.values()):
        detail = f' ({report.skipped[0]})' if report.skipped else ''
        raise UserError(f'{root}: no usable object in {len(images)} images{detail}')
    return files, base


def main() -> None:
    args = parse_args()
    check_folder(args.out_dir)
    report = ConversionReport()
    files, base = convert(args, report)
    names = [image['file_name'] for file in files.values() for image in file.images]
    place_images(args.images, base, args.out_dir / 'images', names)
    write_files(files, args.out_dir / 'annotations', report)
    print(report.summary(files))


if __name__ == '__main__':
    run_tool(main)
