"""A small data set on which the doctor finds nothing, in COCO's format, YOLO's or Pascal VOC's.

Faults are planted by editing its files: :meth:`SmallSet.annotations` for COCO, :meth:`SmallSet.edit` for a
label file, and what NumPy, OpenCV and pathlib do for images.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmyolox.doctor.checks import CHECKS
from mmyolox.doctor.diagnosis import Diagnosis, diagnose
from mmyolox.doctor.examined import Examined, Plan
from mmyolox.doctor.files import read_headers
from mmyolox.doctor.pixels import read_pixels
from mmyolox.doctor.reading import folder_sources, read_sources

SIZE = (320, 240)
IMG_SCALE = (320, 320)
COUNTS = dict(train=24, val=8)
CLASSES = ('cat', 'dog', 'bird')
KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_hip', 'right_hip')


def make_content(split: str, keypoints: bool = False) -> dict:
    """COCO's content of a split: four boxes an image, of many sizes, apart from each other and the border.

    Args:
        split: The split.
        keypoints: Whether there is one class, of people with keypoints, every second one seen from behind.
    """
    rng = np.random.default_rng(['train', 'val'].index(split))
    classes = ('person',) if keypoints else CLASSES
    images, annotations = [], []
    for number in range(1, COUNTS[split] + 1):
        images.append(dict(id=number, file_name=f'{split}_{number:02}.jpg', width=SIZE[0], height=SIZE[1]))
        for quarter in range(4):
            width, height = rng.integers(30, 110, 2).tolist()
            x = quarter % 2 * 160 + int(rng.integers(3, 157 - width))
            y = quarter // 2 * 120 + int(rng.integers(3, 117 - height))
            own = len(annotations) + 1
            entry = dict(id=own, image_id=number, category_id=own % len(classes) + 1)
            entry |= dict(bbox=[x, y, width, height], area=width * height, iscrowd=0)
            annotations.append(entry | (person(entry['bbox'], own % 2 == 1, rng) if keypoints else {}))
    categories = [dict(id=number, name=name) for number, name in enumerate(classes, start=1)]
    if keypoints:
        categories[0] |= dict(keypoints=[*KEYPOINTS], skeleton=[[1, 2], [1, 3], [4, 5]])
    return dict(images=images, annotations=annotations, categories=categories)


def person(bbox: list[int], is_from_behind: bool, rng: np.random.Generator) -> dict:
    """The keypoints of somebody in a box; of one seen from behind, left is left in the image."""
    x, y, width, height = bbox
    shares = np.array([[0.5, 0.2], [0.6, 0.1], [0.4, 0.1], [0.7, 0.7], [0.3, 0.7]])
    shares += rng.uniform(-0.04, 0.04, shares.shape)
    if is_from_behind:
        shares[:, 0] = 1 - shares[:, 0]
    points = np.round([x, y] + shares * [width, height], 1)
    values = [number for point in points.tolist() for number in (*point, 2)]
    return dict(keypoints=values, num_keypoints=len(shares))


def make_image(seed: int) -> np.ndarray:
    """A picture of soft colours, unlike that of any other seed."""
    pixels = np.random.default_rng(1000 + seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(pixels, SIZE, interpolation=cv2.INTER_CUBIC)


@dataclass
class SmallSet:
    """The data set in a folder.

    Attributes:
        root: The folder.
        format: ``'coco'``, ``'yolo'`` or ``'voc'``.
    """

    root: Path
    format: str = 'coco'

    @contextmanager
    def annotations(self, split: str = 'train') -> Iterator[dict]:
        """COCO's content, written again at the end."""
        path = self.root / 'annotations' / f'{split}.json'
        content = json.loads(path.read_text())
        yield content
        path.write_text(json.dumps(content))

    def edit(self, change: Callable[[str], str], split: str = 'train', number: int = 1) -> None:
        """Changes the text of the label file of an image (YOLO, Pascal VOC)."""
        path = self.label(split, number)
        path.write_text(change(path.read_text()))

    def image(self, split: str = 'train', number: int = 1) -> Path:
        """The file of an image, counted from 1."""
        folders = dict(coco='images', yolo=f'images/{split}', voc='JPEGImages')
        return self.root / folders[self.format] / f'{split}_{number:02}.jpg'

    def label(self, split: str = 'train', number: int = 1) -> Path:
        """The label file of an image (YOLO, Pascal VOC)."""
        folder, suffix = dict(yolo=(f'labels/{split}', 'txt'), voc=('Annotations', 'xml'))[self.format]
        return self.root / folder / f'{split}_{number:02}.{suffix}'


def write_set(root: Path, format: str = 'coco', keypoints: bool = False) -> SmallSet:
    """Writes the data set to a folder."""
    small = SmallSet(root, format)
    contents = {split: make_content(split, keypoints) for split in COUNTS}
    dict(coco=_write_coco, yolo=_write_yolo, voc=_write_voc)[format](small, contents)
    for seed, split in enumerate(COUNTS):
        for number in range(1, COUNTS[split] + 1):
            path = small.image(split, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode('.jpg', make_image(100 * seed + number))[1].tobytes())
    return small


def copy_set(small: SmallSet, root: Path) -> SmallSet:
    """Copies the data set."""
    shutil.copytree(small.root, root)
    return SmallSet(root, small.format)


def _write_coco(small: SmallSet, contents: dict) -> None:
    (small.root / 'annotations').mkdir(parents=True)
    for split, content in contents.items():
        (small.root / 'annotations' / f'{split}.json').write_text(json.dumps(content))


def _write_yolo(small: SmallSet, contents: dict) -> None:
    categories = contents['train']['categories']
    lines = ['train: images/train', 'val: images/val', f'nc: {len(categories)}']
    lines += [f'names: [{", ".join(category["name"] for category in categories)}]']
    if 'keypoints' in categories[0]:
        lines += [f'kpt_shape: [{len(KEYPOINTS)}, 3]', 'flip_idx: [0, 2, 1, 4, 3]']
    small.root.mkdir(parents=True, exist_ok=True)
    (small.root / 'data.yaml').write_text('\n'.join(lines))
    for split, content in contents.items():
        small.label(split).parent.mkdir(parents=True)
        for image in content['images']:
            own = [entry for entry in content['annotations'] if entry['image_id'] == image['id']]
            text = '\n'.join(map(_yolo_line, own))
            small.label(split, image['id']).write_text(text + '\n')


def _yolo_line(entry: dict) -> str:
    x, y, width, height = entry['bbox']
    values = [(x + width / 2) / SIZE[0], (y + height / 2) / SIZE[1], width / SIZE[0], height / SIZE[1]]
    points = entry.get('keypoints', [])
    for place in range(0, len(points), 3):
        values += [points[place] / SIZE[0], points[place + 1] / SIZE[1], points[place + 2]]
    return ' '.join([str(entry['category_id'] - 1), *(f'{value:.6f}' for value in values)])


def _write_voc(small: SmallSet, contents: dict) -> None:
    (small.root / 'ImageSets' / 'Main').mkdir(parents=True)
    (small.root / 'Annotations').mkdir()
    for split, content in contents.items():
        names = {category['id']: category['name'] for category in content['categories']}
        stems = [Path(image['file_name']).stem for image in content['images']]
        (small.root / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(stems) + '\n')
        for image in content['images']:
            own = [entry for entry in content['annotations'] if entry['image_id'] == image['id']]
            objects = '\n'.join(_voc_object(names[entry['category_id']], entry['bbox']) for entry in own)
            size = f'<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>'
            text = (
                f'<annotation>\n<filename>{image["file_name"]}</filename>\n{size}\n{objects}\n</annotation>\n'
            )
            small.label(split, image['id']).write_text(text)


def _voc_object(name: str, bbox: list[int]) -> str:
    x, y, width, height = bbox
    corners = dict(xmin=x + 1, ymin=y + 1, xmax=x + width + 1, ymax=y + height + 1)
    inner = ''.join(f'<{key}>{value}</{key}>' for key, value in corners.items())
    return f'<object><name>{name}</name><difficult>0</difficult><bndbox>{inner}</bndbox></object>'


def examine(root: Path, plan: Plan = Plan(IMG_SCALE)) -> Examined:  # noqa: B008  # it is frozen
    """Reads the data set in a folder, its image files included."""
    raw = read_sources(str(root), *folder_sources(root))
    files = read_headers(raw.images.paths)
    return Examined(raw, files, plan, read_pixels(raw.images.paths, files))


def diagnosed(root: Path, plan: Plan = Plan(IMG_SCALE)) -> Diagnosis:  # noqa: B008
    """What all checks find in a folder; none of them fails."""
    diagnosis = diagnose(examine(root, plan), CHECKS.values())
    assert not diagnosis.failed, '\n'.join(diagnosis.failed.values())
    return diagnosis


def names_found(diagnosis: Diagnosis) -> set[str]:
    """The names of the checks that found something."""
    return {finding.check.name for finding in diagnosis.findings}
