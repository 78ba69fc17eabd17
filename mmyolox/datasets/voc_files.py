"""The files of a Pascal VOC data set: XML files, images, and their splits by lists or folders."""

import os.path as osp
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmyolox.errors import ReadingReport, UserError
from mmyolox.files import IMAGE_SUFFIXES, PICTURE_SUFFIXES, list_images, path_endings, read_lines

from .splits import UNSPLIT, usual_split


@dataclass(frozen=True)
class VocFiles:
    """The files of a data set. An image is called by the path of its XML file, without the suffix.

    Attributes:
        root: The folder of the data set.
        images: The folder that the files in ``image_files`` are relative to.
        annotations: The folder of the XML files.
        xml_files: The XML files by image.
        image_files: The image files by image.
        lists: The lists of images, by split.
        folders: The images of the folders below ``annotations``, by split.
    """

    root: Path
    images: Path
    annotations: Path
    xml_files: dict[str, Path]
    image_files: dict[str, str]
    lists: dict[str, Path]
    folders: dict[str, list[str]]

    @property
    def splits(self) -> set[str]:
        """The names of all splits."""
        return {*self.lists, *self.folders}

    def image_name(self, line: str) -> str:
        """The image that a line of a list names, see :func:`listed_image`."""
        return listed_image(line, lambda name: name in self.xml_files or name in self.image_files)

    def images_of(self, split: str, report: ReadingReport) -> list[str]:
        """The images of a split; those that its list repeats are noted and dropped."""
        if split not in self.lists:
            return self.folders[split]
        names = [self.image_name(line) for line in read_lines(self.lists[split])]
        repeated = [name for name, count in Counter(names).items() if count > 1]
        report.note(f'images listed more than once in {self.lists[split]}', repeated)
        return list(dict.fromkeys(names))

    def listed_anywhere(self) -> set[str]:
        """Everything in a split."""
        lines = {line for path in self.lists.values() for line in read_lines(path)}
        return {self.image_name(line) for line in lines}.union(*self.folders.values())


def find_files(root: Path, report: ReadingReport) -> VocFiles:
    """Finds the files of a data set; of images that differ in their suffix only one is taken.

    Raises:
        UserError: It is no Pascal VOC data set.
    """
    parts = {path.name.lower(): path for path in sorted(root.glob('*'), reverse=True) if path.is_dir()}
    annotations = parts.get('annotations')
    images = parts.get('jpegimages', parts.get('images'))
    xml_files = annotation_files(annotations) if annotations else {}
    # A converter may have written COCO's files to a folder `annotations` beside the images.
    is_flat = not xml_files and 'jpegimages' not in parts
    inner = sorted(path.parent for path in root.glob('*/Annotations'))
    if is_flat:
        annotations = images = root
        xml_files = {} if inner else annotation_files(root)
    if annotations is None or images is None or not xml_files:
        part = 'JPEGImages' if xml_files else 'Annotations'
        hint = f'; do you mean {" or ".join(map(str, inner))}?' if is_flat and inner else ''
        reason = f'no folder {part}, nor XML files beside images, so this is not a Pascal VOC data set'
        raise UserError(f'{root}: {reason}{hint}')
    folders: dict[str, list[str]] = {}
    for name in xml_files:
        if '/' in name:
            folders.setdefault(name.split('/')[0], []).append(name)
    list_folder = next(path for path in (root / 'ImageSets/Main', root / 'ImageSets', root) if path.is_dir())
    lists = {path.stem: path for path in sorted(list_folder.glob('*.txt'))}
    files = VocFiles(root, images, annotations, xml_files, image_files(images, report), lists, folders)
    if not usual_split('train', files.splits) and list_folder == root:
        others = [split for name in ('val', 'test') if (split := usual_split(name, files.splits))]
        held_out = {image for split in others for image in files.images_of(split, ReadingReport())}
        if rest := [name for name in xml_files if name not in held_out]:
            folders['train'] = rest
            kept = f' but those of {" and ".join(others)}' * bool(others)
            line = f'no list or folder of training images, all images{kept} taken for training'
            report.note(line if others else UNSPLIT, rest)
    return files


def annotation_files(folder: Path) -> dict[str, Path]:
    """The XML files under a folder by the name of their image: their path in it, without the suffix."""
    paths = list_images(folder, {'.xml'})
    return {path.relative_to(folder).with_suffix('').as_posix(): path for path in paths}


def image_files(folder: Path, report: ReadingReport) -> dict[str, str]:
    """The images under a folder, relative to it, by their path without the suffix.

    Of those that differ in their suffix only the first is taken; the others are noted.
    """
    names = [path.relative_to(folder) for path in list_images(folder, PICTURE_SUFFIXES)]
    files = {name.with_suffix('').as_posix(): name.as_posix() for name in reversed(names)}
    others = sorted({name.as_posix() for name in names} - {*files.values()})
    report.note('images that differ in their suffix only, not taken', others)
    return files


def listed_image(line: str, is_known: Callable[[str], bool]) -> str:
    """The image that a line of a split file names: an image's file without its suffix.

    Lists of other tools have the suffix of the image or of the XML file, folders before the name (of this or
    another computer), and behind a blank a flag or the XML file.

    Args:
        line: The line, without blanks around it.
        is_known: Whether there is an image of a name.

    Returns:
        The first reading that is known; the line without a suffix if none is.
    """
    readings = list(_readings(line))
    return next((reading for reading in readings if is_known(reading)), readings[1])


def _readings(line: str) -> Iterator[str]:
    for text in (line, *line.split()[:1]):
        for name in (text, *path_endings(text)[1:]):
            yield name
            stem, suffix = osp.splitext(name)
            yield stem if suffix.lower() in IMAGE_SUFFIXES | {'.xml'} else name
