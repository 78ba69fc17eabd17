"""The data doctor: it looks at whatever is read, and what it has cleaned is clean and can be trained on."""

import json

import numpy as np

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.doctor.as_json import as_json
from mmyolox.doctor.checks import CHECKS
from mmyolox.doctor.cleaned import write_cleaned
from mmyolox.doctor.diagnosis import diagnose
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.files import read_headers
from mmyolox.doctor.mending import mend
from mmyolox.doctor.page import page_of
from mmyolox.doctor.pixels import read_pixels
from mmyolox.doctor.reading import folder_sources, read_sources
from mmyolox.doctor.text import describe
from tests.fuzz.annotations import COCO_FILE, IMAGE, LABELS, YOLO_CASES, image_folder, xml_files
from tests.fuzz.checks import Target
from tests.fuzz.strategies import json_files

LEFT = {'size-differs', 'size-swapped', 'boxes-as-corners', 'crowds-only', 'split-empty', 'skeletons-differ'}
LEFT |= {'keypoint-visibility-unknown', 'keypoints-of-other-number', 'leak-between-splits', 'class-repeated'}
LEFT |= {'holdout-impossible'}
"""Errors that a person has to mend, and those that come of the small data here."""


def examine(folder):
    """All that the doctor finds in a folder; no check fails."""
    raw = read_sources('fuzz', *folder_sources(folder))
    files = read_headers(raw.images.paths)
    diagnosis = diagnose(Examined(raw, files, pixels=read_pixels(raw.images.paths, files)), CHECKS.values())
    assert not diagnosis.failed, next(iter(diagnosis.failed.values()))
    return diagnosis


def treat(folder):
    """Examines a folder, tells of it in all ways, and examines the cleaned copy."""
    diagnosis = examine(folder)
    describe(diagnosis).encode()
    json.dumps(as_json(diagnosis), allow_nan=False)
    page_of(diagnosis).html().encode()
    mended = mend(diagnosis)
    write_cleaned(mended, folder / 'clean', copies=False)
    if not (folder / 'clean' / 'annotations' / 'train.json').exists():
        return
    again = examine(folder / 'clean')
    errors = {one.check.name for one in again.findings if one.check.severity.value == 'error'}
    assert errors <= LEFT, errors
    assert len(again.data.raw.boxes) == int(mended.is_box_kept.sum())
    wrong_sizes = {'size-differs', 'size-swapped'} & {one.check.name for one in again.findings}
    if again.data.is_object.any() and not wrong_sizes:
        train(folder / 'clean', again)


def train(folder, diagnosis):
    """Opens the training split as a training does; all of its boxes are taken."""
    dataset = YOLOXCocoDataset(
        ann_file='annotations/train.json',
        data_root=str(folder),
        data_prefix=dict(img='images/'),
        pipeline=[],
        test_mode=True,
    )
    boxes = [dataset.get_data_info(index)['bboxes'] for index in range(len(dataset))]
    data = diagnosis.data
    order = np.argsort(data.raw.boxes.images, kind='stable')
    own = data.bboxes[order[data.box_splits[order] == 0]]
    np.testing.assert_allclose(np.concatenate(boxes), own, atol=0.01)


def treat_coco(content, folder):
    image_folder(folder)
    (folder / 'annotations').mkdir()
    (folder / 'annotations' / 'train.json').write_bytes(content)
    (folder / 'annotations' / 'val.json').write_text(json.dumps(COCO_FILE))
    treat(folder)


def treat_voc(content, folder):
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True)
    (folder / 'JPEGImages/a.png').write_bytes(IMAGE)
    (folder / 'Annotations/a.xml').write_bytes(content)
    (folder / 'ImageSets/Main/train.txt').write_text('a\n')
    treat(folder)


def treat_yolo(case, folder):
    data, labels, listed = case
    for split, own in (('train', labels), ('val', LABELS.encode())):
        for kind, suffix, content in (('images', 'png', IMAGE), ('labels', 'txt', own)):
            (folder / kind / split).mkdir(parents=True)
            (folder / kind / split / f'0.{suffix}').write_bytes(content)
    (folder / 'data.yaml').write_bytes(data)
    (folder / 'train.txt').write_bytes(listed)
    treat(folder)


TARGETS = dict(
    doctor_coco=Target(json_files(COCO_FILE), treat_coco, 2000),
    doctor_voc=Target(xml_files(), treat_voc, 1000),
    doctor_yolo=Target(YOLO_CASES, treat_yolo, 1000),
)
