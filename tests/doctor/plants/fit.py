"""Trainings that do not fit the data."""

import cv2

from mmyolox.doctor.examined import Plan
from tests.doctor.small_set import CLASSES, COUNTS, IMG_SCALE, SmallSet, make_image

from .plant import Plant


def nothing(small: SmallSet) -> None:
    """Leaves the data as they are: the plan is at fault."""


def plan(batch_size: int = 4, max_epochs: int = 50, classes=CLASSES, num_classes: int = 3, most: int = 300):
    """A plan with a config."""
    model = dict(bbox_head=dict(head_module=dict(num_classes=num_classes)), test_cfg=dict(max_per_img=most))
    dataset = dict(metainfo=dict(classes=classes))
    cfg = dict(model=model, train_dataloader=dict(batch_size=batch_size, dataset=dataset))
    return Plan(IMG_SCALE, cfg | dict(train_cfg=dict(max_epochs=max_epochs)))


def flatten(small: SmallSet) -> None:
    """Makes all images low, and their boxes too."""
    for split, count in COUNTS.items():
        for number in range(1, count + 1):
            pixels = make_image(number if split == 'train' else 100 + number)
            low = cv2.resize(pixels, (320, 120), interpolation=cv2.INTER_AREA)
            small.image(split, number).write_bytes(cv2.imencode('.jpg', low)[1].tobytes())
        with small.annotations(split) as content:
            for image in content['images']:
                image['height'] = 120
            for one in content['annotations']:
                one['bbox'] = [one['bbox'][0], one['bbox'][1] / 2, one['bbox'][2], one['bbox'][3] / 2]
                one['area'] /= 2


PLANTS = {
    'input-too-small': Plant(nothing, plan=Plan((32, 32)), siblings={'box-tiny'}, count=96),
    'input-too-large': Plant(nothing, plan=Plan((640, 640)), count=sum(COUNTS.values())),
    'input-of-other-shape': Plant(flatten, count=sum(COUNTS.values())),
    'batch-too-large': Plant(nothing, plan=plan(batch_size=13, max_epochs=200)),
    'training-too-short': Plant(nothing, plan=plan(max_epochs=49)),
    'class-not-in-data': Plant(nothing, plan=plan(classes=(*CLASSES, 'horse'), num_classes=4)),
    'class-not-configured': Plant(nothing, plan=plan(classes=CLASSES[:2], num_classes=2)),
    'class-number-differs': Plant(nothing, plan=plan(num_classes=80)),
    'detections-limited': Plant(nothing, plan=plan(most=3), count=sum(COUNTS.values())),
}
