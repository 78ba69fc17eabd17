"""Data sets annotated in COCO's detection format."""

import logging
import os.path as osp
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.errors import UserError, alike, first_few
from mmyolox.registry import DATASETS

from . import annotation_cache
from .annotations import AnnotationReport, check_boxes, configured_classes
from .base import DetectionDataset
from .canvas.images import UndecodableImageError, read_file
from .coco_file import CocoAnnotations, read_coco
from .columns import Array
from .image_sizes import check_image_sizes
from .listed_files import check_files_exist
from .table import AnnotationTable, IdColumn, TextColumn, described

_SLICE = 2**20
"""How many boxes are checked at once."""


@DATASETS.register_module()
class YOLOXCocoDataset(DetectionDataset):
    """Images and boxes of a COCO annotation file.

    Each entry of the data list is ``dict(img_id, img_path, height, width, bboxes, labels, is_crowd)``:
    ``bboxes`` (M, 4) float32 xyxy in pixels of the original image, ``labels`` (M,) int64, ``is_crowd`` (M,)
    bool (``iscrowd``, or the ``ignore`` of other data sets in this format). Boxes are cut to their image;
    those without area, outside of it or with impossible numbers are dropped; a warning and ``report`` say
    how many.

    Label i is the i-th of ``metainfo['classes']`` by name, whatever the file's order; without ``classes``
    all of the file's categories are taken, in its order, see
    :func:`~mmyolox.datasets.coco_file.named_classes`. The completed
    ``metainfo`` also has ``cat_ids``, the category id of each label.

    Args are those of :class:`DetectionDataset`, here with:

    - ``data_prefix``: ``dict(img=...)``, the image folder.
    - ``filter_cfg``: see :func:`~mmyolox.datasets.annotations.filter_images`; not used in test mode.
    - ``backend_args``: of MMEngine's file backend. If set, or of a path such as ``s3://...``, the first image
      is read in advance, and others are not looked for.

    Raises:
        UserError: The annotation file or images are missing or at fault, the file lacks a configured class,
            or nothing is left to train on.
    """

    annotation_fields: tuple[str, ...] = ()
    """Further fields of the file's annotations that the data set reads."""

    def load_data_list(self) -> AnnotationTable:
        """Reads the annotation file, or what an earlier start kept of it; see the class for the entries."""
        classes = configured_classes(self.metainfo)
        file = read_coco(
            self.ann_file,
            backend_args=self.backend_args,
            need_annotations=not self.test_mode,
            fields=self.annotation_fields,
        )
        self.set_classes(file, classes or file.class_names)
        has_keypoints = any(category.get('keypoints') for category in file.categories)
        self.report = AnnotationReport(
            file.path,
            images=len(file.images),
            has_unread_keypoints=has_keypoints and 'keypoints' not in self.annotation_fields,
        )
        # Whether a name was written on Windows depends on the files that are there.
        names = [*map(self._image_path, file.file_names)] if file.columns.info['has_backslash'] else None
        folder, digest = self._image_folder, file.digest
        key = None if digest is None else dict(content=digest, folder=folder, names=names)
        table = self.cached_entries(key, lambda: self._columns(file))
        if not self._is_local:
            self._check_access(table)
        else:
            name = None if key is None else annotation_cache.entry_name('folders', key)
            check_files_exist(file.path, 'images', self._image_folder, table.images('img_path'), name)
            check_image_sizes(file.path, table, is_first=not self.report.is_restored)
        classes_and_others = {*self.metainfo['classes'], *file.class_names}
        above = [c for c in file.categories if c['name'] not in classes_and_others] + file.namesakes_above
        left_out = [f'{category["name"]} (id {category["id"]})' for category in above]
        findings = {
            'categories without a box that are the supercategory of others, no classes (left out)': left_out,
            'categories that only case, blanks or underscores tell apart': alike(file.category_ids),
            'images of several entries, each of which lacks the boxes of the others': (
                self.report.repeated_images.examples
            ),
        }
        for line, names in findings.items():
            if names and not self.test_mode:
                print_log(f'{file.path}: {line}: {first_few(names)}', 'current', logging.WARNING)
        self.report.log()
        return table

    def ground_truth(self) -> dict[str, Any]:
        """The content of the file for the images of this data set, with areas as they stand there."""
        file = read_coco(
            self.ann_file,
            backend_args=self.backend_args,
            need_annotations=False,
            fields=self.annotation_fields,
        )
        own = {self.get_data_info(index)['img_id'] for index in range(len(self))}
        return dict(
            path=file.path,
            images=[image for image in file.images if image['id'] in own],
            annotations=[entry for entry in file.annotations if entry['image_id'] in own],
            categories=file.categories,
        )

    def _image_path(self, file_name: str) -> str:
        path = osp.join(self._image_folder, file_name)
        if '\\' in file_name and self._is_local and not osp.exists(path):
            path = osp.join(self._image_folder, file_name.replace('\\', '/'))  # written on Windows
        return path

    @property
    def _is_local(self) -> bool:
        return not self.backend_args and '://' not in self._image_folder

    def _check_access(self, table: AnnotationTable) -> None:
        for path in table.images('img_path')[:1]:
            try:
                read_file(path, self.backend_args)
            except UndecodableImageError as error:
                raise UserError(
                    f'{path}, the first of {len(table)} images, cannot be read ({error.reason}); check '
                    'data_root and img_prefix (of a data set, data_prefix)'
                ) from None

    @property
    def _image_folder(self) -> str:
        # MMEngine's default for `data_prefix` has the key `img_path`.
        folder = self.data_prefix.get('img', self.data_prefix.get('img_path'))
        if folder is None:
            raise UserError(f"data_prefix needs the key 'img', the image folder; it has {self.data_prefix}")
        return folder

    def set_classes(self, file: CocoAnnotations, classes: Sequence[str]) -> None:
        """Completes ``metainfo`` for ``classes``; data sets with more than boxes add to it here."""
        ids = file.ids_of(classes)
        self.complete_metainfo(classes=tuple(classes), cat_ids=ids)

    def _columns(self, file: CocoAnnotations) -> tuple[dict[str, Array], dict[str, Any]]:
        """The columns of the entries, as :func:`.table.described` makes them."""
        paths = TextColumn.of(map(self._image_path, file.file_names))
        self.report.repeated_images.note(
            [
                osp.relpath(path, self._image_folder)
                for path, count in Counter(map(osp.normpath, paths)).items()
                if count > 1
            ]
        )
        indices = self.select_annotations(file)
        self.report.turned.note([*file.ids.take(indices[file.is_turned[indices]])])
        bboxes = np.empty((len(indices), 4), np.float32)
        keep = np.empty(len(indices), np.bool_)
        for first in range(0, len(indices), _SLICE):
            part = slice(first, first + _SLICE)
            corners = file.bboxes[indices[part]]
            with np.errstate(invalid='ignore', over='ignore'):
                corners[:, 2:] += corners[:, :2]
            check = check_boxes(corners, file.image_sizes(indices[part]))
            bboxes[part] = check.bboxes
            keep[part] = self.report.record(check, file.ids.take(indices[part]))
        images = file.image_indices[indices]
        # Image by image, each in the file's order.
        order = np.flatnonzero(keep)[np.argsort(images[keep], kind='stable')]
        ends = np.cumsum(np.bincount(images[keep], minlength=len(file.sizes)))
        instances = {
            key: column.take(order) if isinstance(column, IdColumn) else column[order]
            for key, column in self.instance_columns(file, indices, bboxes).items()
        }
        widths, heights = file.sizes.T
        of_images = dict(img_id=file.image_ids, img_path=paths, height=heights, width=widths)
        return described(of_images, ends, instances)

    def select_annotations(self, file: CocoAnnotations) -> NDArray[np.int64]:
        """(n,) the indices of the annotations of the configured classes, rising.

        Data sets with more than boxes may leave out others here.
        """
        is_ours = file.labels(self._metainfo['cat_ids']) >= 0
        counts = np.bincount(file.category_indices, minlength=len(is_ours))
        for category, count in zip(file.categories, (counts * ~is_ours).tolist(), strict=True):
            if count:
                self.report.other_classes[category['name']] += count
        return np.flatnonzero(is_ours[file.category_indices])

    def instance_columns(
        self, file: CocoAnnotations, indices: NDArray[np.int64], bboxes: NDArray[np.float32]
    ) -> dict[str, Array | IdColumn]:
        """The columns of n annotations; data sets with more than boxes add theirs here.

        Args:
            file: The file of the annotations.
            indices: (n,) int64, which of the file's annotations: all of configured classes.
            bboxes: (n, 4) float32 xyxy, their boxes cut to the image, of any value where they are of no use:
                these annotations are left out afterwards.

        Returns:
            Columns of length n by key. What an image has of them becomes part of the data list's entry.
        """
        return dict(
            bboxes=bboxes,
            labels=file.labels(self._metainfo['cat_ids'])[file.category_indices[indices]],
            is_crowd=(file.iscrowd | file.ignore)[indices],
        )
