"""The files of a YOLO data set: its description, class names, the images of each split and their labels."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from mmyolox.errors import ReadingReport, UserError, alike, first_few, printable
from mmyolox.files import PICTURE_SUFFIXES, list_images, path_endings, read_lines, read_text

from .splits import SPLITS, UNSPLIT

ABSENT_SOURCES = 'folders or lists that the YAML file names and that are not there'
"""The note on splits whose images are not found."""

_NOTHING = ('', '~', 'null')
"""What YAML writes for no value."""
DARKNET = '.data'
"""The suffix of Darknet's description of a data set."""
_SPLIT_KEYS = {alias for aliases in SPLITS.values() for alias in aliases}
_LABEL_FOLDERS = {'images': 'labels', 'Images': 'Labels', 'IMAGES': 'LABELS'}
_CLASS_FILES = (
    *('classes.txt', 'labels/classes.txt', 'obj.names'),
    *(f'{name}/_darknet.labels' for names in SPLITS.values() for name in names),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads ``data.yaml``, all values as the texts that stand there: of YAML's types ``no`` would be False.

    Keys are in lower case; those without a value are left out.

    Raises:
        UserError: It is no mapping, has a key twice, or aliases: few of these stand for much.
    """

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
    names = Counter(str(key).lower() for key in content)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise UserError(f'{path}: keys that only upper and lower case tell apart: {first_few(repeated)}')
    return {str(key).lower(): value for key, value in content.items() if value not in _NOTHING}


def read_description(path: str | Path) -> dict[str, Any]:
    """Reads what a data set says of itself: a YAML file, or Darknet's file of the suffix ``.data``.

    Raises:
        UserError: It cannot be read; see :func:`read_yaml`.
    """
    path = Path(path)
    return _read_darknet(path) if path.suffix.lower() == DARKNET else read_yaml(path)


def _read_darknet(path: Path) -> dict[str, Any]:
    """Darknet's lines of ``key = value``, with the keys and values of a YAML file.

    Its paths are relative to where Darknet was started (``data/train.txt``): they are looked for in the
    folder of the file and in the one above, with and without their first folders.
    """
    pairs = (line.partition('=') for line in read_lines(path))
    data: dict[str, Any] = {key.strip().lower(): value.strip() for key, _, value in pairs}
    places = Path(os.path.abspath(path)).parents[:2]

    def find(name: str) -> Path | None:
        candidates = (place / ending for ending in path_endings(name) for place in places)
        return next((candidate for candidate in candidates if os.path.isfile(candidate)), None)

    described: dict[str, Any] = {}
    # Darknet's `eval` is a way of evaluating, as `coco`.
    for key in (_SPLIT_KEYS - {'eval'}) & data.keys():
        described[key] = str(find(data[key]) or data[key])
    if names := find(data.get('names', '')):
        described['names'] = _read_names(names)
    return described


def darknet_files(root: Path) -> list[Path]:
    """Darknet's descriptions in a folder and in those in it, with a list of training images that is there."""
    found = sorted({*root.glob(f'*{DARKNET}'), *root.glob(f'*/*{DARKNET}')})
    return [path for path in found if os.path.isfile(path) and _lists_training(path)]


def _lists_training(path: Path) -> bool:
    try:
        return os.path.isabs(train := _read_darknet(path).get('train', '')) and os.path.isfile(train)
    except UserError:  # a file of that suffix may be anything
        return False


def describes(path: Path) -> bool:
    """Whether a YAML file names classes and a split: others beside the images may be anything."""
    try:
        keys = read_yaml(path).keys()
    except UserError:
        return False
    return 'names' in keys and not keys.isdisjoint(_SPLIT_KEYS)


def find_description(root: Path, report: ReadingReport) -> Path | None:
    """The description of a data set: ``data.yaml``, or the only one in its folder, which is noted."""
    if os.path.lexists(usual := root / 'data.yaml'):
        return usual
    found = [path for path in sorted(root.glob('*.[yY]*[mM][lL]')) if describes(path)]
    if len(found) != 1:
        darknet = darknet_files(root)
        return darknet[0] if len(darknet) == 1 else None
    report.note('no data.yaml, another YAML file taken', found)
    return found[0]


def class_names(root: Path, yaml_path: Path | None, data: Mapping[str, Any]) -> list[str] | None:
    """The class names in the order of their indices, of which several may have one name.

    Args:
        root: The folder of the data set, searched for a file with a name a line if the YAML file has none.
        yaml_path: The YAML file, for messages.
        data: Its content; ``names`` is a list, or a mapping from index to name.

    Returns:
        The names, None where there are none.

    Raises:
        UserError: The indices have gaps, their count contradicts ``nc``, a name is empty or no Unicode, or
            files contradict each other.
    """
    names = data.get('names')
    if names is None:
        return _listed_names([root / name for name in _CLASS_FILES if os.path.lexists(root / name)])
    if isinstance(names, dict) and names.keys() == {str(index) for index in range(len(names))}:
        names = [names[str(index)] for index in range(len(names))]
    if not isinstance(names, list):
        raise UserError(f'names in {yaml_path}: a list, or indices from 0 without gaps, not {names}')
    if str(len(names)) != data.get('nc', str(len(names))):
        raise UserError(f'{yaml_path} says nc: {data["nc"]} but names {len(names)} classes; correct one')
    return checked_names(names, str(yaml_path))


def _listed_names(files: Sequence[Path]) -> list[str] | None:
    """The names of the first of some files with a name a line, to which the others must not object."""
    lists = {path: checked_names(_read_names(path), str(path)) for path in files}
    for path, names in lists.items():
        for index, (name, first) in enumerate(zip(names, lists[files[0]], strict=False)):
            if name != first:
                raise UserError(
                    f'{path} calls class {index} {name!r}, and {files[0]} {first!r}: correct one of them, or '
                    'remove it'
                )
    return lists[files[0]] if files else None


def _read_names(path: Path) -> list[str]:
    # An empty line between names would move the indices of those behind it.
    return [line.strip() for line in read_text(path).rstrip().splitlines()]


def checked_names(names: Sequence[Any], source: str) -> list[str]:
    """The class names that ``source`` gives, each a text that can be written.

    Raises:
        UserError: There is none, or one is empty or no Unicode.
    """
    if not names or not all(isinstance(name, str) and '' != name == printable(name) for name in names):
        raise UserError(f'names in {source}: each must be a text that can be written, in UTF-8, not {names}')
    return list(names)


def note_names(names: Sequence[str], report: ReadingReport) -> None:
    """Notes names that several indices have, and names that are hardly different."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    report.note('class names that stand for several indices, taken as one class', repeated)
    report.note('class names that only case, blanks or underscores tell apart', alike(names))


def keypoint_shape(yaml_path: str | Path | None, data: Mapping[str, Any]) -> tuple[int, int]:
    """How many keypoints each label has, and of how many numbers (2, or 3 with the visibility).

    Args:
        yaml_path: The YAML file, for messages.
        data: Its content. (0, 0) is returned where it has no ``kpt_shape``.

    Raises:
        UserError: ``kpt_shape`` is something else than ``[K, 2]`` or ``[K, 3]``.
    """
    shape = data.get('kpt_shape')
    if shape is None:
        return 0, 0
    texts = shape if isinstance(shape, list) and all(isinstance(text, str) for text in shape) else []
    if len(texts) != 2 or not texts[0].isdecimal() or int(texts[0]) < 1 or texts[1] not in ('2', '3'):
        raise UserError(f'{yaml_path} says kpt_shape: {shape}; [K, 2] or [K, 3] is needed, for K keypoints')
    return int(texts[0]), int(texts[1])


def split_sources(root: Path, data: Mapping[str, Any], split: str, report: ReadingReport) -> list[Path]:
    """The folders and lists of a split's images; none where neither the YAML file nor a usual name has it.

    Args:
        root: The folder of the data set.
        data: The content of the YAML file: a folder, a list, or several of these by split; and ``path``, the
            folder that they are relative to, if it is there.
        split: One of ``SPLITS``.
        report: The report, which gets a note of folders and lists that are not where the YAML file says.
    """
    aliases = SPLITS[split]
    named: Any = next((data[alias] for alias in aliases if data.get(alias)), [])
    sources, absent = [], []
    for part in named if isinstance(named, list) else [named]:
        try:
            sources.append(resolve(str(part), split_folders(root, data)))
        except UserError:
            absent.append(part)
    report.note(ABSENT_SOURCES, absent)
    if not sources:
        forms = ('images/{}', '{}/images', '{}.txt', '{}')
        layouts = [root / form.format(alias) for alias in aliases for form in forms]
        sources = [path for path in layouts if path.exists()][:1]
        report.note('folders or lists taken in their place', sources if absent else [])
    return sources


def split_images(root: Path, data: Mapping[str, Any], split: str, report: ReadingReport) -> list[Path]:
    """The images of a split, each once; see :func:`split_sources`."""
    sources = split_sources(root, data, split, report)
    images = (image for path in sources for image in images_of(path, root, report))
    return list(dict.fromkeys(images))


def find_splits(
    root: Path,
    data: Mapping[str, Any],
    report: ReadingReport,
    given: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, list[Path]]:
    """The images of each split that has any, see :func:`split_images`.

    Args:
        root: The folder of the data set.
        data: The content of the YAML file.
        report: The report.
        given: The user's own folders or lists by split, which win.

    Raises:
        UserError: A folder or list of the user's is not there.
    """
    splits = {}
    for split in SPLITS:
        if path := given.get(split):
            source = resolve(path, split_folders(root, data))
            splits[split] = list(dict.fromkeys(images_of(source, root, report)))
        else:
            splits[split] = split_images(root, data, split, report)
    return {split: images for split, images in splits.items() if images}


def split_folders(root: Path, data: Mapping[str, Any]) -> list[Path]:
    """The folders that the paths in a YAML file may be relative to, the likeliest first."""
    return [root / str(data.get('path') or ''), root]


def unsplit_images(root: Path, report: ReadingReport) -> list[Path]:
    """The images of a data set without splits, which are for training; this is noted."""
    folder = root / 'images' if (root / 'images').is_dir() else root
    images = images_of(folder, root, report)
    # Pictures in folders of any name are those of the data set where labels lie beside them.
    if folder == root and not any(os.path.isfile(label_path(image)) for image in images):
        return []
    report.note(UNSPLIT, images)
    return images


def resolve(name: str, folders: Sequence[Path]) -> Path:
    """Finds a path relative to one of the folders.

    Some exports write ``../train/images`` for what is ``train/images`` beside the file, others the folders of
    another computer: the first folders are left out until the path is there. Its last two parts are kept,
    since ``images`` alone is not ``train/images``.

    Raises:
        UserError: There is no such folder or file.
    """
    endings = path_endings(name)
    forms = (name, name.removeprefix('../'), *(endings[:-1] or endings))
    candidates = [folder / form for form in forms for folder in folders]
    for candidate in candidates:
        if os.path.exists(candidate):  # Path.exists raises for a name that is too long
            return Path(os.path.normpath(candidate))
    raise UserError(f'{candidates[0]}: no such folder or list of images; correct the path of the split')


def images_of(source: Path, root: Path, report: ReadingReport) -> list[Path]:
    """The images in a folder, or those that a list names, relative to the root or to the list's folder.

    Lists written elsewhere name folders that are not here (``data/obj_train_data/a.jpg`` in Darknet's and
    CVAT's): the first folders of a path are left out until there is such a file below the root. It is noted
    where all of them were.
    """
    if source.is_dir():
        return list_images(source, PICTURE_SUFFIXES)  # other tools keep decoded images beside them, as .npy
    images = []
    for name in read_lines(source):
        below = [root / ending for ending in path_endings(name)]
        direct = [root / name, source.parent / name, *below[:1]]
        found = next((path for path in (*direct, *below[1:]) if os.path.exists(path)), direct[1])
        if found not in direct and found == below[-1]:
            report.note('listed images found without the folders of their path', [name])
        images.append(Path(os.path.normpath(found)))
    return images


def label_path(image: Path) -> Path:
    """The path of the label file of an image, or the one at which it has to be."""
    paths = label_paths(image)
    there = (
        path for path in (*paths, *(path.with_suffix('.TXT') for path in paths)) if os.path.lexists(path)
    )
    return next(there, paths[0])


def label_paths(image: Path) -> tuple[Path, Path]:
    """The two paths that the label file of an image may have: in the folder of labels, and beside it."""
    beside = image.with_suffix('.txt')
    parts = list(beside.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part in _LABEL_FOLDERS]
    if folders:
        parts[folders[-1]] = _LABEL_FOLDERS[parts[folders[-1]]]
    return Path(*parts), beside


def note_missing_labels(labels: Mapping[Path, Path], report: ReadingReport) -> None:
    """Notes label files of several images and images without a label file.

    Args:
        labels: The label file of each image, see :func:`label_path`.
        report: The report.

    Raises:
        UserError: Not one image has a label file.
    """
    counts = Counter(labels.values())
    report.note('label files of several images', [path for path, count in counts.items() if count > 1])
    missing = [path for path in sorted(counts) if not os.path.lexists(path)]
    if labels and len(missing) == len(counts):
        raise UserError(f'{missing[0]}: no such label file, nor one for any other image; check the folders')
    report.note('images without a label file, taken as background', missing)


def note_lost_labels(labels: Iterable[Path], report: ReadingReport) -> None:
    """Notes the label files of :func:`lost_labels`."""
    report.note('label files that belong to no image of a split', lost_labels(labels))


def lost_labels(labels: Iterable[Path]) -> list[Path]:
    """The label files that belong to no image, in the folders of those that do.

    Args:
        labels: The label files of the images of all splits.
    """
    paths = set(labels)
    folders = {path.parent for path in paths if not {*_LABEL_FOLDERS.values()}.isdisjoint(path.parts)}
    there = {
        path for folder in folders for path in folder.glob('*.[tT][xX][tT]') if path.name != 'classes.txt'
    }
    return sorted(there - paths)
