"""Reading of images and annotations, and what becomes of files that cannot be read."""

import io
import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets.transforms import (
    LoadAnnotations,
    LoadImage,
    Sample,
    UndecodableImageError,
    begin_scene,
    read_image,
)
from mmyolox.errors import UserError
from tests.datasets.transforms.pictures import smooth

SOURCE = smooth((40, 30))


@pytest.fixture
def write(tmp_path):
    """Writes bytes, or an array as PNG, to a file and returns its path."""

    def save(content, name='a.png'):
        path = tmp_path / name
        path.write_bytes(
            content if isinstance(content, bytes) else cv2.imencode('.png', content)[1].tobytes()
        )
        return str(path)

    return save


@pytest.mark.parametrize(
    ('pixels', 'color_type', 'wanted'),
    [
        (SOURCE, 'color', SOURCE),
        (SOURCE, 'unchanged', SOURCE),
        (SOURCE, 'grayscale', cv2.cvtColor(SOURCE, cv2.COLOR_BGR2GRAY)[..., None]),
        (SOURCE[..., 0], 'color', SOURCE[..., :1].repeat(3, -1)),
        (SOURCE[..., 0], 'unchanged', SOURCE[..., :1]),
        (SOURCE[..., [0, 1, 2, 0]], 'unchanged', SOURCE[..., [0, 1, 2, 0]]),
        (SOURCE[..., [0, 1, 2, 0]], 'color', SOURCE),
        (SOURCE.astype(np.uint16) * 256, 'color', SOURCE),
        (SOURCE[:1, :1], 'color', SOURCE[:1, :1]),
    ],
)
def test_pixels(write, pixels, color_type, wanted):
    read = read_image(write(pixels), color_type)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    # The decoder's own conversion to grey rounds a level differently.
    np.testing.assert_allclose(read.astype(int), wanted, atol=1 if color_type == 'grayscale' else 0)


def with_orientation(orientation):
    """The picture as a JPEG file with an EXIF orientation."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(SOURCE[..., ::-1]).save(file, 'JPEG', quality=100, subsampling=0, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(('orientation', 'turns'), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(write, orientation, turns):
    read = read_image(write(with_orientation(orientation), 'a.jpg'))
    wanted = np.rot90(SOURCE, turns)
    assert read.shape == wanted.shape
    assert np.abs(read.astype(int) - wanted).mean() < 2


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('annotated', ['stored', 'turned', None])
def test_annotated_size_decides_on_exif_orientation(write, orientation, annotated):
    path = write(with_orientation(orientation), 'a.jpg')
    turned = cv2.imread(path)
    stored = cv2.imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    shape = dict(stored=(30, 40), turned=turned.shape[:2]).get(annotated)
    size = dict(zip(('height', 'width'), shape, strict=True)) if shape else {}
    results = LoadImage()(Sample(img_path=path, **size))
    # Of a half turn or a mirrored image the size does not tell.
    is_stored = annotated == 'stored' and orientation >= 5
    np.testing.assert_array_equal(results['img'], stored if is_stored else turned)
    assert results['ori_shape'] == (stored if is_stored else turned).shape[:2]


@pytest.mark.parametrize('orientation', range(5, 9))
@pytest.mark.parametrize('file_format', ['PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('size_wh', [(40, 30), (41, 30), (40, 29)])
def test_images_annotated_as_they_are_stored(write, orientation, file_format, size_wh):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    options = dict(lossless=True) if file_format == 'WEBP' else {}
    Image.fromarray(SOURCE[..., ::-1]).save(file, file_format, exif=exif, **options)
    path = write(file.getvalue(), f'a.{file_format.lower()}')
    results = LoadImage()(Sample(img_path=path, width=size_wh[0], height=size_wh[1]))
    np.testing.assert_array_equal(results['img'], SOURCE)


@pytest.mark.parametrize('mode', ['CMYK', 'RGB', 'L'])
@pytest.mark.parametrize('max_shrink', [1, 8])
def test_jpeg_variants_are_decoded(write, mode, max_shrink):
    file = io.BytesIO()
    Image.fromarray(SOURCE[..., ::-1]).convert(mode).save(file, 'JPEG', quality=100)
    path = write(file.getvalue(), 'a.jpg')
    results = LoadImage(max_shrink=max_shrink)(Sample(img_path=path))
    np.testing.assert_array_equal(results['img'], cv2.imread(path))


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_sixteen_bits_become_eight(write, color_type):
    path = write(SOURCE.astype(np.uint16) * 257)
    results = LoadImage(color_type, max_shrink=8)(Sample(img_path=path))
    wanted = read_image(write(SOURCE, 'b.png'), color_type)
    assert np.abs(results['img'].astype(int) - wanted).max() <= 1


class Cache(dict):
    """Images by sample, as a data set holds them."""

    put = dict.__setitem__


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_cache_of_the_dataset_is_filled_and_used(write, extension, tmp_path):
    path = write(cv2.imencode(extension, SOURCE)[1].tobytes(), f'a{extension}')
    dataset = type('DataSet', (), dict(image_cache=Cache()))()
    first = LoadImage(max_shrink=8)(Sample(img_path=path, sample_idx=3, dataset=dataset))['img']
    assert list(dataset.image_cache) == [3]
    np.testing.assert_array_equal(first, cv2.imread(path))
    (tmp_path / f'a{extension}').unlink()
    again = LoadImage()(Sample(img_path=path, sample_idx=3, dataset=dataset))['img']
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize('max_shrink', [0, 3, 16])
def test_max_shrink_is_checked(max_shrink):
    with pytest.raises(UserError, match=f'max_shrink={max_shrink}'):
        LoadImage(max_shrink=max_shrink)


BROKEN = {
    'empty': b'',
    'garbage': b'no image at all' * 50,
    'header only': cv2.imencode('.png', SOURCE)[1].tobytes()[:24],
    'half a header': cv2.imencode('.jpg', SOURCE)[1].tobytes()[:10],
    'missing': None,
    'folder': None,
}


@pytest.fixture(params=list(BROKEN))
def broken(request, tmp_path):
    path = tmp_path / 'broken.jpg'
    if request.param == 'folder':
        path.mkdir()
    elif BROKEN[request.param] is not None:
        path.write_bytes(BROKEN[request.param])
    return str(path)


def test_broken_files_are_named(broken):
    with pytest.raises(UndecodableImageError, match='cannot decode the image') as caught:
        read_image(broken)
    assert broken in str(caught.value)
    assert '\n' not in str(caught.value)
    assert caught.value.path == broken
    assert caught.value.sample_idx == -1


def test_depth_that_is_no_byte_is_refused(write):
    with pytest.raises(UndecodableImageError, match=r'a\.png'):
        read_image(write(SOURCE.astype(np.uint16)), 'unchanged')


def test_load_begins_a_scene(write):
    results = LoadImage()(Sample(img_path=write(SOURCE)))
    assert results['ori_shape'] == results['img_shape'] == (30, 40)
    np.testing.assert_array_equal(results['matrix'], np.eye(3))
    np.testing.assert_array_equal(results['scene'].render(), SOURCE)
    assert 'gt_bboxes' not in results


def test_file_that_breaks_off_behind_its_header_tells_the_sample(write):
    content = cv2.imencode('.jpg', SOURCE)[1].tobytes()
    path = write(content[: content.index(b'\xff\xda')], 'a.jpg')
    results = LoadImage()(Sample(img_path=path, sample_idx=7))
    with pytest.raises(UndecodableImageError, match='cannot decode') as caught:
        results['img']
    assert (caught.value.path, caught.value.sample_idx) == (path, 7)


def test_loading_a_broken_file_tells_the_sample(broken):
    with pytest.raises(UndecodableImageError, match='cannot decode') as caught:
        LoadImage()(Sample(img_path=broken, sample_idx=7))
    assert (caught.value.path, caught.value.sample_idx) == (broken, 7)


@pytest.mark.parametrize(('color_type', 'channels'), [('color', 3), ('grayscale', 1)])
def test_tolerance_makes_a_grey_picture_and_says_so(broken, monkeypatch, color_type, channels):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.transforms.loading.print_log', lambda *args: lines.append(args))
    step = LoadImage(color_type, tolerant=True)
    results = step(Sample(img_path=broken, height=30, width=40))
    assert results['ori_shape'] == results['img_shape'] == (30, 40)
    np.testing.assert_array_equal(results['img'], np.full((30, 40, channels), 114, np.uint8))
    ((line, _, level),) = lines
    assert broken in line
    assert level == logging.WARNING


def test_color_type_is_checked():
    with pytest.raises(UserError, match="color_type='colour'"):
        LoadImage('colour')


def annotated(labels, crowd):
    count = len(labels)
    return Sample(
        bboxes=np.arange(4.0 * count).reshape(count, 4),
        labels=np.array(labels, int),
        is_crowd=np.array(crowd, bool),
    )


@pytest.mark.parametrize(
    ('ignore_crowd', 'labels', 'crowd', 'wanted', 'rows'),
    [
        (False, [3, 4, 5], [0, 1, 0], [3, 5], [0, 2]),
        (True, [3, 4, 5], [0, 1, 0], [3, -1, 5], [0, 1, 2]),
        (False, [3], [1], [], []),
        (True, [3], [1], [-1], [0]),
        (False, [], [], [], []),
        (True, [], [], [], []),
    ],
)
def test_crowds(ignore_crowd, labels, crowd, wanted, rows):
    source = annotated(labels, crowd)
    results = LoadAnnotations(ignore_crowd)(begin_scene(source, SOURCE))
    assert results['gt_bboxes_labels'].tolist() == wanted
    assert results['gt_bboxes_labels'].dtype == np.int64
    assert results['gt_bboxes'].dtype == np.float32
    np.testing.assert_array_equal(results['gt_bboxes'], source['bboxes'][rows])


def test_annotations_are_copied():
    source = annotated([1, 2], [0, 0])
    source['bboxes'] = source['bboxes'].astype(np.float32)
    results = LoadAnnotations()(source)
    results['gt_bboxes'][:] = -1
    results['gt_bboxes_labels'][:] = -1
    assert source['bboxes'].min() == 0
    assert source['labels'].tolist() == [1, 2]
