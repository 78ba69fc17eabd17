"""What an analysis is of: the objects of a data set, and what one model detected, as arrays.

Images, objects and detections have fixed orders, which all arrays of an analysis follow: images by id,
objects by image, detections by image and then by falling score, where ties stay as they were. It is the order
in which COCO's evaluation takes them.
"""

import os.path as osp
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets import detection_datasets
from mmyolox.datasets.annotations import UNBOUNDED, is_bounded
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.datasets.columns import Array
from mmyolox.datasets.ground_truth import ground_truth
from mmyolox.errors import UserError, counted, first_few

from .results_file import Results, read_results
from .skeleton import Skeleton

SCORE_ROUNDING = 1e-6
"""How far beyond 0 and 1 a score is rounding."""


@dataclass(frozen=True)
class GroundTruth:
    """The I images and T objects of a data set, crowds among them.

    Attributes:
        path: The annotation file, for messages.
        classes: The C classes; a label is an index of them.
        category_ids: (C,) the id of each class in COCO's files.
        image_ids: The I ids, rising; numbers come before texts.
        paths: The I image files; relative ones as the annotations have them.
        sizes: (I, 2) int64, width and height in pixels.
        ids: The T ids of the annotations.
        images: (T,) int64, the index of the image of each object, rising.
        labels: (T,) int64.
        bboxes: (T, 4) float64 xyxy, pixels of the image, as annotated: not cut to it.
        is_crowd: (T,) bool, the regions that are neither object nor background (``iscrowd``).
        areas: (T,) float64, square pixels, as annotated (of the outline where there is one), else of the box.
        keypoints: (T, K, 3) float64, x and y in pixels of the image and COCO's visibility, zeros for those
            not labelled; None where the data set has no skeleton.
        skeleton: What the K keypoints are.
        notes: What was left out, a line each.
    """

    path: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_ids: Sequence[int | str]
    paths: Sequence[str]
    sizes: NDArray[np.int64]
    ids: Sequence[int | str]
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    bboxes: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None = None
    skeleton: Skeleton | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of_dataset(cls, dataset: Any) -> 'GroundTruth':
        """The objects of a data set of ours, whatever the format of its files.

        Args:
            dataset: The data set, or one that joins several.

        Raises:
            UserError: It is none of ours, or its annotations are at fault.
        """
        skeleton = Skeleton.of_metainfo(dataset.metainfo)
        fields = () if skeleton is None else ('keypoints',)
        file = CocoAnnotations.of(**ground_truth(dataset), fields=fields)
        paths: dict[int | str, str] = {}
        for part in detection_datasets(dataset):
            part.full_init()
            table = part.data_list.only('img_id', 'img_path')
            paths |= zip(table.images('img_id'), table.images('img_path'), strict=True)
        return cls.of_annotations(file, tuple(dataset.metainfo['classes']), paths, skeleton)

    @classmethod
    def of_annotations(
        cls,
        file: CocoAnnotations,
        classes: Sequence[str] | None = None,
        paths: Mapping[int | str, str] | str | Path = '',
        skeleton: Skeleton | None = None,
    ) -> 'GroundTruth':
        """The objects of a COCO annotation file.

        Objects of other classes, and those with impossible numbers, are left out, as in our evaluation.

        Args:
            file: The file; with its field ``keypoints``, where there is a skeleton.
            classes: The classes in the order of the model's labels; by default the file's.
            paths: The image file of each id; or the image folder.
            skeleton: What the keypoints are.

        Raises:
            UserError: The file lacks a class, or its keypoints do not fit the skeleton.
        """
        classes = file.class_names if classes is None else tuple(classes)
        category_ids = file.ids_of(classes)
        ids = [*file.image_ids]
        by_id = np.array(sorted(range(len(ids)), key=lambda index: (isinstance(ids[index], str), ids[index])))
        rank = np.empty(len(ids), np.int64)
        rank[by_id] = np.arange(len(ids))
        labels = file.labels(category_ids)[file.category_indices]
        areas = np.where(np.isnan(file.areas), file.bboxes[:, 2:].prod(1), file.areas)
        is_own, bounded = labels >= 0, is_bounded(file.bboxes)
        # COCO's evaluation passes over objects of a negative area.
        own = np.flatnonzero(is_own & bounded & (areas >= 0))
        notes = _left_out(
            file,
            (~is_own, 'of classes that the model does not have'),
            (is_own & ~bounded, UNBOUNDED),
            (is_own & bounded & (areas < 0), 'of a negative area'),
        )
        order = own[np.argsort(rank[file.image_indices[own]], kind='stable')]
        return cls(
            file.path,
            classes,
            tuple(category_ids),
            [ids[index] for index in by_id],
            _paths_of(file, by_id, paths),
            file.sizes[by_id],
            [*file.ids.take(order)],
            rank[file.image_indices[order]],
            labels[order],
            np.concatenate([file.bboxes[order, :2], file.bboxes[order, :2] + file.bboxes[order, 2:]], 1),
            file.iscrowd[order],
            areas[order],
            None if skeleton is None else skeleton.read_keypoints(file, order, labels[order]),
            skeleton,
            notes,
        )

    @property
    def is_object(self) -> NDArray[np.bool_]:
        """(T,) bool: what is to be found, all but crowds."""
        return ~self.is_crowd

    @property
    def object_counts(self) -> NDArray[np.int64]:
        """(C,) int64: how many objects of each class are to be found."""
        return np.bincount(self.labels[self.is_object], minlength=len(self.classes))


def _left_out(file: CocoAnnotations, *reasons: tuple[Array, str]) -> tuple[str, ...]:
    """The lines about annotations that are left out: which, (T,) bool, and what they are."""
    notes = []
    for mask, what in reasons:
        if mask.any():
            named = first_few(file.ids[index] for index in np.flatnonzero(mask)[:4].tolist())
            boxes = counted(int(mask.sum()), 'box')
            notes.append(f'{file.path}: {boxes} {what} left out (annotation ids {named})')
    return tuple(notes)


def _paths_of(file: CocoAnnotations, by_id: Array, paths: Mapping[int | str, str] | str | Path) -> list[str]:
    names, ids = [*file.file_names], [*file.image_ids]
    if isinstance(paths, Mapping):
        return [paths.get(ids[index], names[index]) for index in by_id]
    return [osp.join(paths, names[index]) for index in by_id]


@dataclass(frozen=True)
class Detections:
    """The N detections of a model in the images of a data set, by image and by falling score.

    Attributes:
        images: (N,) int64, the index of the image, rising.
        labels: (N,) int64.
        bboxes: (N, 4) float64 xyxy, pixels of the image.
        scores: (N,) float64 from 0 to 1, falling within an image.
        keypoints: (N, K, 3) float64, x, y in pixels of the image, and score; None for a model without any.
    """

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    bboxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None = None

    @classmethod
    def of_results(cls, results: Results, truth: GroundTruth) -> 'Detections':
        """The content of a file in COCO's result format.

        Args:
            results: The content, see :func:`.results_file.read_results`.
            truth: The data set that they are of.

        Raises:
            UserError: The results are of another data set or of other classes, or have impossible numbers.
        """
        numbers = {image_id: index for index, image_id in enumerate(truth.image_ids)}
        images = np.array([numbers.get(image_id, -1) for image_id in results.image_ids], np.int64)
        results.refuse(
            images < 0,
            results.image_ids,
            f'are of images that {truth.path} does not have: these are results of another data set; ids',
        )
        of_category = {category_id: label for label, category_id in enumerate(truth.category_ids)}
        ids = results.category_ids.tolist()
        labels = np.array([of_category.get(category_id, -1) for category_id in ids], np.int64)
        results.refuse(
            labels < 0,
            ids,
            f'are of categories that are no class of {truth.path} ({first_few(truth.classes)}); category ids',
        )
        keypoints = None
        listed = results.keypoints if len(labels) else []  # a model of poses may detect nothing
        if truth.skeleton is not None and listed is not None:
            keypoints = truth.skeleton.spread(listed, labels, results.path)
        bboxes = np.concatenate([results.bboxes[:, :2], results.bboxes[:, :2] + results.bboxes[:, 2:]], 1)
        return cls._checked(images, labels, bboxes, results.scores, keypoints, results.path)

    @classmethod
    def of_images(
        cls, found: Iterable[tuple[int | str, NDArray[np.floating]]], truth: GroundTruth
    ) -> 'Detections':
        """What our metrics keep of an evaluation.

        Args:
            found: The id of each image and its detections (n, 6 + 3K): xyxy in pixels of the image, score,
                label, and x, y and score of each keypoint; of a model without keypoints (n, 6).
            truth: The data set that they are of.

        Raises:
            UserError: An image is not in the data set, or numbers are impossible.
        """
        numbers = {image_id: index for index, image_id in enumerate(truth.image_ids)}
        pairs = [*found]
        if unknown := [image_id for image_id, _ in pairs if image_id not in numbers]:
            raise UserError(f'{truth.path} has no images of the ids {first_few(unknown)}')
        images = np.repeat(
            np.array([numbers[image_id] for image_id, _ in pairs], np.int64),
            [len(detections) for _, detections in pairs],
        )
        parts = [detections for _, detections in pairs if len(detections)]
        together = np.concatenate(parts or [np.empty((0, 6))]).astype(np.float64)
        keypoints = None
        # A metric of boxes alone may evaluate a data set that has keypoints.
        if truth.skeleton is not None and (not parts or together.shape[1] > 6):
            keypoints = together[:, 6:].reshape(len(together), len(truth.skeleton.names), 3)
        labels = together[:, 5].astype(np.int64)
        return cls._checked(images, labels, together[:, :4], together[:, 4], keypoints, 'the detections')

    @classmethod
    def _checked(
        cls,
        images: NDArray[np.int64],
        labels: NDArray[np.int64],
        bboxes: NDArray[np.float64],
        scores: NDArray[np.float64],
        keypoints: NDArray[np.float64] | None,
        path: str,
    ) -> 'Detections':
        is_drawn = np.ones(len(scores), bool) if keypoints is None else np.isfinite(keypoints).all((1, 2))
        is_score = (scores >= -SCORE_ROUNDING) & (scores <= 1 + SCORE_ROUNDING)
        for mask, what, values in (
            (~is_score, 'a score that is no number from 0 to 1', scores),
            (~is_bounded(bboxes), f'a box {UNBOUNDED}', bboxes),
            ((bboxes[:, 2:] < bboxes[:, :2]).any(1), 'a box of negative width or height', bboxes),
            (~is_drawn, 'a keypoint that is no numbers; the boxes', bboxes),
        ):
            if mask.any():
                places = np.flatnonzero(mask)
                shown = first_few(f'no. {place}: {values[place].tolist()}' for place in places[:4].tolist())
                raise UserError(f'{path}: {len(places)} of {len(scores)} detections have {what}: {shown}')
        order = np.lexsort((-scores, images))
        return cls(
            images[order],
            labels[order],
            bboxes[order],
            scores[order].clip(0, 1),
            None if keypoints is None else keypoints[order],
        )

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Case:
    """The detections of one model beside what was to be found.

    Attributes:
        truth: What was to be found.
        detections: What was detected.
        name: What a person calls the model, such as the name of its file.
    """

    truth: GroundTruth
    detections: Detections
    name: str = 'model'

    @classmethod
    def of_results(
        cls,
        truth: GroundTruth,
        path: str | Path,
        name: str | None = None,
        keypoints: str | Path | None = None,
    ) -> 'Case':
        """Reads a JSON file in COCO's result format, as ``mmyolox test`` or any other tool writes it.

        Args:
            truth: The data set that the results are of.
            path: The file of boxes, or of keypoints with boxes.
            name: What to call the model; by default the file's name without its suffixes.
            keypoints: The file of keypoints beside a file of boxes; the detections of classes with keypoints
                are taken from it.

        Raises:
            UserError: A file cannot be read, or does not fit the data set.
        """
        results = read_results(str(path))
        if keypoints is not None and truth.skeleton is not None:
            own = zip(truth.category_ids, truth.skeleton.class_keypoints, strict=True)
            posed = [category_id for category_id, names in own if names]
            results = results.with_keypoints(read_results(str(keypoints)), posed)
        detections = Detections.of_results(results, truth)
        return cls(truth, detections, Path(path).name.partition('.')[0] if name is None else name)
