"""Sizes of images against the annotated ones: named before training, and while it decodes."""

import json
import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets import YOLOXVOCDataset
from mmyolox.datasets.canvas.images import read_image
from mmyolox.datasets.image_sizes import check_image_sizes, read_image_size
from mmyolox.datasets.table import AnnotationTable
from mmyolox.datasets.transforms import LoadAnnotations, LoadImage, UndecodableImageError
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco


def table(entries):
    return AnnotationTable.of([entry | dict(bboxes=np.empty((0, 4), np.float32)) for entry in entries])


def resize(root, number, change):
    """Changes the annotated size of an image; returns the size of the file and the annotated one."""
    content = json.loads((root / 'ann.json').read_text())
    entry = content['images'][number]
    size = entry['width'], entry['height']
    entry['width'], entry['height'] = change(*size)
    (root / 'ann.json').write_text(json.dumps(content))
    return size, (entry['width'], entry['height'])


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path, 10)


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize(
    ('change', 'swapped'),
    [
        (lambda w, h: (2 * w, 2 * h), ''),
        (lambda w, h: (h, w), r' \(swapped\)'),
        (lambda w, h: (w, h + 2), ''),
    ],
    ids=['double', 'swapped', 'two pixels'],
)
def test_an_image_of_another_size_is_named_before_training(root, change, swapped, test_mode):
    (width, height), (wide, high) = resize(root, 7, change)
    message = (
        rf'ann.json: 1 of 10 images have another size .*7.png is {width} x {height}, '
        rf'annotated {wide} x {high}{swapped};'
    )
    with pytest.raises(UserError, match=message):
        open_coco(root, [], test_mode=test_mode)


@pytest.mark.parametrize('change', [lambda w, h: (w + 1, h - 1), lambda w, h: (float(w), h)])
def test_rounding_is_no_fault(root, change):
    resize(root, 7, change)
    assert len(open_coco(root, [])) == 10


@pytest.mark.parametrize('annotated', ['stored', 'turned'])
def test_an_image_may_be_annotated_as_it_is_stored_or_turned(root, annotated):
    from PIL import Image

    tags = Image.Exif()
    tags[0x0112] = 6
    path = root / 'images' / '3.png'
    Image.open(path).save(path, exif=tags)
    if annotated == 'turned':
        resize(root, 3, lambda w, h: (h, w))
    dataset = open_coco(root, [LoadImage()])
    entry = dataset.get_data_info(3)
    assert dataset[3]['ori_shape'] == (entry['height'], entry['width'])


def test_files_that_are_no_images_are_left_to_the_training(tmp_path):
    assert len(open_coco(write_coco(tmp_path, 10, broken=(2,)), [])) == 10


def entries(root, count):
    cv2.imwrite(str(root / 'a.png'), np.zeros((48, 64, 3), np.uint8))
    return [dict(img_path=str(root / 'a.png'), width=64, height=48) for _ in range(count)]


@pytest.mark.parametrize('count', [1, 2, 3, 10, 97, 1000])
def test_every_image_is_compared(tmp_path, count):
    for wrong in {0, count // 2, count - 1}:
        listed = entries(tmp_path, count)
        listed[wrong]['width'] = 65 + count
        with pytest.raises(UserError, match=f'1 of {count} images'):
            check_image_sizes('ann.json', table(listed))


def test_many_images_do_not_delay_the_start(tmp_path, monkeypatch):
    """With time for 20 of 1,000 images, the 20 are spread over all of them."""
    now, lines, read = iter(range(1000)), [], []
    monkeypatch.setattr('mmyolox.datasets.image_sizes.time.monotonic', lambda: next(now))
    monkeypatch.setattr('mmyolox.datasets.image_sizes.print_log', lambda line, *_: lines.append(line))

    def remember(path):
        read.append(int(path))
        raise UndecodableImageError(path)

    monkeypatch.setattr('mmyolox.datasets.image_sizes.read_image_header', remember)
    listed = [dict(img_path=str(i), width=64, height=48) for i in range(1000)]
    check_image_sizes('ann.json', table(listed), seconds=21)
    assert len(set(read)) == 20
    assert max(np.diff([0, *sorted(read), 1000])) < 120
    assert lines == [
        'ann.json: the sizes of 20 of 1000 images were compared with the annotated ones in advance'
    ]


def test_training_replaces_an_image_of_another_size(root, monkeypatch):
    """One that was exchanged since, or that was not compared in advance."""
    lines = []
    monkeypatch.setattr(
        'mmyolox.datasets.base.print_log', lambda line, logger, level: lines.append((line, level))
    )
    dataset = open_coco(root, [LoadImage(), LoadAnnotations()], max_undecodable_ratio=0.2)
    for suffix in ('png', 'jpg'):
        cv2.imwrite(str(root / f'a.{suffix}'), np.zeros((20, 30, 3), np.uint8))
    (root / 'a.png').rename(root / 'images/2.png')
    (root / 'a.jpg').rename(root / 'images/3.png')
    for index, place in ((2, '2.png'), (3, '3.png')):
        assert dataset[index]['img_path'] != str(root / 'images' / place)
    assert [level for _, level in lines] == [logging.WARNING] * 2
    for (line, _), number in zip(lines, (2, 3), strict=True):
        assert f'{number}.png (30 x 20 pixels, annotated ' in line


def test_the_size_in_a_voc_file(tmp_path):
    for folder in ('JPEGImages', 'Annotations'):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / 'JPEGImages/a.jpg'), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / 'Annotations/a.xml').write_text(
        '<annotation><size><width>48</width><height>64</height></size></annotation>'
    )
    (tmp_path / 'all.txt').write_text('a')
    with pytest.raises(UserError, match=r'a.jpg is 64 x 48, annotated 48 x 64 \(swapped\)'):
        YOLOXVOCDataset(data_root=str(tmp_path), ann_file='all.txt', data_prefix=dict(sub_data_root=''))


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
@pytest.mark.parametrize('suffix', ['jpg', 'webp', 'bmp'])
def test_the_size_of_a_file_is_that_of_what_training_decodes(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / f'a.{suffix}')
    Image.new('RGB', (40, 20)).save(path, exif=exif)
    assert read_image_size(path).shape_hw == read_image(path).shape[:2]
    # Boxes drawn on the stored pixels stay there.
    assert read_image_size(path, (40, 20)) == (40, 20)


def test_a_turned_jpeg_need_not_be_decoded(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (40, 20)).save(tmp_path / 'a.jpg', exif=exif)
    monkeypatch.setattr('mmyolox.datasets.image_sizes.read_image', None)
    assert read_image_size(tmp_path / 'a.jpg') == (20, 40)


def test_the_size_of_what_is_no_image(tmp_path):
    with pytest.raises(UserError, match=r'cannot decode the image .*a\.jpg \(No such file'):
        read_image_size(tmp_path / 'a.jpg')
