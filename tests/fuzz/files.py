"""What an exported model says of itself, pictures, and logs of a training."""

import json
from dataclasses import asdict

import cv2
import numpy as np
from hypothesis import strategies as st

from mmyolox.curves import plot_curves, read_curves
from mmyolox.datasets.canvas.images import EncodedJpeg, read_image, read_image_header, read_jpeg_header
from mmyolox.deploy import ModelInfo
from tests.fuzz.checks import Target
from tests.fuzz.strategies import VALUES, changed, damaged, json_files

INFO = ModelInfo(
    classes=('a', 'b'),
    input_size=(64, 32),
    points=('nose', 'eye'),
    links=((0, 1),),
    category_ids=(1, 2),
    class_points=((0, 1), (1,)),
)


def read_info(content, folder):
    """Reads the text of a sidecar; it is written as it was read."""
    info = ModelInfo.from_json(content)
    assert ModelInfo.from_json(info.to_json()) == info
    assert info.size.width == info.input_size[1]


PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SUFFIXES = ('.jpg', '.png', '.bmp', '.tiff', '.webp')
PICTURES = {suffix: cv2.imencode(suffix, cv2.blur(PIXELS, (9, 9)))[1].tobytes() for suffix in SUFFIXES}
PICTURES['progressive.jpg'] = cv2.imencode('.jpg', PIXELS, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
EXIF = b'\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0'
PICTURES['upright.jpg'] = PICTURES['.jpg'][:2] + EXIF + PICTURES['.jpg'][2:]


def npy_file():
    import io

    file = io.BytesIO()
    np.save(file, PIXELS)
    return file.getvalue()


PICTURES['.npy'] = npy_file()


def read_picture(case, folder):
    """Decodes a file; its header tells the size of what is decoded."""
    content, color_type = case
    path = folder / 'x.jpg'
    path.write_bytes(content)
    header = read_image_header(str(path))
    pixels = read_image(str(path), color_type)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[1::-1] in (header.size, header.size[::-1]), (pixels.shape, header)
    jpeg = read_jpeg_header(content)
    if jpeg is not None:
        for shrink in (2, 1):
            EncodedJpeg(str(path), content, jpeg, 3, max_shrink=2).read(shrink)


LINES = [dict(lr=0.01, loss=1.5, loss_cls=0.5, epoch=1, iter=10, step=10), {'coco/bbox_mAP': 0.5, 'step': 1}]


def read_log(case, folder):
    """Reads and plots the scalars of a run."""
    path = folder / 'run/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_bytes(b'\n'.join(case))
    curves = read_curves(folder)
    for series in (curves.losses, curves.metrics):
        for values in series.values():
            assert all(isinstance(number, int | float) for pair in values.items() for number in pair)
    plot_curves(curves, folder / 'curves.svg')


LOG_LINES = st.one_of(
    st.sampled_from(LINES).map(lambda line: json.dumps(line).encode()),
    changed(LINES[0]).map(lambda line: json.dumps(line).encode()),
    changed(LINES[1]).map(lambda line: json.dumps(line).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    damaged(json.dumps(LINES[0]).encode()),
)

TARGETS = dict(
    model_info=Target(json_files(json.loads(json.dumps(asdict(INFO)))), read_info, 6000),
    pictures=Target(
        st.tuples(
            st.sampled_from(sorted(PICTURES)).flatmap(lambda name: damaged(PICTURES[name])),
            st.sampled_from(['color', 'grayscale', 'unchanged']),
        ),
        read_picture,
        8000,
    ),
    logs=Target(st.lists(LOG_LINES, min_size=1, max_size=3), read_log, 1000),
)
