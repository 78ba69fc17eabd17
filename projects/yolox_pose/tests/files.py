"""Small generated data sets with keypoints, on disk and in memory."""

import json

import cv2
import numpy as np

from mmyolox.datasets.transforms import Sample, begin_scene
from mmyolox.deploy.letterbox import Size
from mmyolox.projects.yolox_pose.dataset import YOLOXPoseCocoDataset
from mmyolox.projects.yolox_pose.skeleton import Skeleton
from mmyolox.projects.yolox_pose.transforms import LoadPoseAnnotations

NAMES = ['head', 'left_hand', 'right_hand', 'left_foot', 'right_foot']
SPEC = dict(
    keypoints=NAMES,
    flip_pairs=[['left_hand', 'right_hand'], ['left_foot', 'right_foot']],
    links=[['head', 'left_hand'], ['head', 'right_hand']],
    sigmas=[0.03, 0.05, 0.05, 0.08, 0.08],
)
SWAPPED = (0, 2, 1, 4, 3)
POINTS = [[20, 10, 2], [12, 30, 1], [48, 30, 2], [0, 0, 0], [40, 44, 2]]
BOX = (10, 5, 50, 45)
IMAGES = [(0, 80, 60), (1, 64, 64)]
"""The keypoints of a person, their box, and two images, of which the first holds them."""


def people_in(size, count, rng):
    """Boxes (count, 4) xyxy and their keypoints (count, 5, 3), all inside an image of ``size`` (w, h).

    About a quarter of the keypoints is not labelled, and some lie on the border.
    """
    boxes = np.sort(rng.uniform(0, size, (count, 2, 2)), axis=1).reshape(count, 4)
    points = boxes[:, None, :2] + rng.uniform(0, 1, (count, 5, 2)) * (boxes[:, 2:] - boxes[:, :2])[:, None]
    on_border = rng.random((count, 5)) < 0.05
    points[on_border, 0] = rng.choice([0, size[0]], on_border.sum())
    visibility = rng.choice([0, 1, 2, 2], (count, 5, 1))
    return boxes, np.concatenate([points, visibility], axis=2) * (visibility > 0)


def annotation(number, image_id, box, keypoints, **more):
    """An annotation of category 1 from a box xyxy and keypoints (5, 3)."""
    x1, y1, x2, y2 = (round(float(side), 3) for side in box)
    listed = np.asarray(keypoints, float).reshape(-1).round(3).tolist()
    visible = sum(v > 0 for v in listed[2::3])
    return (
        dict(
            id=number,
            image_id=image_id,
            category_id=1,
            bbox=[x1, y1, x2 - x1, y2 - y1],
            area=0.6 * (x2 - x1) * (y2 - y1),
            iscrowd=0,
            keypoints=listed,
            num_keypoints=visible,
        )
        | more
    )


def content_of(images=(), annotations=()):
    """A file's content with the one category ``person``, from (id, w, h) and annotations."""
    listed = [dict(id=i, file_name=f'{i}.png', width=width, height=height) for i, width, height in images]
    person = dict(id=1, name='person', keypoints=NAMES, skeleton=[[1, 2], [1, 3]])
    return dict(images=listed, annotations=list(annotations), categories=[person])


def two_people(**second):
    """Two people in the first of two images, with changes to the annotation of the second one."""
    people = [annotation(7, 0, BOX, POINTS), annotation(8, 0, (0, 0, 80, 60), POINTS) | second]
    return content_of(IMAGES, people)


def random_content(count, seed=0):
    """``count`` images of several sizes with 0 to 4 people each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(40, 120, (count, 2)).tolist()
    annotations = []
    for image_id, size in enumerate(sizes):
        boxes, keypoints = people_in(size, int(rng.integers(5)), rng)
        for box, points in zip(boxes, keypoints, strict=True):
            annotations.append(annotation(100 + len(annotations), image_id, box, points))
    return content_of([(i, *size) for i, size in enumerate(sizes)], annotations)


def write_pose(root, content, seed=0):
    """Writes the file and noise as its images; returns ``root``."""
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(exist_ok=True)
    for image in content['images']:
        noise = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        pixels = cv2.resize(noise, (image['width'], image['height']))
        cv2.imwrite(str(root / 'images' / image['file_name']), pixels)
    (root / 'ann.json').write_text(json.dumps(content))
    return root


def open_pose(root, pipeline=(), **kwargs):
    """The data set in a folder of :func:`write_pose`."""
    options = dict(
        ann_file='ann.json',
        data_root=str(root),
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('person',), skeleton=SPEC),
        img_scale=(96, 64),
    )
    return YOLOXPoseCocoDataset(pipeline=list(pipeline), **options | kwargs)


class PoseAlbum(list):
    """A data set in memory: entries with pixels."""

    skeleton = Skeleton.of(SPEC)
    draw_key = (0, 0)

    def __init__(self, sizes, counts, seed=0):
        rng = np.random.default_rng(seed)
        for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
            boxes, keypoints = people_in(size, count, rng)
            self.add(size, boxes, keypoints, labels=np.arange(count) + 10 * number)

    def add(self, size, boxes, keypoints, labels=None, is_crowd=None, pixels=None):
        """Appends an image of ``size`` (w, h) with M people."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        count = len(boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        self.append(
            dict(
                pixels=np.full((size[1], size[0], 3), 114, np.uint8) if pixels is None else pixels,
                bboxes=boxes,
                labels=np.zeros(count, int) if labels is None else labels,
                is_crowd=np.zeros(count, bool) if is_crowd is None else np.array(is_crowd, bool),
                keypoints=np.asarray(keypoints, np.float32).reshape(-1, 5, 3),
                areas=0.5 * sides[:, 0] * sides[:, 1],
                id=[len(self) * 10 + row for row in range(count)],
            )
        )

    def get_data_info(self, idx):
        return dict(self[idx])

    def draw_partner(self, rng):
        return int(rng.integers(len(self)))


def load_pose(results, ignore_crowd=False):
    """The first steps of a pipeline for an entry of :class:`PoseAlbum`."""
    return LoadPoseAnnotations(ignore_crowd)(begin_scene(results, results['pixels']))


def pose_sample(album, idx=0, rng=None, img_scale=(96, 64), ignore_crowd=False):
    """Sample ``idx`` of an album after loading."""
    sample = Sample(album.get_data_info(idx), dataset=album, rng=rng, img_scale=Size(*img_scale))
    return load_pose(sample, ignore_crowd)
