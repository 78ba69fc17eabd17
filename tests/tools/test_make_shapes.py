import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

make_shapes = load_tool('dataset_converters/make_shapes.py')
scenes = load_tool('dataset_converters/shape_scenes.py')


def rng(seed=0):
    return np.random.default_rng(seed)


def square(left, top, size=20, width=100, height=80, label=1):
    """A shape that is exactly the given square, its keypoints in its middle and towards its sides."""
    middle = np.array([left + size / 2, top + size / 2])
    offsets = np.array([[0, -1], [-1, 0], [1, 0], [0, 1], [0, 0]]) * size / 4
    corners = middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    coverage = scenes.rasterise(corners, width, height)
    return scenes.Shape(label, coverage, middle + offsets, np.eye(2) * 2 / size, float(size * size))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


# --- drawing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('corners', 'expected'),
    [
        (
            [[2, 1], [5, 1], [5, 3], [2, 3]],
            {(1, 2): 1, (1, 4): 1, (2, 3): 1, (0, 2): 0, (1, 5): 0, (3, 2): 0},
        ),
        ([[2.5, 1], [5, 1], [5, 3], [2.5, 3]], {(1, 2): 0.5, (1, 3): 1, (1, 1): 0}),
        ([[-4, -4], [1, -4], [1, 1], [-4, 1]], {(0, 0): 1, (0, 1): 0, (1, 0): 0}),
        ([[20, 20], [30, 20], [30, 30]], {(0, 0): 0, (5, 7): 0}),
    ],
)
def test_rasterise_gives_the_covered_share_of_each_pixel(corners, expected):
    coverage = scenes.rasterise(np.array(corners, float), width=8, height=6)
    assert coverage.shape == (6, 8)
    for pixel, share in expected.items():
        # OpenCV also fills the pixels under the outline: at most half of one of four, on each side.
        assert coverage[pixel] == pytest.approx(share, abs=0.26), pixel
        assert (coverage[pixel] >= 0.5) == (share >= 0.5)


def test_rasterise_is_centred():
    y, x = (np.mgrid[0:30, 0:40] + 0.5).reshape(2, -1)
    errors = []
    for middle in rng().uniform(12, 18, (50, 2)):
        coverage = scenes.rasterise(middle + 9 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), 40, 30)
        errors.append(np.average([x, y], axis=1, weights=coverage.ravel()) - middle)
    # One alone is off by up to about half a quarter pixel.
    assert np.abs(errors).max() <= 0.15
    assert np.abs(np.mean(errors, axis=0)).max() <= 0.05


@pytest.mark.parametrize('seed', range(20))
def test_area_and_coverage_agree(seed):
    settings = scenes.Settings(radius=(0.2, 0.4))
    shape = scenes.random_shape(rng(seed), settings, np.array([160.0, 160.0]))
    assert shape.coverage.sum() == pytest.approx(shape.area, rel=0.03)


@pytest.mark.parametrize('seed', range(20))
def test_keypoints_lie_on_their_shape_and_in_its_frame(seed):
    shape = scenes.random_shape(rng(seed), scenes.Settings(), np.array([160.0, 160.0]))
    x, y = np.floor(shape.keypoints).astype(int).T
    assert shape.mask[y, x].all()
    landmarks = scenes.LANDMARKS[scenes.CLASS_NAMES[shape.label]]
    back = (shape.keypoints - shape.keypoints[4]) @ shape.frame.T
    np.testing.assert_allclose(back, landmarks - landmarks[4], atol=1e-9)


@pytest.mark.parametrize('name', scenes.CLASS_NAMES)
def test_flip_pairs_are_mirror_images(name):
    names = scenes.CATEGORY_FIELDS['keypoints']
    mirrored = scenes.LANDMARKS[name] * [-1, 1]
    for left, right in scenes.CATEGORY_FIELDS['flip_pairs']:
        i, j = names.index(left), names.index(right)
        mirrored[[i, j]] = mirrored[[j, i]]
    np.testing.assert_allclose(mirrored, scenes.LANDMARKS[name])


def test_paint_changes_the_pixels_of_the_shape_only():
    shape = square(30, 20)
    image = np.full((80, 100, 3), 128.0)
    scenes.paint(rng(), image, shape)
    changed = (image != 128).any(axis=2)
    assert not changed[shape.coverage == 0].any()
    assert changed[shape.mask].mean() > 0.95
    # The dot at the head, (40.0, 25.0), is black or white.
    assert np.ptp(image[24:26, 39:41]) == 0
    assert image[25, 40, 0] in (0, 255)


@pytest.mark.parametrize('seed', range(10))
def test_fill_stands_out_from_what_is_behind(seed):
    first, second = scenes.random_colours(rng(seed), np.array([128.0, 128.0, 128.0]))
    assert np.linalg.norm(first - 128) >= 100
    assert np.linalg.norm(second - first) >= 100


# --- what is said of a shape ---------------------------------------------------------------------------


def test_annotation_of_a_shape_that_is_seen():
    assert scenes.annotate(square(30, 20), []) == dict(
        label=1,
        bbox=(30, 20, 50, 40),
        area=400,
        keypoints=[40, 25, 2, 35, 30, 2, 45, 30, 2, 40, 35, 2, 40, 30, 2],
        num_keypoints=5,
    )


def test_a_shape_hidden_in_part_keeps_its_box_and_its_hidden_keypoints():
    found = scenes.annotate(square(30, 20), [square(42, 20)])
    assert (found['bbox'], found['area'], found['num_keypoints']) == ((30, 20, 50, 40), 400, 5)
    assert found['keypoints'][2::3] == [2, 2, 1, 2, 2]


def test_a_shape_across_the_border_is_cut_and_loses_the_keypoints_outside():
    found = scenes.annotate(square(-8, 66), [])
    assert (found['bbox'], found['area'], found['num_keypoints']) == ((0, 66, 12, 80), 168, 3)
    assert found['keypoints'] == [2, 71, 2, 0, 0, 0, 7, 76, 2, 0, 0, 0, 2, 76, 2]


def test_keypoint_outside_is_not_taken_for_hidden():
    found = scenes.annotate(square(-8, 66), [square(-8, 66)])
    assert found['keypoints'][2::3] == [1, 0, 1, 0, 1]


# --- scenes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize('seed', range(15))
def test_placement_respects_the_limits(seed):
    settings = scenes.Settings(width=160, height=120, shapes=(4, 8), max_hidden=0.3, min_inside=0.7)
    shapes = scenes.place_shapes(rng(seed), settings)
    assert 1 <= len(shapes) <= 8
    for index, shape in enumerate(shapes):
        above = np.logical_or.reduce([np.zeros_like(shape.mask), *(s.mask for s in shapes[index + 1 :])])
        assert (shape.mask & above).sum() <= 0.3 * shape.mask.sum()
        assert shape.mask.sum() >= 0.7 * shape.area


@pytest.mark.parametrize('count', [1, 3])
def test_number_of_shapes(count):
    settings = scenes.Settings(shapes=(count, count), radius=(0.1, 0.1), empty=0)
    assert len(scenes.make_scene(rng(), settings)[1]) == count


def test_an_empty_scene():
    image, objects = scenes.make_scene(rng(), scenes.Settings(width=64, height=48, empty=1))
    assert (image.shape, image.dtype, objects) == ((48, 64, 3), np.uint8, [])


# --- the tool ------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A small data set, not square."""
    folder = tmp_path_factory.mktemp('shapes')
    settings = scenes.Settings(width=96, height=64)
    for split, count in (('train', 8), ('val', 4)):
        make_shapes.write_split(folder, split, count, 3, settings)
    return folder


def test_same_arguments_same_bytes(run, small, tmp_path):
    run(make_shapes, tmp_path, '--train', 8, '--val', 4, '--size', 96, 64, '--seed', 3)
    assert files(tmp_path) == files(small)


def test_a_larger_set_continues_a_smaller_one(small, tmp_path):
    make_shapes.write_split(tmp_path, 'train', 3, 3, scenes.Settings(width=96, height=64))
    larger = files(small)
    images = {name: content for name, content in files(tmp_path).items() if name.startswith('images')}
    assert len(images) == 3
    assert images.items() <= larger.items()


def test_splits_and_seeds_differ(small, tmp_path):
    make_shapes.write_split(tmp_path, 'train', 1, 4, scenes.Settings(width=96, height=64))
    name = 'images/{}/000000.jpg'
    contents = {(small / name.format(s)).read_bytes() for s in ('train', 'val')}
    assert len(contents | {(tmp_path / name.format('train')).read_bytes()}) == 3


@pytest.mark.parametrize(('split', 'count'), [('train', 8), ('val', 4)])
def test_annotation_file(small, split, count):
    content = json.loads((small / 'annotations' / f'{split}.json').read_text())
    coco = COCO(str(small / 'annotations' / f'{split}.json'))
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == ['disk', 'box', 'triangle', 'star']
    assert content['categories'][0] | scenes.CATEGORY_FIELDS == content['categories'][0]
    assert len(coco.imgs) == count
    for image in coco.imgs.values():
        assert cv2.imread(str(small / 'images' / image['file_name'])).shape == (64, 96, 3)
        assert (image['width'], image['height']) == (96, 64)
    assert coco.anns
    for annotation in coco.anns.values():
        x, y, width, height = annotation['bbox']
        assert 0 <= x < x + width <= 96
        assert 0 <= y < y + height <= 64
        assert min(width, height) >= 4
        assert 0 < annotation['area'] <= width * height
        points = np.array(annotation['keypoints']).reshape(5, 3)
        assert annotation['num_keypoints'] == (points[:, 2] > 0).sum()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--size', '31'], r'--size \[31\]: one or two numbers'),
        (['--size', '64', '64', '64'], 'one or two numbers'),
        (['--shapes', '3', '2'], r'--shapes \[3, 2\]: two numbers are needed, the smaller first'),
        (['--radius', '0', '0.2'], r'--radius \[0.0, 0.2\]'),
    ],
)
def test_impossible_settings(run, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(make_shapes, tmp_path / 'out', *options)
    assert not (tmp_path / 'out').exists()


def test_options_reach_the_settings():
    options = ['o', '--size', '64', '--shapes', '2', '3', '--radius', '0.1', '0.2', '--max-rotation', '9']
    settings = make_shapes.make_settings(make_shapes.parse_args([*options, '--empty', '0.5']))
    assert settings == type(settings)(64, 64, (2, 3), (0.1, 0.2), max_rotation=9.0, empty=0.5)
