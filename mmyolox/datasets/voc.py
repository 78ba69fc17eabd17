"""Data sets annotated in Pascal VOC's format."""

import json
import logging
import os
import os.path as osp
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.fileio import get, get_local_path
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import ReadingReport, UserError, alike, did_you_mean, first_few
from mmyolox.files import IMAGE_SUFFIXES, from_here, read_lines
from mmyolox.registry import DATASETS

from . import annotation_cache
from .annotations import (
    AnnotationReport,
    box_around,
    configured_classes,
    image_entry,
    read_flag,
    read_rotation,
)
from .base import DetectionDataset
from .canvas.images import UndecodableImageError, read_image
from .image_sizes import check_image_sizes, read_image_size
from .listed_files import check_files_exist, list_folder
from .table import AnnotationTable, described, split
from .voc_files import annotation_files, image_files, listed_image

_LONGEST_SIDE = 2**20  # OpenCV's limit
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


@dataclass(frozen=True)
class VocImage:
    """What a Pascal VOC annotation file says about its image, M objects.

    Attributes:
        filename: The ``<filename>`` entry, ``''`` where the file has none.
        width: The width in pixels, 0 where the file does not say.
        height: The height in pixels, 0 where the file does not say.
        names: The M class names, in the file's order.
        bboxes: (M, 4) float32 xyxy in pixels of the image, as written: degenerate boxes are kept.
        difficult: (M,) bool, the objects flagged ``difficult``.
        numbers: (M,) the place of each object among all of the file, from 1.
        turned: The number of objects with CVAT's attribute ``rotation``, for whose turned box the upright
            one around it is in ``bboxes``.
    """

    filename: str
    width: int
    height: int
    names: tuple[str, ...]
    bboxes: NDArray[np.float32]
    difficult: NDArray[np.bool_]
    numbers: tuple[int, ...]
    turned: int


def read_voc_xml(path: str | Path, *, one_based: bool = True, faults: list[str] | None = None) -> VocImage:
    """Reads one Pascal VOC annotation file.

    Args:
        path: The XML file.
        one_based: Whether to subtract 1 from every coordinate. Pascal VOC counts pixels from 1; mmdet's
            ``XMLDataset`` (3.x) subtracts 1 from all four corners too, so that boxes agree with it.
        faults: A list that gets a line for each object at fault, which is left out then. None raises.

    Returns:
        The objects of the image. Coordinates keep their fraction if they have one (mmdet cuts it off).

    Raises:
        UserError: The file is missing, is not XML, has boxes elsewhere than in objects or annotations
            inside one another, or an object lacks its name or a corner, or holds something that is no number.
    """
    root = _read_root(path)
    if root.tag != 'annotation' and root.find('object') is None:
        raise UserError(f'{path}: its root is <{root.tag}>; that of a Pascal VOC file is <annotation>')
    if root.find('object') is None and root.find('.//bndbox') is not None:
        raise UserError(f'{path}: it has a <bndbox>, but no <object> directly below <{root.tag}>')
    if root.tag == 'annotation' and root.find('annotation') is not None:
        raise UserError(f'{path}: it has an <annotation> directly below <annotation>; one is needed')
    objects: list[_Object] = []
    numbers: list[int] = []
    for number, obj in enumerate(root.findall('object'), start=1):
        try:
            objects.append(_read_object(obj, path))
            numbers.append(number)
        except UserError as error:
            if faults is None:
                raise
            faults.append(str(error))
    with np.errstate(over='ignore'):  # beyond float32 is infinite
        boxes = np.array([obj.box for obj in objects], np.float32).reshape(-1, 4)
    return VocImage(
        filename=(root.findtext('filename') or '').strip(),
        width=_pixels(root, 'size/width', path),
        height=_pixels(root, 'size/height', path),
        names=tuple(obj.name for obj in objects),
        bboxes=boxes - np.float32(one_based),
        difficult=np.array([obj.difficult for obj in objects], np.bool_),
        numbers=tuple(numbers),
        turned=sum(obj.rotation != 0 for obj in objects),
    )


def annotated_classes(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """The sorted names of all objects in Pascal VOC annotation files.

    Raises:
        UserError: A file is missing or is not XML.
    """
    names = {name.text or '' for path in paths for name in _read_root(path).iterfind('object/name')}
    return tuple(sorted({name.strip() for name in names} - {''}))


def _pixels(root: ElementTree.Element, tag: str, path: str | Path) -> int:
    value = _number(root, tag, path, default=0)
    if not 0 <= value <= _LONGEST_SIDE or value % 1:
        raise UserError(f'{path}: <{tag}> holds {value:g}, a whole number of pixels is needed')
    return int(value)


def _read_root(path: str | Path) -> ElementTree.Element:
    """The root of an XML file; raises UserError where there is none."""
    if osp.exists(path) and not osp.isfile(path):  # a pipe would wait for ever
        raise UserError(f'{path}: not a regular file')
    try:
        return _parse_xml(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f'{path}: annotation file not found') from None
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: an odd encoding
        raise UserError(f'{path}: not a valid XML file ({error})') from None


def _parse_xml(content: bytes) -> ElementTree.Element:
    """The root of an XML file in the encoding that it declares."""
    try:
        return ElementTree.fromstring(content)
    except (LookupError, ValueError):  # Python's parser knows no encodings of several bytes but Unicode's
        declaration = re.match(rb'<\?xml[^>]*encoding=["\']([\w.-]+)["\'][^>]*\?>', content)
        if declaration is None:
            raise
        return ElementTree.fromstring(content[declaration.end() :].decode(declaration[1].decode()))


class _Object(NamedTuple):
    """An object: its box is xyxy in pixels, the upright one where it is turned by ``rotation`` degrees."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    rotation: float


def _read_object(element: ElementTree.Element, path: str | Path) -> _Object:
    """Reads an object; raises UserError where it lacks something or holds something else."""
    name = (element.findtext('name') or '').strip()
    if not name:
        raise UserError(f'{path}: an <object> has no <name>')
    if (count := len(element.findall('bndbox'))) != 1:
        parts = first_few(dict.fromkeys(f'<{part.tag}>' for part in element), 8)
        raise UserError(f'{path}: an <object> ({name}) has {count} <bndbox>, 1 is needed; it has {parts}')
    box = [_number(element, f'bndbox/{corner}', path) for corner in _CORNERS]
    rotations = [
        read_rotation(attribute.findtext('value'))
        for attribute in element.findall('attributes/attribute')
        if attribute.findtext('name') == 'rotation'
    ]
    rotation = rotations[0] if rotations else 0.0
    text = (element.findtext('difficult') or '').strip()
    try:
        return _Object(name, box_around(box, rotation), read_flag(text or None), rotation)
    except ValueError:
        raise UserError(f'{path}: <difficult> of <object> holds {text!r}, 0 or 1 is needed') from None


def _number(element: ElementTree.Element, tag: str, path: str | Path, default: float | None = None) -> float:
    text = (element.findtext(tag) or '').strip()
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{path}: <{tag}> of <{element.tag}> holds {text!r}, a number is needed') from None


@DATASETS.register_module()
class YOLOXVOCDataset(DetectionDataset):
    """Images and boxes of a split of a Pascal VOC folder (``JPEGImages``, ``Annotations``, ``ImageSets``).

    Without a split file, all images that have an XML file are read. The entries are those of
    :class:`YOLOXCocoDataset`, with ``difficult`` in ``is_crowd`` and the name of the XML file, without the
    suffix, as ``img_id``. The classes are VOC's 20 unless ``metainfo`` has others. ``metainfo`` has
    ``dataset_type``, ``'VOC2007'`` or ``'VOC2012'`` (else None), which mmdet's ``VOCMetric`` reads.

    Args:
        *args: Those of :class:`DetectionDataset`. ``ann_file`` is a split file with one image name a line,
            if there is one. ``data_prefix`` is ``dict(sub_data_root='VOC2007/')``, the folder that holds the
            next two; both relative to ``data_root``. The key names are those of mmdet's ``VOCDataset`` (3.x).
        img_subdir: The images' folder; ``<name>.jpg``, or another suffix where there is no such file.
        ann_subdir: The folder of the ``<name>.xml``. Where these lie beside the images, both are ``''``.
        one_based: Whether to subtract 1 from the coordinates, as mmdet does; see :func:`read_voc_xml`. False
            for files whose boxes count pixels from 0.
        excluded: Split files and folders of XML files, relative to ``data_root``, whose images are left out:
            those of other splits.
        **kwargs: Those of :class:`DetectionDataset`.

    Raises:
        UserError: A file or folder is missing or at fault, no object is of a configured class, or nothing
            is left to train on.
    """

    METAINFO = dict(
        classes=(
            'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
            'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
            'tvmonitor',
        )
    )  # fmt: skip

    def __init__(
        self,
        *args: Any,
        img_subdir: str = 'JPEGImages',
        ann_subdir: str = 'Annotations',
        one_based: bool = True,
        excluded: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self.img_subdir = img_subdir
        self.ann_subdir = ann_subdir
        self.one_based = one_based
        self.excluded = tuple(excluded)
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> AnnotationTable:
        """Reads the split file and the annotation of each of its images; see the class for the entries."""
        standard: tuple[str, ...] = self.METAINFO['classes']
        classes = configured_classes(self.metainfo) or standard
        root = self.data_prefix.get('sub_data_root', '')
        year = next((year for year in ('VOC2007', 'VOC2012') if year in root), None)
        # mmdet prints the 20 standard names for a set of this type, whatever `classes` says.
        self.complete_metainfo(classes=classes, dataset_type=year if classes == standard else None)
        self._labels = {name: label for label, name in enumerate(classes)}
        files = self._without_excluded(self._split_files() if self.ann_file else self._all_files())
        self.report = AnnotationReport(self.ann_file or self._folder(self.ann_subdir), images=len(files))
        paths = (path for _, *pair in files for path in pair)
        digest = None if self.backend_args else annotation_cache.listing_digest(paths)
        names = [name for name, _, _ in files]
        key = None if digest is None else dict(listing=digest, names=names, one_based=self.one_based)
        table = self.cached_entries(key, lambda: described(*split([self._entry(*one) for one in files])))
        from_zero = self.report.from_zero
        if from_zero.count and not self.test_mode:
            advice = 'set one_based=False if these annotations count pixels from 0'
            line = f'{from_zero.count} boxes start at 0 (in {first_few(from_zero.examples)}): {advice}'
            print_log(f'{self.report.path}: {line}', 'current', logging.WARNING)
        if not self.backend_args:
            check_image_sizes(self.report.path, table, is_first=not self.report.is_restored)
        self._check_classes(table)
        self.report.log()
        return table

    def _split_files(self) -> list[tuple[str, str, str]]:
        """Name, image file and XML file of the images in the split file."""
        names = self._read_split()
        img_folder, ann_folder = self._folder(self.img_subdir), self._folder(self.ann_subdir)
        files = set() if self.backend_args else list_folder(img_folder)
        stems = {
            osp.splitext(file)[0]: file
            for file in sorted(files)
            if osp.splitext(file)[1].lower() in IMAGE_SUFFIXES
        }
        usual = [f'{name}.jpg' for name in names]
        paths = [
            osp.join(img_folder, file if file in files else stems.get(name, file))
            for name, file in zip(names, usual, strict=True)
        ]
        xml_paths = [osp.join(ann_folder, f'{name}.xml') for name in names]
        if not self.backend_args:
            check_files_exist(self.ann_file, 'images', img_folder, paths)
            check_files_exist(self.ann_file, 'annotations', ann_folder, xml_paths)
        return list(zip(names, paths, xml_paths, strict=True))

    def _all_files(self) -> list[tuple[str, str, str]]:
        """Name, image file and XML file of all images that have an XML file; what has none is told."""
        if self.backend_args:
            raise UserError('ann_file is not set: with backend_args it must be a split file')
        img_folder, ann_folder = Path(self._folder(self.img_subdir)), Path(self._folder(self.ann_subdir))
        for what, folder in (('images', img_folder), ('annotations', ann_folder)):
            if not folder.is_dir():
                raise UserError(f'{from_here(folder)}, the folder of the {what}, not found; check data_root')
        report = ReadingReport()
        xml_files, images = annotation_files(ann_folder), image_files(img_folder, report)
        report.note('images without an XML file (left out)', [n for n in images if n not in xml_files])
        report.note('XML files without an image (left out)', [n for n in xml_files if n not in images])
        if not self.test_mode and (lines := report.note_lines(shown=3)):
            print_log(f'{ann_folder}: {"; ".join(lines)}', 'current', logging.WARNING)
        if xml_files.keys().isdisjoint(images):
            raise UserError(
                f'{img_folder}: none of {len(images)} images has one of the {len(xml_files)} XML files in '
                f'{ann_folder}'
            )
        return [
            (name, str(img_folder / images[name]), str(xml))
            for name, xml in xml_files.items()
            if name in images
        ]

    def _without_excluded(self, files: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """The files of the images that are in none of ``excluded``."""
        known = {name for name, _, _ in files}
        others: set[str] = set()
        for path in (Path(self._folder(source)) for source in self.excluded):
            if path.is_dir():
                inner = osp.relpath(path, self._folder(self.ann_subdir)).replace(os.sep, '/')
                others.update(f'{inner}/{name}' for name in annotation_files(path))
            else:
                others.update(listed_image(line, known.__contains__) for line in read_lines(path))
        if known and known <= others:
            raise UserError(f'{self._folder("")}: all images are in {first_few(self.excluded)}: none is left')
        return [one for one in files if one[0] not in others]

    def _folder(self, subdir: str) -> str:
        return osp.join(self.data_prefix.get('sub_data_root', self.data_root or ''), subdir)

    def _read_split(self) -> list[str]:
        """The image names in the split file."""
        path = self.ann_file
        try:
            content = get(path, backend_args=self.backend_args)
            lines = content.decode(json.detect_encoding(content)).splitlines()
        except FileNotFoundError:
            raise UserError(
                f'split file {from_here(path)} not found; say where the data lie: '
                '--cfg-options data_root=FOLDER'
            ) from None
        except OSError as error:
            raise UserError(f'split file {path} cannot be read ({error.strerror})') from None
        except UnicodeDecodeError:
            raise UserError(f'split file {path} is not a text file') from None
        folder = self._folder(self.ann_subdir)
        listed = set() if self.backend_args else list_folder(folder)

        def is_known(name: str) -> bool:
            is_inside = osp.basename(name) == name
            return f'{name}.xml' in listed if is_inside else osp.isfile(osp.join(folder, f'{name}.xml'))

        names = [listed_image(line, is_known) for line in filter(None, map(str.strip, lines))]
        if not names:
            raise UserError(f'split file {path} is empty')
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise UserError(f'{path}: images listed more than once: {first_few(repeated)}')
        return names

    def _entry(self, name: str, img_path: str, xml_path: str) -> dict[str, Any]:
        with get_local_path(xml_path, backend_args=self.backend_args) as path:
            voc = read_voc_xml(path, one_based=self.one_based)
        self.report.turned.note([name] * voc.turned)
        if self.one_based:
            self.report.from_zero.note([name] * int((voc.bboxes[:, :2] == -1).any(axis=1).sum()))
        size = Size(voc.width, voc.height)
        if min(size) <= 0:
            try:
                if self.backend_args:
                    size = Size.of_shape(read_image(img_path, backend_args=self.backend_args).shape)
                else:
                    size = read_image_size(img_path)
            except (UndecodableImageError, UserError) as error:
                raise UserError(f'{error}, and its annotation does not give its size') from None
        return image_entry(
            self.report, self._labels, name, img_path, size, voc.names, voc.bboxes, voc.difficult
        )

    def _check_classes(self, table: AnnotationTable) -> None:
        """Looks for misspelt classes, since a VOC folder has no list of its own."""
        report, others = self.report, self.report.other_classes
        if others and not report.boxes + report.dropped:
            raise UserError(
                f'{report.path}: none of the classes {first_few(self._labels)} is annotated; '
                f'the annotations name {first_few(others, 20)}; name some of these by classes=... (of a '
                'data set, metainfo=dict(classes=...))'
            )
        if same := alike(sorted({*self._labels, *others})):
            line = 'classes that only case, blanks or underscores tell apart'
            print_log(f'{report.path}: {line}: {first_few(same)}', 'current', logging.WARNING)
        used = {*np.unique(table.instances('labels')).tolist()}
        for name, label in self._labels.items():
            if label not in used and (hint := did_you_mean(name, others)):
                print_log(f'{report.path}: no box of class {name!r}{hint}', 'current', logging.WARNING)
