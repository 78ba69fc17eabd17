"""Converts a Pascal VOC data set to COCO annotation files.

Reads ``VOC_ROOT/Annotations``, ``ImageSets/Main`` and ``JPEGImages``; writes what the custom-data config
takes with nothing set but ``data_root=OUT_DIR``: ``OUT_DIR/annotations/{train,val,...}.json`` and
``OUT_DIR/images``. For example, to train on ``trainval`` and to validate on ``test``:

    python tools/dataset_converters/voc2coco.py VOC2007 data/voc07 --train trainval --val test

Every box or image that is left out is printed with its file. Objects flagged ``difficult`` become
``iscrowd``, by default: like in VOC's own evaluation, neither finding nor missing them counts.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from coco_json import Box, CocoFile, ConversionReport
from dataset_files import place_images, read_image_size, read_lines

from mmyolox.errors import UserError
from mmyolox.utils.cli import run_tool

_FURTHER_SPLITS = ('trainval', 'test')


class Object(NamedTuple):
    """A usable object: its box is xyxy in pixels, inside the image."""

    name: str
    box: Box
    difficult: bool


class Record(NamedTuple):
    """A usable image: its file relative to ``JPEGImages``, true (width, height), and objects."""

    file_name: str
    size: tuple[int, int]
    objects: list[Object]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Converts a Pascal VOC data set to COCO annotation files.')
    parser.add_argument('voc_root', type=Path, help='folder with Annotations, ImageSets/Main, JPEGImages')
    parser.add_argument('out_dir', type=Path, help='gets annotations/*.json and images')
    parser.add_argument('--train', default='train', metavar='SPLIT', help='split that becomes train.json')
    parser.add_argument('--val', default='val', metavar='SPLIT', help='split that becomes val.json')
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


def choose_splits(folder: Path, train: str, val: str, further: Sequence[str] | None) -> dict[str, str]:
    """Which VOC split becomes which file: ``{'train': 'trainval', 'val': 'test'}``.

    Args:
        folder: The folder ``ImageSets/Main``.
        train: The split for ``train.json``.
        val: The split for ``val.json``.
        further: The other splits; None takes those of ``trainval`` and ``test`` that exist and are not used
            yet.

    Raises:
        UserError: A split has no file, or two splits want the same file name.
    """
    chosen = {'train': train, 'val': val}
    if further is None:
        exists = (name for name in _FURTHER_SPLITS if (folder / f'{name}.txt').is_file())
        further = [name for name in exists if name not in chosen.values()]
    for name in further:
        if chosen.setdefault(name, name) != name:
            raise UserError(f'--splits {name}: {name}.json already holds the split {chosen[name]!r}')
    for name in chosen.values():
        if not (folder / f'{name}.txt').is_file():
            there = ', '.join(path.stem for path in sorted(folder.glob('*.txt'))) or 'none'
            raise UserError(f'{folder}: no {name}.txt; splits there: {there}; choose with --train and --val')
    return chosen


def image_name(line: str, annotations: Path) -> str:
    """The image that a line of a split list names, without the suffix that some lists have."""
    from mmyolox.files import PICTURE_SUFFIXES

    has_suffix = Path(line).suffix.lower() in PICTURE_SUFFIXES and not (annotations / f'{line}.xml').exists()
    return line[: -len(Path(line).suffix)] if has_suffix else line


def read_split(path: Path, report: ConversionReport) -> list[str]:
    """The image ids of a split file, one a line; repeated ones are noted and dropped."""
    annotations = path.parents[2] / 'Annotations'
    ids = [image_name(line, annotations) for line in read_lines(path)]
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    report.note(f'images listed more than once in {path}', repeated)
    return list(dict.fromkeys(ids))


def read_record(
    root: Path, image_id: str, file_name: str | None, one_based: bool, report: ConversionReport
) -> Record | None:
    """Reads one listed image.

    Args:
        root: The folder of the data set.
        image_id: The name of the XML file.
        file_name: The image, relative to ``JPEGImages``; None if there is none.
        one_based: Whether the coordinates count from 1.
        report: The report, which gets a line for each box that cannot be used.

    Returns:
        None, and a line in the report, if the XML or the image is missing or broken.
    """
    from mmyolox.datasets.voc import read_voc_xml

    faults: list[str] = []

    xml = root / 'Annotations' / f'{image_id}.xml'
    if file_name is None:
        report.skip(root / 'JPEGImages' / image_id, 'listed image not found')
        return None
    try:
        voc = read_voc_xml(xml, one_based=one_based, faults=faults)
        size = read_image_size(root / 'JPEGImages' / file_name)
    except UserError as error:
        report.skipped.append(f'{error}; image {image_id!r} skipped')
        return None
    report.skipped += [f'{fault}; object skipped' for fault in faults]
    if (voc.width, voc.height) != size:
        report.note('files with a <size> that is not that of the image, which was taken', [xml.name])
    if one_based and (voc.bboxes[:, :2] < 0).any():
        report.note('files with boxes that start at 0: give --zero-based if this data counts so', [xml.name])
    objects = []
    for index, (name, bbox) in enumerate(zip(voc.names, voc.bboxes, strict=True)):
        box = report.checked_box(bbox, size, f'{xml}: object {index + 1} ({name})')
        if box is not None:
            objects.append(Object(name, box, bool(voc.difficult[index])))
    return Record(file_name, size, objects)


def read_records(
    root: Path, image_ids: Iterable[str], one_based: bool, report: ConversionReport
) -> dict[str, Record]:
    """Reads the listed images, each once; one that cannot be used is in the report, not in the result."""
    from mmyolox.files import PICTURE_SUFFIXES, list_images

    folder = root / 'JPEGImages'
    names = [path.relative_to(folder) for path in list_images(folder, PICTURE_SUFFIXES)]
    files = {name.with_suffix('').as_posix(): name.as_posix() for name in reversed(names)}
    report.note(
        'images that differ in their suffix only, not taken',
        sorted({str(n) for n in names} - {*files.values()}),
    )
    report.note('images listed in no split', sorted(set(files) - listed_anywhere(root)))
    records = {i: read_record(root, i, files.get(i), one_based, report) for i in dict.fromkeys(image_ids)}
    return {image_id: record for image_id, record in records.items() if record}


def listed_anywhere(root: Path) -> set[str]:
    """Everything that the split files name; Pascal VOC's lists of one class have a flag after the image."""
    lines = [line for path in (root / 'ImageSets' / 'Main').glob('*.txt') for line in read_lines(path)]
    listed = {*lines, *(line.split(' ')[0] for line in lines)}
    return {image_name(line, root / 'Annotations') for line in listed}


def choose_classes(
    records: Iterable[Record], wanted: Sequence[str] | None, report: ConversionReport
) -> list[str]:
    """The classes in the order of their ids: those wanted, or all in the data, sorted.

    What the choice leaves out, and classes that the data lacks, are noted.
    """
    counts = Counter(obj.name for record in records for obj in record.objects)
    classes = list(dict.fromkeys(wanted or sorted(counts)))
    left_out = sorted(set(counts) - set(classes))
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


def check_root(root: Path) -> None:
    """Raises UserError unless the folder has the three parts of a Pascal VOC data set."""
    for part in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        if not (root / part).is_dir():
            inner = sorted(path.parent for path in root.glob('*/Annotations'))
            hint = f'; do you mean {inner[0]}?' if inner else ''
            raise UserError(f'{root}: no folder {part}, so this is not a Pascal VOC data set{hint}')


def convert(args: argparse.Namespace, report: ConversionReport) -> tuple[dict[str, CocoFile], list[str]]:
    """Reads the data set and builds all its COCO files.

    Returns:
        The files by name (``'train'``), and the images in them, relative to ``JPEGImages``.

    Raises:
        UserError: Nothing of the data set can be used, or a split does not exist.
    """
    root: Path = args.voc_root
    check_root(root)
    lists = root / 'ImageSets' / 'Main'
    chosen = choose_splits(lists, args.train, args.val, args.splits)
    splits = {name: read_split(lists / f'{split}.txt', report) for name, split in chosen.items()}
    report.note('images both in train.json and in val.json', sorted({*splits['train']} & {*splits['val']}))
    records = read_records(root, (i for ids in splits.values() for i in ids), not args.zero_based, report)
    flagged = [name for name, record in records.items() for obj in record.objects if obj.difficult]
    report.note(f'objects flagged difficult (--difficult {args.difficult})', flagged)
    classes = choose_classes(records.values(), args.classes, report)
    files = {
        name: convert_split([records[i] for i in ids if i in records], classes, args.difficult)
        for name, ids in splits.items()
    }
    if not any(file.annotations for file in files.values()):
        detail = f' ({report.skipped[0]})' if report.skipped else ''
        raise UserError(f'{root}: no usable object in the splits {", ".join(chosen.values())}{detail}')
    return files, [record.file_name for record in records.values()]


def main() -> None:
    args = parse_args()

    report = ConversionReport()
    files, images = convert(args, report)
    place_images(args.images, args.voc_root / 'JPEGImages', args.out_dir / 'images', images)
    for split, file in files.items():
        file.write(args.out_dir / 'annotations' / f'{split}.json')
    print(report.summary(files))


if __name__ == '__main__':
    run_tool(main)
