"""Converts a data set with YOLO's text labels to COCO annotation files.

Takes the usual layouts: ``images/train`` + ``labels/train``, ``train/images`` + ``train/labels``, labels
beside the images, or lists of images (``train.txt``), with class names from ``data.yaml`` (or the only YAML
file), ``classes.txt`` or ``--classes``. Writes what the custom-data config takes with nothing set but
``data_root=OUT_DIR``: ``OUT_DIR/annotations/{train,val,test}.json`` and ``OUT_DIR/images``. Where there is no
split, all images become ``train.json``. For example:

    python tools/dataset_converters/yolo2coco.py data/my_yolo_set data/my_set

A label file has one object a line: ``class cx cy w h``, the last four divided by the image's size, or a class
and the points of a polygon, of which the box is taken. The label of ``a/images/b/c.jpg`` is
``a/labels/b/c.txt``, or ``c.txt`` beside the image. An image whose label file is empty or missing is kept as
background; one whose label is no regular file is left out. Image sizes are those after the EXIF rotation, as
training decodes the image. Every line or image that is left out is printed.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from coco_json import CocoFile, ConversionReport
from dataset_files import is_special, place_images, read_image_size, read_lines, read_text

from mmyolox.errors import UserError, alike, first_few, printable
from mmyolox.files import check_folder, path_endings
from mmyolox.utils.cli import run_tool

_SPLITS = {'train': ('train',), 'val': ('val', 'valid', 'validation'), 'test': ('test',)}
_NOTHING = ('', '~', 'null')
"""What YAML writes for no value."""
_OVERHANG = 0.01
"""How far values may lie outside 0 to 1, as in Ultralytics' reader: the rest of the box is taken."""
_LABEL_FOLDERS = {'images': 'labels', 'Images': 'Labels', 'IMAGES': 'LABELS'}
_BOX_VALUES = 5
"""How many values the line of a box has: the class index, and the box."""
_CLASS_FILES = ('classes.txt', 'labels/classes.txt', 'obj.names')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Converts a data set with YOLO text labels to COCO files.')
    parser.add_argument('yolo_root', type=Path, help='folder of the data set')
    parser.add_argument('out_dir', type=Path, help='gets annotations/*.json and images')
    parser.add_argument('--data', type=Path, help='YAML file (default: data.yaml in the folder, if there)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='names in the order of the indices')
    for split in _SPLITS:
        parser.add_argument(f'--{split}', metavar='PATH', help=f'image folder or list for {split}.json')
    parser.add_argument('--images', choices=('link', 'copy', 'none'), default='link', help='(default: link)')
    return parser.parse_args(argv)


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads ``data.yaml``, all values as the texts that stand there: of YAML's types ``no`` would be False.

    Keys are in lower case; those without a value are left out.

    Raises:
        UserError: It is no mapping, has a key twice, or aliases: few of these stand for much.
    """
    import yaml

    class TextLoader(yaml.BaseLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = Counter(str(key.value) for key, _ in node.value)
            if repeated := [key for key, count in keys.items() if count > 1]:
                raise UserError(f'{path}: keys that stand there twice: {first_few(repeated)}')
            return super().construct_mapping(node, deep)

    text = read_text(path)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise UserError(f'{path}: aliases (*name) are not read; write out what they stand for')
        content = yaml.load(text, TextLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f'{path}: not a valid YAML file ({" ".join(str(error).split())})') from None
    if not isinstance(content, dict):
        raise UserError(f'{path}: must hold keys such as `train`, `val` and `names`')
    return {str(key).lower(): value for key, value in content.items() if value not in _NOTHING}


def find_yaml(root: Path, report: ConversionReport) -> Path | None:
    """The YAML file of a data set: ``data.yaml``, or the only one in its folder, which is noted."""
    if os.path.lexists(usual := root / 'data.yaml'):
        return usual
    there = sorted(root.glob('*.[yY]*[mM][lL]'))
    found = [path for path in there if path.is_file()] or there
    if len(found) != 1:
        return None
    report.note('no data.yaml, another YAML file taken', found)
    return found[0]


def class_names(root: Path, data: dict[str, Any], given: Sequence[str] | None) -> list[str]:
    """The class names in the order of their indices.

    Args:
        root: The folder of the data set, searched for a file with a name a line if the rest says nothing.
        data: The content of the YAML file; ``names`` is a list, or a mapping from index to name.
        given: The user's own list, which wins.

    Raises:
        UserError: No names anywhere, indices with gaps, a count that contradicts ``nc``, or a name that is
            empty or no Unicode.
    """
    source, names = '--classes', given or data.get('names')
    if names is None:
        files = [root / name for name in _CLASS_FILES if os.path.lexists(root / name)]
        if not files:
            raise UserError(
                f'{root}: no class names in a data.yaml or classes.txt; give them with --classes or --data'
            )
        # An empty line between names would move the indices of those behind it.
        source, names = str(files[0]), [line.strip() for line in read_text(files[0]).rstrip().splitlines()]
    elif not given:
        source = 'the YAML file'
        if isinstance(names, dict) and names.keys() == {str(index) for index in range(len(names))}:
            names = [names[str(index)] for index in range(len(names))]
        if not isinstance(names, list):
            raise UserError(f'names in the YAML file: a list, or indices from 0 without gaps, not {names}')
        if str(len(names)) != data.get('nc', str(len(names))):
            raise UserError(f'the YAML file says nc: {data["nc"]} but names {len(names)} classes')
    if not names or not all(isinstance(name, str) and '' != name == printable(name) for name in names):
        raise UserError(f'names in {source}: each must be a text that can be written, in UTF-8, not {names}')
    return list(names)


def find_splits(
    root: Path, data: dict[str, Any], given: dict[str, str | None], report: ConversionReport
) -> dict[str, list[Path]]:
    """The images of each split.

    Args:
        root: The folder of the data set.
        data: The content of the YAML file: ``train``, ``val``, ``test`` and ``path``, all optional.
        given: The user's own paths by split, which win, or None.

    Raises:
        UserError: A path that was given does not exist, or no split has an image.
    """
    splits = {}
    folders = [root / str(data.get('path') or ''), root]
    for split, aliases in _SPLITS.items():
        named = next((data[alias] for alias in aliases if data.get(alias)), [])
        parts = [str(part) for part in (named if isinstance(named, list) else [named])]
        absent = []
        if given[split]:
            sources = [resolve(given[split], folders)]
        else:
            sources = []
            for part in parts:
                try:
                    sources.append(resolve(part, folders))
                except UserError:
                    absent.append(part)
            report.note('folders or lists that the YAML file names and that are not there', absent)
        if not sources:
            forms = ('images/{}', '{}/images', '{}.txt', '{}')
            layouts = [root / form.format(alias) for alias in aliases for form in forms]
            sources = [path for path in layouts if path.exists()][:1]
            report.note('folders or lists taken in their place', sources if absent else [])
        images = (image for path in sources for image in images_of(path, root, report))
        splits[split] = list(dict.fromkeys(images))
    if not any(splits.values()):
        folder = root / 'images' if (root / 'images').is_dir() else root
        images = images_of(folder, root, report)
        # Pictures in folders of any name are those of the data set where labels lie beside them.
        if folder != root or any(os.path.isfile(label_path(image)) for image in images):
            splits['train'] = images
            report.note('no list or folder of a split, all images taken for train.json', [folder])
    if not any(splits.values()):
        raise UserError(f'{root}: no images found; name their folders or lists with --train and --val')
    return {split: images for split, images in splits.items() if images}


def resolve(name: str, folders: Sequence[Path]) -> Path:
    """Finds a path relative to one of the folders.

    Some exports write ``../train/images`` for what is ``train/images`` beside the file, others the folders of
    another computer: the first folders are left out until the path is there. Its last two parts are kept,
    since ``images`` alone is not ``train/images``.
    """
    endings = path_endings(name)
    forms = (name, name.removeprefix('../'), *(endings[:-1] or endings))
    candidates = [folder / form for form in forms for folder in folders]
    for candidate in candidates:
        if os.path.exists(candidate):  # Path.exists raises for a name that is too long
            return Path(os.path.normpath(candidate))
    raise UserError(f'{candidates[0]}: no such folder or list of images; correct the path of the split')


def images_of(source: Path, root: Path, report: ConversionReport) -> list[Path]:
    """The images in a folder, or those that a list names, relative to the root or to the list's folder.

    Lists written elsewhere name folders that are not here (``data/obj_train_data/a.jpg`` in Darknet's and
    CVAT's): the first folders of a path are left out until there is such a file below the root.
    """
    from mmyolox.files import PICTURE_SUFFIXES, list_images

    if source.is_dir():
        return list_images(source, PICTURE_SUFFIXES)  # other tools keep decoded images beside them, as .npy
    images = []
    for name in read_lines(source):
        below = [root / ending for ending in path_endings(name)]
        direct = [root / name, source.parent / name, *below[:1]]
        found = next((path for path in (*direct, *below[1:]) if os.path.exists(path)), direct[1])
        if found not in direct:
            report.note('listed images found without the first folders of their path', [name])
        images.append(Path(os.path.normpath(found)))
    return images


def label_path(image: Path) -> Path:
    """The path of the label file of an image, or the one at which it has to be."""
    beside = image.with_suffix('.txt')
    parts = list(beside.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part in _LABEL_FOLDERS]
    if folders:
        parts[folders[-1]] = _LABEL_FOLDERS[parts[folders[-1]]]
    usual = Path(*parts)
    return beside if os.path.lexists(beside) and not os.path.lexists(usual) else usual


def parse_line(line: str, num_classes: int) -> tuple[int, list[float]]:
    """Reads ``class cx cy w h``, or ``class x1 y1 x2 y2 x3 y3 ...``: a polygon, of which the box is taken.

    Returns:
        The class index, and the box's centre and size divided by the image's size.

    Raises:
        ValueError: With what is wrong with the line.
    """
    fields = line.split()
    is_polygon = len(fields) >= 7 and len(fields) % 2 == 1
    if len(fields) != _BOX_VALUES and not is_polygon:
        raise ValueError(f'{len(fields)} values where `class cx cy w h` or a polygon is needed')
    try:
        index, *box = (float(field) for field in fields)
    except ValueError:
        raise ValueError(f'{line.strip()!r} holds something that is no number') from None
    if not (index.is_integer() and 0 <= index < num_classes):
        raise ValueError(f'class index {fields[0]} is not in 0 to {num_classes - 1}')
    if not all(-_OVERHANG <= value <= 1 + _OVERHANG for value in box):
        raise ValueError(f'{" ".join(fields[1:])} is not within 0 to 1')
    if is_polygon:
        (left, right), (top, bottom) = ((min(side), max(side)) for side in (box[::2], box[1::2]))
        box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return int(index), box


def convert_split(
    images: Sequence[Path], base: Path, names: Sequence[str], report: ConversionReport
) -> CocoFile:
    """Builds the COCO file of a split.

    Args:
        images: The images of the split.
        base: The folder that the file names in the COCO file are relative to.
        names: The class names.
        report: The report, which gets a line for each image, line and box that cannot be used.
    """
    coco = CocoFile(list(dict.fromkeys(names)))
    labels = dict(zip(coco.class_names, range(len(names)), strict=False))
    for image in images:
        label = label_path(image)
        try:
            size = read_image_size(image)
            if is_special(label):
                raise UserError(f'{label}: not a regular file')
        except UserError as error:
            report.skipped.append(f'{error}; image skipped')
            continue
        image_id = coco.add_image(image.relative_to(base).as_posix(), *size)
        add_objects(coco, image_id, size, label, [labels[name] for name in names], report)
    return coco


def add_objects(
    coco: CocoFile,
    image_id: int,
    size: tuple[int, int],
    path: Path,
    labels: Sequence[int],
    report: ConversionReport,
) -> None:
    """Adds the objects of a label file, none if there is no such file; ``labels`` has one a class index."""
    if not os.path.isfile(path):
        return
    width, height = size
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        location = f'{path}:{number}'
        try:
            index, (cx, cy, w, h) = parse_line(line, len(labels))
        except ValueError as error:
            report.skip(location, str(error))
            continue
        if len(line.split()) > _BOX_VALUES:
            report.note('lines taken for the points of a polygon, of which the box was taken', [location])
        corners = (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
        # Half a thousandth of a pixel: what decimal labels of a box at the border are off.
        box = report.checked_box([round(corner, 3) for corner in corners], size, location)
        if box is not None:
            coco.add_annotation(image_id, labels[index], box)


def note_labels(images: Iterable[Path], report: ConversionReport) -> None:
    """Notes images without a label file and label files without an image.

    Raises:
        UserError: Not one image has a label file.
    """
    counts = Counter(label_path(image) for image in dict.fromkeys(images))
    report.note('label files of several images', [path for path, count in counts.items() if count > 1])
    paths = set(counts)
    missing = [path for path in sorted(paths) if not os.path.lexists(path)]
    if len(missing) == len(paths):
        raise UserError(f'{missing[0]}: no such label file, nor one for any other image; check the folders')
    report.note('images without a label file, taken as background', missing)
    folders = {path.parent for path in paths if not {*_LABEL_FOLDERS.values()}.isdisjoint(path.parts)}
    there = {
        path for folder in folders for path in folder.glob('*.[tT][xX][tT]') if path.name != 'classes.txt'
    }
    report.note('label files that belong to no image of a split', sorted(there - paths))


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
    root = Path(os.path.abspath(args.yolo_root))
    if not root.is_dir():
        raise UserError(f'{root}: no such folder')
    yaml_path = args.data or find_yaml(root, report)
    data = read_yaml(yaml_path) if yaml_path else {}
    if data.get('kpt_shape'):
        raise UserError(
            f'{yaml_path}: kpt_shape: labels with keypoints are not converted, only boxes and polygons'
        )
    names = class_names(root, data, args.classes)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    report.note('class names that stand for several indices, taken as one class', repeated)
    report.note('class names that only case, blanks or underscores tell apart', alike(names))
    splits = find_splits(root, data, {split: getattr(args, split) for split in _SPLITS}, report)
    images = [image for split in splits.values() for image in split]
    note_labels(images, report)
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
    for split, file in files.items():
        file.write(args.out_dir / 'annotations' / f'{split}.json')
    print(report.summary(files))


if __name__ == '__main__':
    run_tool(main)
