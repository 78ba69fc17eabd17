"""Small generated data sets in COCO's format."""

import json

import cv2
import numpy as np

from mmyolox.datasets import YOLOXCocoDataset


def write_coco(root, count, empty=(), broken=(), seed=0):
    """Writes ``count`` noisy images and their boxes; some without boxes, some that do not decode."""
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(count):
        width, height = rng.integers(40, 90, 2).tolist()
        images.append(dict(id=i, file_name=f'{i}.png', width=width, height=height))
        pixels = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (width, height))
        path = root / 'images' / f'{i}.png'
        if i in broken:
            path.write_bytes(b'not an image')
        else:
            cv2.imwrite(str(path), pixels)
        for _ in range(0 if i in empty else 3):
            box = [*rng.uniform(0, 15, 2).tolist(), *rng.uniform(12, 24, 2).tolist()]
            annotations.append(
                dict(id=len(annotations), image_id=i, category_id=int(rng.integers(3)), bbox=box)
            )
    categories = [dict(id=i, name=name) for i, name in enumerate('abc')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / 'ann.json').write_text(json.dumps(content))
    return root


def open_coco(root, pipeline, **kwargs):
    """The data set in a folder of :func:`write_coco`."""
    options = dict(
        ann_file='ann.json', data_root=str(root), data_prefix=dict(img='images/'), img_scale=(64, 32)
    )
    return YOLOXCocoDataset(pipeline=pipeline, **options | kwargs)
