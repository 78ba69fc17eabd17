"""What the trainings of a k-fold share: the annotations of all images in one file, and a config."""

import inspect
import os.path as osp
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import is_abs

from mmyolox.config.check import component_at
from mmyolox.config.components import accepted_parameters
from mmyolox.datasets import DetectionDataset, YOLOXCocoDataset
from mmyolox.datasets.ground_truth import ground_truth, join
from mmyolox.datasets.splits import Fold, image_names
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.registry import DATASETS


@dataclass(frozen=True)
class Division:
    """All images and how they are divided.

    Attributes:
        count: The number of folds.
        seed: The seed by which images are dealt to them.
        root: The folder that the images' names are relative to, if any.
        content: The images and their objects, as a COCO file.
    """

    count: int
    seed: int
    root: str | None
    content: dict[str, Any]

    @classmethod
    def of(cls, cfg: Config, count: int, seed: int) -> 'Division':
        """Divides the images of a config's training and validation.

        Args:
            cfg: The config.
            count: The number of folds.
            seed: The seed.

        Raises:
            UserError: There are fewer images than folds, or a data set cannot be read or is none of ours.
        """
        if count < 2:
            raise UserError(f'--folds {count}: at least 2 are needed')
        parts: list[dict[str, Any]] = []
        for split in ('train', 'val'):
            path = f'{split}_dataloader.dataset'
            dataset, kind = cfg[f'{split}_dataloader'].dataset, component_at(cfg, path)
            if not (inspect.isclass(kind) and issubclass(kind, DetectionDataset)):
                raise UserError(
                    f'config key {path}.type={dataset.type}: it is not divided into folds; name one data set '
                    "in COCO's format, YOLO's or Pascal VOC's"
                )
            part = dict(dataset, test_mode=True, pipeline=[])
            if part not in parts:
                parts.append(part)
        root = cfg.train_dataloader.dataset.get('data_root')
        content = pooled([DATASETS.build(part) for part in parts], root)
        division = cls(count, seed, root, content)
        for index in range(count):
            division.held_out(index)
        return division

    def held_out(self, index: int) -> list[str]:
        """The names of the images that a fold is evaluated on.

        Args:
            index: The fold, from 0.

        Raises:
            UserError: There are none, or no others.
        """
        names = [image['file_name'] for image in self.content['images']]
        try:
            chosen = Fold(self.count, index, self.seed, True).chosen(names)
        except UserError as error:
            raise UserError(f'--folds {self.count}: {error}') from None
        return [names[number] for number in chosen]

    def objects(self) -> dict[str, int]:
        """The number of objects to find of each class, crowds not counted."""
        counts = Counter(one['category_id'] for one in self.content['annotations'] if not one['iscrowd'])
        return {category['name']: counts[category['id']] for category in self.content['categories']}

    def apply(self, cfg: Config, ann_file: Path) -> None:
        """Makes a config that of the first fold, in place; ``fold.index`` of its data sets chooses another.

        Args:
            cfg: The config.
            ann_file: The file of :attr:`content`.

        Raises:
            UserError: A metric reads annotations of its own.
        """
        for split in ('train', 'val'):
            loader, path = cfg[f'{split}_dataloader'], f'{split}_dataloader.dataset'
            if not issubclass(component_at(cfg, path), YOLOXCocoDataset):
                loader.dataset.type = (cfg.get('dataset_types') or {}).get('coco', 'YOLOXCocoDataset')
            known = accepted_parameters(component_at(cfg, path)) or frozenset(loader.dataset)
            kept = {name: loader.dataset[name] for name in loader.dataset if name in {'type', *known}}
            kept.pop('indices', None)  # they have chosen among the images that were read
            loader.dataset = dict(
                kept,
                data_root=self.root,
                ann_file=str(ann_file.absolute()),
                data_prefix=dict(img=''),
                fold=dict(count=self.count, index=0, seed=self.seed, held_out=split == 'val'),
            )
        is_list = isinstance(cfg.val_evaluator, list)
        for number, metric in enumerate(cfg.val_evaluator if is_list else [cfg.val_evaluator]):
            path = f'val_evaluator.{number}' if is_list else 'val_evaluator'
            kind = component_at(cfg, path)
            if inspect.isclass(kind) and issubclass(kind, YOLOXCocoMetric):
                metric.update(ann_file=None, classwise=True)
            elif 'ann_file' in metric:
                raise UserError(
                    f'config key {path}: {metric.type} reads annotations of its own, not those of a '
                    'fold; take YOLOXCocoMetric'
                )
        cfg.data_layout = f'{len(self.content["images"])} images in {self.count} folds, seed {self.seed}'


def pooled(datasets: Sequence[DetectionDataset], root: str | None) -> dict[str, Any]:
    """The images of data sets with their objects, as one COCO file.

    Args:
        datasets: The data sets. An image that several have is that of the first.
        root: The folder that the names of the images are to be relative to, where they are in it.

    Returns:
        ``images``, ``annotations`` and ``categories``.
    """
    parts = []
    known: set[str] = set()
    number = 0
    for dataset in datasets:
        truth = ground_truth(dataset)
        paths = dict(zip(*(dataset.data_list.images(key) for key in ('img_id', 'img_path')), strict=True))
        places = {image_id: osp.abspath(path) for image_id, path in paths.items()}
        numbers: dict[int | str, int] = {}
        images = []
        for image in truth['images']:
            place = places[image['id']]
            if place in known:
                continue
            number += 1
            numbers[image['id']] = number
            (name,) = image_names([paths[image['id']]], root)
            # Another data set of this root will read it.
            is_found = is_abs(name) or (root and osp.abspath(osp.join(root, name)) == place)
            file_name = name if is_found else place
            images.append(dict(image, id=number, file_name=file_name))
        annotations = [
            dict(one, image_id=numbers[one['image_id']])
            for one in truth['annotations']
            if one['image_id'] in numbers
        ]
        known.update(places.values())
        parts.append(dict(truth, images=images, annotations=annotations))
    whole = join(parts)
    return {key: whole[key] for key in ('images', 'annotations', 'categories')}
