"""Converts what CVAT, Label Studio, LabelMe or Open Images export to COCO annotation files.

    mmyolox import cvat_export/ data/my_set
    mmyolox import project-1-at-2026.json data/my_set --img-dir photos/

Which format it is, is seen from the files. Written is what the custom-data config takes with nothing set but
``data_root=OUT_DIR``: ``OUT_DIR/annotations/{train,val,test}.json`` and ``OUT_DIR/images``. Splits are those
that the export names: subsets of CVAT, ``train`` or ``validation`` in the name of a file (but of LabelMe's,
which are called like their image) or of its folder, else in the folders of the images; without any there is
``train.json`` alone, of which training holds images out for the validation.

Boxes that are turned, polygons, ellipses and masks become the upright boxes around them; groups of Open
Images become ``iscrowd``. Images are found by the names in the export, without the folders or the hash that a
tool put before them. What is left out is printed.
"""

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import NamedTuple

from coco_json import CocoFile, ConversionReport, write_files
from dataset_files import place_images
from exports import EXPORTS, SHARES, Annotated, Object, find_exports

from mmyolox.errors import UserError, alike, printable
from mmyolox.files import check_folder, list_images, path_endings
from mmyolox.utils.cli import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('source', type=Path, help='the export: a file, or the folder that it was unpacked to')
    parser.add_argument('out_dir', type=Path, help='gets annotations/*.json and images')
    parser.add_argument(
        '--format', choices=sorted(EXPORTS), help='of the export (default: recognised by its content)'
    )
    parser.add_argument('--img-dir', type=Path, help='folder of the images (default: that of the export)')
    parser.add_argument('--images', choices=('link', 'copy', 'none'), default='link', help='(default: link)')
    return parser.parse_args(argv)


class ImageFolder:
    """The images of a folder by the ends of their paths, with and without the suffix.

    Args:
        root: The folder; those below it belong to it.
        results: The folder of the images of the results. What is there is no input, as after an earlier
            conversion, unless all images are there.

    Attributes:
        root: The folder that the files are relative to.
    """

    def __init__(self, root: Path, results: Path) -> None:
        self.root, results = Path(os.path.abspath(root)), Path(os.path.abspath(results))
        paths = list_images(self.root)
        others = [path for path in paths if results not in path.parents]
        if paths and not others:
            self.root = results
        self._files: dict[str, list[str]] = {}
        for path in others or paths:
            name = path.relative_to(self.root).as_posix()
            bare = PurePosixPath(name).with_suffix('').as_posix()
            for ending in (*path_endings(name), *path_endings(bare)):
                self._files.setdefault(ending, []).append(name)

    def find(self, names: Iterable[str]) -> list[str]:
        """The files that the first of some names can mean which means any, relative to the folder.

        The more folders of a name a file agrees with, the better.
        """
        endings = (ending for name in names for ending in path_endings(name))
        return next((self._files[ending] for ending in endings if ending in self._files), [])


class Record(NamedTuple):
    """A usable image: its true width and height in pixels, and its objects, in them and inside of it."""

    size: tuple[int, int]
    objects: list[Object]


def read_record(image: Annotated, path: Path, report: ConversionReport) -> Record | None:
    """Brings the objects of an image to the pixels of its file.

    Returns:
        None, and a line in the report, if the file is no image.
    """
    from mmyolox.datasets.image_sizes import read_image_size

    frame = image.frame
    pixels = None if frame is None or frame == SHARES else (round(frame[0]), round(frame[1]))
    try:
        size = read_image_size(path, pixels)
    except UserError as error:
        report.skipped.append(f'{error}; image skipped')
        return None
    if pixels and pixels != size:
        report.note(
            'images of another size than annotated, boxes scaled', [f'{path}: {size}, annotated {pixels}']
        )
    width, height = (1.0, 1.0) if frame is None else (size[0] / frame[0], size[1] / frame[1])
    objects = []
    for obj in image.objects:
        scaled = [side * scale for side, scale in zip(obj.box, (width, height) * 2, strict=True)]
        box = report.checked_box(scaled, size, f'{path}: {obj.name}')
        if box is not None:
            objects.append(obj._replace(box=box))
    return Record(size, objects)


def read_splits(
    source: Path, name: str | None, folder: ImageFolder, report: ConversionReport
) -> dict[str, dict[str, Record]]:
    """Reads an export.

    Args:
        source: The file or folder.
        name: The name of the format; None to recognise it.
        folder: The images.
        report: The report, which gets all that is left out.

    Returns:
        The images by split and file; those that several files annotate have the objects of all.

    Raises:
        UserError: The export cannot be read.
    """
    from mmyolox.datasets.splits import split_named

    export, paths = find_exports(source, name)
    read: list[tuple[str | None, str, Record]] = []
    sources: defaultdict[str, set[Path]] = defaultdict(set)
    for path in paths:
        inner = '' if path.parent in (source, source.parent) else path.parent.name
        for image in export.read(path, report):
            files = folder.find(image.names)
            if len(files) != 1:
                what = 'images that could be several files' if files else 'images that were not found'
                report.note(f'{what} in {folder.root} (--img-dir), left out', image.names[:1])
                continue
            record = read_record(image, folder.root / files[0], report)
            if record is not None:
                # A file that is called like its image is LabelMe's, of this image alone.
                is_of_one = PurePosixPath(files[0]).stem == path.stem
                of_file = (None if is_of_one else split_named(path.stem)) or split_named(inner)
                sources[files[0]].add(path)
                read.append((split_named(image.split) or of_file, files[0], record))
    by_folder = splits_of_folders(file for split, file, _ in read if split is None)
    splits: dict[str, dict[str, Record]] = {}
    for split, file, record in read:
        records = splits.setdefault(split or by_folder.get(file) or 'train', {})
        records.setdefault(file, record._replace(objects=[])).objects.extend(record.objects)
    uses = Counter(file for records in splits.values() for file in records)
    repeated = [file for file, of_file in sources.items() if len(of_file) > 1]
    report.note('images in several files of the export, objects of all taken', repeated)
    report.note('images in several splits', [file for file, count in uses.items() if count > 1])
    return splits


def splits_of_folders(files: Iterable[str]) -> dict[str, str]:
    """The splits that the folders of images speak of, by image; none where no folder is for training."""
    from mmyolox.datasets.splits import split_named

    splits = {}
    for file in files:
        named = filter(None, map(split_named, reversed(PurePosixPath(file).parent.parts)))
        if split := next(named, None):
            splits[file] = split
    return splits if 'train' in splits.values() else {}


def convert(splits: Mapping[str, Mapping[str, Record]], report: ConversionReport) -> dict[str, CocoFile]:
    """Builds the COCO files of all splits, which have the same classes: all in the data, sorted."""
    classes = sorted(
        {obj.name for records in splits.values() for record in records.values() for obj in record.objects}
    )
    report.note('classes that only case, blanks or underscores tell apart', alike(classes))
    labels = {name: label for label, name in enumerate(classes)}
    coco_files = {split: CocoFile(classes) for split in splits}
    for split, records in splits.items():
        for file, record in records.items():
            image_id = coco_files[split].add_image(file, *record.size)
            for obj in record.objects:
                coco_files[split].add_annotation(
                    image_id, labels[obj.name], obj.box, iscrowd=int(obj.is_group)
                )
    return coco_files


def main() -> None:
    args = parse_args()
    check_folder(args.out_dir)
    report = ConversionReport()
    root = args.img_dir or (args.source.parent if args.source.is_file() else args.source)
    folder = ImageFolder(root, args.out_dir / 'images')
    splits = read_splits(args.source, args.format, folder, report)
    coco_files = convert(splits, report)
    if not any(file.annotations for file in coco_files.values()):
        reasons = [*report.skipped[:1], *report.note_lines()]
        raise UserError(f'{args.source}: no usable object ({"; ".join(reasons) or "it has none"})')
    files = {file for records in splits.values() for file in records}
    place_images(args.images, folder.root, args.out_dir / 'images', sorted(files))
    write_files(coco_files, args.out_dir / 'annotations', report)
    can_train = (args.out_dir / 'annotations/train.json').is_file()
    report.note('no images for a split that training needs', ['train'] * (not can_train))
    print(report.summary(coco_files))
    data_root = quote(printable(str(args.out_dir)))
    if can_train:
        print(f'next: mmyolox train yolox_s --load-from yolox_s --cfg-options data_root={data_root}')


if __name__ == '__main__':
    run_tool(main)
