"""Converts a Pascal VOC data set to COCO annotation files.

Reads ``VOC_ROOT/Annotations``, ``ImageSets/Main`` and ``JPEGImages``; writes what the custom-data config
takes with nothing set but ``data_root=OUT_DIR``: ``OUT_DIR/annotations/{train,val,...}.json`` and
``OUT_DIR/images``. For example, to train on ``trainval`` and to validate on ``test``:

    mmyolox voc2coco VOC2007 data/voc07 --train trainval --val test

XML files may also lie beside their images. A split is a list, or a folder (``train``, ``valid``, ...) in
which its XML files are; where there is neither, all images become ``train.json``.

Every box or image that is left out is printed with its file. Objects flagged ``difficult`` become
``iscrowd``, by default: like in VOC's own evaluation, neither finding nor missing them counts.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from coco_json import Box, CocoFile, ConversionReport, write_files
from dataset_files import place_images

from mmyolox.errors import UserError, alike
from mmyolox.files import check_folder
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.datasets.voc_files import VocFiles

_FURTHER_SPLITS = ('trainval', 'test')


class Object(NamedTuple):
    """A usable object: its box is xyxy in pixels, inside the image."""

    name: str
    box: Box
    difficult: bool


class Record(NamedTuple):
    """A usable image: its file relative to the images' folder, true (width, height), and objects."""

    file_name: str
    size: tuple[int, int]
    objects: list[Object]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'voc_root',
        type=Path,
        help='folder with Annotations, ImageSets/Main, JPEGImages; or with XML files beside images',
    )
    parser.add_argument('out_dir', type=Path, help='gets annotations/*.json and images')
    parser.add_argument('--train', metavar='SPLIT', help='split of train.json (default: train, or trainval)')
    parser.add_argument('--val', metavar='SPLIT', help='split that becomes val.json (default: val or valid)')
    parser.add_argument(
        '--splits',
        nargs='*',
        metavar='SPLIT',
        help='further splits, written under their own names (default: trainval and test, if there and not '
        'used for --train or --val)',
    )
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='classes, in this order (default: all found, sorted)'
    )
    parser.add_argument('--images', choices=('link', 'copy', 'none'), default='link', help='(default: link)')
    parser.add_argument(
        '--difficult',
        choices=('ignore', 'keep', 'drop'),
        default='ignore',
        help='what becomes of objects flagged difficult (default: ignore)',
    )
    parser.add_argument('--zero-based', action='store_true', help='coordinates count from 0, not from 1')
    return parser.parse_args(argv)


def choose_splits(
    files: 'VocFiles', given: dict[str, str | None], further: Sequence[str] | None, report: ConversionReport
) -> dict[str, str]:
    """Which VOC split becomes which file: ``{'train': 'trainval', 'val': 'test'}``.

    Args:
        files: The files of the data set.
        given: The user's own splits for ``train.json`` and ``val.json``, or None.
        further: The other splits; None takes those of ``trainval`` and ``test`` that exist and are not used
            yet.
        report: The report, which gets a line where there is nothing for ``val.json``.

    Raises:
        UserError: A split does not exist, or two splits want the same file name.
    """
    from mmyolox.datasets.splits import usual_split

    chosen = {}
    for name in ('train', 'val'):
        chosen[name] = given[name] or usual_split(name, files.splits) or name
    if not given['val'] and chosen['val'] not in files.splits:
        report.note('no images found for a split that training needs', ['--val'])
        del chosen['val']
    if further is None:
        further = [n for n in _FURTHER_SPLITS if n in files.splits and n not in chosen.values()]
    for name in further:
        if chosen.setdefault(name, name) != name:
            raise UserError(f'--splits {name}: {name}.json already holds the split {chosen[name]!r}')
    for name in chosen.values():
        if name not in files.splits:
            there = ', '.join(sorted(files.splits)) or 'none'
            raise UserError(
                f'{files.root}: no split {name}; splits there: {there}; choose with --train and --val'
            )
    return chosen


def read_record(files: 'VocFiles', image: str, one_based: bool, report: ConversionReport) -> Record | None:
    """Reads an image of a split.

    Args:
        files: The files of the data set.
        image: The name of the image.
        one_based: Whether the coordinates count from 1.
        report: The report, which gets a line for each box that cannot be used.

    Returns:
        None, and a line in the report, if the XML or the image is missing or broken.
    """
    from mmyolox.datasets.image_sizes import read_image_size
    from mmyolox.datasets.voc import read_voc_xml

    xml = files.xml_files.get(image, files.annotations / f'{image}.xml')
    if image not in files.image_files:
        report.skip(files.images / image, 'listed image not found')
        return None
    faults: list[str] = []
    try:
        voc = read_voc_xml(xml, one_based=one_based, faults=faults)
        size = read_image_size(files.images / files.image_files[image], (voc.width, voc.height))
    except UserError as error:
        report.skipped.append(f'{error}; image {image!r} skipped')
        return None
    report.skipped += [f'{fault}; object skipped' for fault in faults]
    if voc.width and voc.height and (voc.width, voc.height) != size:
        report.note(
            'files with a <size> that is not that of the image, which was taken, so that boxes may lie wrong',
            [f'{xml.name}: {voc.width} x {voc.height}, the image {size[0]} x {size[1]}'],
        )
    if voc.turned:
        report.note(
            'files with boxes turned by `rotation`, the upright box around them was taken', [xml.name]
        )
    if one_based and (voc.bboxes[:, :2] < 0).any():
        report.note('files with boxes that start at 0: give --zero-based if this data counts so', [xml.name])
    objects = []
    for index, (name, bbox) in enumerate(zip(voc.names, voc.bboxes, strict=True)):
        box = report.checked_box(bbox, size, f'{xml}: object {index + 1} ({name})')
        if box is not None:
            objects.append(Object(name, box, bool(voc.difficult[index])))
    return Record(files.image_files[image], size, objects)


def choose_classes(
    records: Iterable[Record], wanted: Sequence[str] | None, report: ConversionReport
) -> list[str]:
    """The classes in the order of their ids: those wanted, or all in the data, sorted.

    What the choice leaves out, and classes that the data lacks, are noted.
    """
    counts = Counter(obj.name for record in records for obj in record.objects)
    classes = list(dict.fromkeys(wanted or sorted(counts)))
    left_out = sorted(set(counts) - set(classes))
    report.note(
        'classes that only case, blanks or underscores tell apart', alike(sorted({*classes, *counts}))
    )
    report.note('classes of --classes that the data lacks', sorted(set(classes) - set(counts)))
    report.note(
        'classes left out, not in --classes', [f'{name}: {counts[name]} objects' for name in left_out]
    )
    return classes


def convert_split(records: Iterable[Record], classes: Sequence[str], difficult: str) -> CocoFile:
    """Builds the COCO file of a split.

    Args:
        records: The images of the split.
        classes: The classes; objects of others are left out.
        difficult: What becomes of difficult objects: ``'ignore'`` (``iscrowd``), ``'keep'`` or ``'drop'``.
    """
    coco = CocoFile(classes)
    labels = {name: label for label, name in enumerate(classes)}
    for record in records:
        image_id = coco.add_image(record.file_name, *record.size)
        for obj in record.objects:
            if obj.name in labels and not (obj.difficult and difficult == 'drop'):
                crowd = int(obj.difficult and difficult == 'ignore')
                coco.add_annotation(image_id, labels[obj.name], obj.box, iscrowd=crowd)
    return coco


def convert(
    args: argparse.Namespace, files: 'VocFiles', report: ConversionReport
) -> tuple[dict[str, CocoFile], list[str]]:
    """Reads the data set and builds all its COCO files.

    Returns:
        The COCO files by name (``'train'``), and the images in them, relative to ``files.images``.

    Raises:
        UserError: Nothing of the data set can be used, or a split does not exist.
    """
    chosen = choose_splits(files, dict(train=args.train, val=args.val), args.splits, report)
    splits = {name: files.images_of(split, report) for name, split in chosen.items()}
    both = {*splits['train']} & {*splits.get('val', ())}
    report.note('images both in train.json and in val.json', sorted(both))
    report.note('images listed in no split', sorted(set(files.image_files) - files.listed_anywhere()))
    listed = dict.fromkeys(image for images in splits.values() for image in images)
    # An image that cannot be used is in the report, not in the records.
    found = {image: read_record(files, image, not args.zero_based, report) for image in listed}
    records = {image: record for image, record in found.items() if record}
    flagged = [name for name, record in records.items() for obj in record.objects if obj.difficult]
    report.note(f'objects flagged difficult (--difficult {args.difficult})', flagged)
    classes = choose_classes(records.values(), args.classes, report)
    coco_files = {
        name: convert_split([records[i] for i in images if i in records], classes, args.difficult)
        for name, images in splits.items()
    }
    coco_files = report.without_empty(coco_files)
    if not any(file.annotations for file in coco_files.values()):
        detail = f' ({report.skipped[0]})' if report.skipped else ''
        raise UserError(f'{files.root}: no usable object in the splits {", ".join(chosen.values())}{detail}')
    return coco_files, [record.file_name for record in records.values()]


def main() -> None:
    args = parse_args()
    from mmyolox.datasets.voc_files import find_files

    check_folder(args.out_dir)
    report = ConversionReport()
    files = find_files(args.voc_root, report)
    coco_files, images = convert(args, files, report)
    place_images(args.images, files.images, args.out_dir / 'images', images)
    write_files(coco_files, args.out_dir / 'annotations', report)
    print(report.summary(coco_files))


if __name__ == '__main__':
    run_tool(main)
