"""Small data sets on disk, what a model might detect in them, and work dirs of trainings."""

import json

import cv2
import numpy as np

from mmyolox.analysis import Case, GroundTruth
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.report.training_records import KeptValidation, RunRecord, kept_file, note_kept

NAMES = ('dog', '<b>cat</b> & "co"', 'Vögel `x`')
"""Classes with what HTML and our own prose read as markup."""
SIZE = (120, 90)


def content(images=8, classes=NAMES, objects=4, seed=0):
    """The content of an annotation file; the last image has nothing, and some objects are crowds."""
    rng = np.random.default_rng(seed)
    entries = [
        dict(
            id=number + 1,
            file_name=f'{number % 2}/<{number}>.png',
            width=SIZE[0],
            height=SIZE[1],
            camera=number % 3,
        )
        for number in range(images)
    ]
    annotations = []
    for entry in entries[:-1]:
        for place in range(objects):
            x, y, w, h = (rng.uniform([0, 0, 8, 8], [70, 50, 50, 40])).round(1).tolist()
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=entry['id'],
                    category_id=int(rng.integers(len(classes))) + 1,
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=int(place == 3),
                )
            )
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(classes)]
    return dict(images=entries, annotations=annotations, categories=categories)


def results(data, seed=0, found=0.8):
    """Shaken objects, some of another class, some missing, and false alarms: COCO's result format."""
    rng = np.random.default_rng(seed)
    entries = []
    for one in data['annotations']:
        if rng.random() < found:
            label = (
                one['category_id'] if rng.random() < 0.8 else int(rng.integers(len(data['categories']))) + 1
            )
            box = (np.array(one['bbox']) + rng.normal(0, 2, 4)).clip(1).tolist()
            entries.append(result(one['image_id'], label, box, rng.uniform(0.3, 1)))
    for image in data['images']:
        box = rng.uniform([0, 0, 8, 8], [70, 50, 50, 40]).tolist()
        entries.append(
            result(image['id'], int(rng.integers(len(data['categories']))) + 1, box, rng.uniform(0, 0.9))
        )
    return entries


def result(image_id, category_id, box, score):
    return dict(image_id=image_id, category_id=category_id, bbox=box, score=float(score))


def write_data(folder, data, pictures=True):
    """Writes an annotation file and its images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'truth.json').write_text(json.dumps(data))
    for number, image in enumerate(data['images'] if pictures else ()):
        path = folder / 'images' / image['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((SIZE[1], SIZE[0], 3), 40 + 10 * (number % 20), np.uint8))
    return folder


def read_truth(folder):
    """The ground truth of :func:`write_data`."""
    data = json.loads((folder / 'truth.json').read_text())
    file = CocoAnnotations.of(
        str(folder / 'truth.json'), data['images'], data['annotations'], data['categories']
    )
    return GroundTruth.of_annotations(file, paths=folder / 'images')


def make_case(folder, data=None, found=None, name='model', pictures=True):
    """A case of a data set that is written to a folder."""
    data = content() if data is None else data
    write_data(folder, data, pictures)
    (folder / f'{name}.bbox.json').write_text(json.dumps(results(data) if found is None else found))
    return Case.of_results(read_truth(folder), folder / f'{name}.bbox.json', name)


def write_training(work_dir, found, checkpoint='best_epoch_2.pth', scalars=True):
    """Writes what a training of two epochs leaves for its report."""
    run = work_dir / '20250101_000000'
    facts = [['model', 'nano'], ['train', 'a'], ['train', 'b <i>']]
    RunRecord('2025-01-01 00:00', 0, facts, dict(torch='2.9'), 2, 20, 65.4).write(run)
    if scalars:
        (run / 'vis_data').mkdir()
        lines = [dict(loss=4.0 / step, loss_cls=1.0 / step, step=step) for step in range(1, 21)]
        lines += [{'coco/bbox_mAP': 0.1 * epoch, 'step': epoch} for epoch in (1, 2)]
        (run / 'vis_data/scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    kept_file(work_dir).parent.mkdir()
    kept_file(work_dir).write_text(json.dumps(found))
    note_kept(work_dir, KeptValidation('epoch', 2, checkpoint))
    if checkpoint:
        (work_dir / checkpoint).touch()
    return work_dir
