"""Random objects and detections of them, good and bad, for the tests of the analysis."""

import numpy as np

from mmyolox.analysis import Case, Detections, GroundTruth
from mmyolox.datasets.coco_file import CocoAnnotations


def random_case(seed=0, images=20, classes=3, objects=6, wrong=8, crowds=0.0, step=0.0, size=(200, 120)):
    """A case in which detections are objects that moved, changed class or are doubled, and boxes at random.

    ``crowds`` is the share of objects that are crowds; scores are multiples of ``step``, so that some tie.
    """
    rng = np.random.default_rng(seed)

    def boxes(count):
        sides = rng.uniform(5, 70, (count, 2))
        return np.concatenate([rng.random((count, 2)) * (np.array(size) - sides), sides], 1)

    annotations, detections = [], []
    for image in range(1, images + 1):
        for bbox in boxes(int(rng.integers(0, objects + 1))):
            label = int(rng.integers(classes))
            add_object(annotations, image, label + 1, bbox.tolist(), int(rng.random() < crowds))
            for _ in range(int(rng.integers(0, 4))):
                moved = bbox + rng.normal(0, rng.choice([0.5, 4, 12]), 4)
                other = int(rng.integers(classes)) if rng.random() < 0.2 else label
                detections.append((image, np.maximum(moved, 1), other))
        detections += [
            (image, bbox, int(rng.integers(classes))) for bbox in boxes(int(rng.integers(0, wrong)))
        ]
    scores = rng.random(len(detections))
    if step:
        scores = np.ceil(scores / step) * step
    results = [
        dict(image_id=image, category_id=label + 1, bbox=bbox.tolist(), score=float(min(score, 1.0)))
        for (image, bbox, label), score in zip(detections, scores, strict=True)
    ]
    return made_case(annotations, results, images, classes, size), annotations, results


def add_object(annotations, image, category, bbox, iscrowd=0):
    """Adds an object to COCO's annotations, which are numbered 1, 2, ..."""
    number, area = len(annotations) + 1, float(bbox[2] * bbox[3])
    box = dict(bbox=bbox, area=area, iscrowd=iscrowd)
    annotations.append(dict(id=number, image_id=image, category_id=category, **box))


def made_case(annotations, results, images=1, classes=2, size=(200, 120)):
    """The case of COCO's annotations and results of images 1, 2, ... and categories 1, 2, ..."""
    file = CocoAnnotations.of(
        'truth.json',
        [dict(id=i, file_name=f'{i}.jpg', width=size[0], height=size[1]) for i in range(1, images + 1)],
        annotations,
        categories(classes),
    )
    truth = GroundTruth.of_annotations(file)
    found = {
        image: [
            [x, y, x + width, y + height, one['score'], one['category_id'] - 1]
            for one in results
            if one['image_id'] == image
            for x, y, width, height in [one['bbox']]
        ]
        for image in range(1, images + 1)
    }
    rows = ((image, np.array(boxes, np.float64).reshape(-1, 6)) for image, boxes in found.items())
    return Case(truth, Detections.of_images(rows, truth), 'made')


def categories(count):
    return [dict(id=label + 1, name='abcdefghij'[label]) for label in range(count)]
