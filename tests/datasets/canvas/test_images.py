"""Images that are decoded when they are drawn, and how many times smaller."""

import cv2
import numpy as np
import pytest

from mmyolox.datasets.canvas.geometry import horizontal_flip, rotation, scaling, translation
from mmyolox.datasets.canvas.images import EncodedJpeg, Pixels, read_jpeg_header
from mmyolox.datasets.transforms import Scene, UndecodableImageError
from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.pictures import smooth

SIZE = Size(203, 150)


def encode(pixels=None, quality=95):
    pixels = smooth(SIZE) if pixels is None else pixels
    return cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def open_jpeg(content=None, channels=3, **options):
    content = encode() if content is None else content
    return EncodedJpeg('a.jpg', content, read_jpeg_header(content), channels, **options)


def decode(content, flag=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(content, np.uint8), flag)


@pytest.fixture
def decodes(monkeypatch):
    """The flags of all decodings."""
    flags, plain = [], cv2.imdecode
    monkeypatch.setattr(cv2, 'imdecode', lambda content, flag: flags.append(flag) or plain(content, flag))
    return flags


@pytest.mark.parametrize(('channels', 'flag'), [(3, cv2.IMREAD_COLOR), (1, cv2.IMREAD_GRAYSCALE)])
def test_pixels_are_the_decoders(channels, flag):
    pixels, shrink = open_jpeg(channels=channels).read()
    assert shrink == 1
    np.testing.assert_array_equal(pixels, decode(encode(), flag).reshape(150, 203, channels))
    assert not pixels.flags.writeable


def test_nothing_is_decoded_before_it_is_drawn(decodes):
    source = open_jpeg()
    scene = Scene.showing(source).moved(translation(500, 0), Size(400, 300))
    assert (scene.render() == 114).all()
    assert source.size == SIZE
    assert decodes == []
    scene = Scene.showing(source).moved(scaling(2, 2), Size(400, 300))
    scene.render()
    scene.moved(horizontal_flip(400), Size(400, 300)).render()
    assert decodes == [cv2.IMREAD_COLOR]


def test_what_a_canvas_cut_off_is_not_decoded(decodes):
    tile = (
        Scene.showing(open_jpeg())
        .moved(translation(300, 0), Size(400, 300))
        .moved(translation(-450, 0), Size(9, 9))
    )
    tile.moved(translation(20, 0), Size(400, 300)).render()
    assert decodes == []


@pytest.mark.parametrize('matrix', [np.eye(3), translation(5.3, 3.1) @ rotation(7) @ scaling(0.4, 0.4)])
def test_drawn_like_an_array(matrix):
    content = encode()
    lazy = Scene.showing(open_jpeg(content)).moved(matrix, SIZE).render()
    np.testing.assert_array_equal(lazy, Scene.of(decode(content)).moved(matrix, SIZE).render())
    assert lazy.flags.writeable


@pytest.mark.parametrize(
    ('scale', 'max_shrink', 'wanted'),
    [
        (1, 8, 1),
        (0.51, 8, 1),
        (0.5, 8, 2),
        (0.25, 8, 4),
        (0.12, 8, 8),
        (0.12, 1, 1),
        (0.12, 4, 4),
        (0.3, 4, 2),
    ],
)
@pytest.mark.parametrize('degrees', [0, 33])
def test_shrinks_as_far_as_the_scene_allows(scale, max_shrink, wanted, degrees, decodes):
    matrix = translation(60, 10) @ rotation(degrees) @ scaling(scale * (1 - 1e-9), scale / 2)
    Scene.showing(open_jpeg(max_shrink=max_shrink)).moved(matrix, SIZE).render()
    assert decodes == [
        {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: 65}[wanted]
    ]


@pytest.mark.parametrize('size', [(203, 150), (64, 64), (17, 9), (1, 1)])
@pytest.mark.parametrize('shrink', [2, 4, 8])
@pytest.mark.parametrize('channels', [1, 3])
def test_shrunk_pixels_average_squares(size, shrink, channels):
    content = encode(smooth(size))
    whole, _ = open_jpeg(content, channels).read()
    pixels, used = open_jpeg(content, channels, max_shrink=8).read(shrink)
    assert used == shrink
    assert pixels.shape == (-(-size[1] // shrink), -(-size[0] // shrink), channels)
    rows, columns = size[1] // shrink, size[0] // shrink
    squares = whole[: rows * shrink, : columns * shrink].reshape(rows, shrink, columns, shrink, channels)
    if rows and columns:
        assert np.abs(pixels[:rows, :columns] - squares.mean((1, 3))).mean() < 1.5


@pytest.mark.parametrize(
    'matrix', [scaling(0.3, 0.22), translation(30, 20) @ rotation(20) @ scaling(0.24, 0.24)]
)
def test_shrunk_lands_where_the_whole_does(matrix):
    # A ramp is its own average: any shift between the two ways shows as a constant difference.
    x, y = np.meshgrid(np.arange(203), np.arange(150))
    content = encode(np.stack([x, y, (x + y) // 2], -1).astype(np.uint8), 100)
    drawn = [
        Scene.showing(open_jpeg(content, max_shrink=n)).moved(matrix, Size(90, 70)).render().astype(int)
        for n in (1, 8)
    ]
    inside = cv2.erode((drawn[0] != 114).any(-1).astype(np.uint8), np.ones((7, 7))).astype(bool)
    inside[:3] = inside[-3:] = False
    inside[:, :3] = inside[:, -3:] = False
    difference = (drawn[1] - drawn[0])[inside]
    assert np.abs(difference).max() <= 4
    assert abs(difference.mean()) < 0.4


def test_finer_pixels_are_kept(decodes):
    source = open_jpeg(max_shrink=8)
    assert [source.read(n)[1] for n in (4, 8, 2, 4, 1, 8)] == [4, 4, 2, 2, 1, 1]
    assert len(decodes) == 3


def test_full_pixels_are_remembered():
    remembered = []
    source = open_jpeg(max_shrink=2, remember=remembered.append)
    source.read(2)
    assert remembered == []
    pixels, _ = source.read()
    source.read()
    assert len(remembered) == 1
    assert remembered[0] is pixels


def test_another_content_than_the_header_says_is_an_error():
    content = encode()
    source = EncodedJpeg('b.jpg', encode(smooth((20, 20))), read_jpeg_header(content), 3, sample_idx=7)
    with pytest.raises(UndecodableImageError, match=r'b\.jpg') as caught:
        source.read()
    assert caught.value.sample_idx == 7


@pytest.mark.parametrize('source', [Pixels(smooth(SIZE)), open_jpeg()])
def test_bytes(source):
    assert source.num_bytes == 203 * 150 * 3
    assert source.channels == 3
