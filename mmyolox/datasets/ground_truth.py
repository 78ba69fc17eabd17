"""What is to be found in the images of a data set, in COCO's form, for its evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmyolox.errors import UserError, first_few

from .base import detection_datasets


def ground_truth(dataset: Any) -> dict[str, Any]:
    """The objects of a data set, whatever the format of its files.

    Args:
        dataset: A data set of ours, or one that joins several (``ConcatDataset``).

    Returns:
        The arguments of :meth:`.coco_file.CocoAnnotations.of`.

    Raises:
        UserError: It is no data set of ours, or two of those joined have images of the same id.
    """
    parts = [one.ground_truth() for one in detection_datasets(dataset)]
    if not parts:
        raise UserError(
            f'{type(dataset).__name__} does not say what is to be found in its images: set the ann_file of '
            'the metric'
        )
    return parts[0] if len(parts) == 1 else join(parts)


def join(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The ground truth of several data sets as one, whose categories are joined by name.

    Args:
        parts: What :func:`ground_truth` gives of each.

    Returns:
        The same for all; annotations are numbered from 1.

    Raises:
        UserError: Two have images of the same id.
    """
    numbers: dict[str, int] = {}
    joined: dict[str, Any] = dict(
        path=' + '.join(part['path'] for part in parts), images=[], annotations=[], categories=[]
    )
    seen: set[int | str] = set()
    for part in parts:
        ids = [image['id'] for image in part['images']]
        if twice := seen.intersection(ids):
            raise UserError(
                f'{joined["path"]}: these cannot be evaluated together, since several have an image of the '
                f'id {first_few(sorted(twice, key=str))}'
            )
        seen.update(ids)
        for category in part['categories']:
            if category['name'] not in numbers:
                numbers[category['name']] = len(numbers)
                joined['categories'].append(dict(category, id=numbers[category['name']]))
        labels = {category['id']: numbers[category['name']] for category in part['categories']}
        joined['images'] += part['images']
        for annotation in part['annotations']:
            number = len(joined['annotations']) + 1
            label = labels[annotation['category_id']]
            joined['annotations'].append(dict(annotation, id=number, category_id=label))
    return joined


def hand_over(evaluator: Any, dataset: Any) -> None:
    """Gives a data set to those metrics of an evaluator that take their ground truth from it.

    These are the ones with a method ``take_dataset(dataset)``.

    Args:
        evaluator: MMEngine's ``Evaluator``, whose ``dataset_meta`` is set.
        dataset: The data set that will be evaluated.

    Raises:
        UserError: A metric cannot be evaluated on it.
    """
    for metric in evaluator.metrics:
        if hasattr(metric, 'take_dataset'):
            metric.take_dataset(dataset)
