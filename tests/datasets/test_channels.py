"""Images of 1, 3, 4 and more channels from the file to the batch, or a refusal that names them."""

import json
import re

import cv2
import numpy as np
import pytest

from mmyolox.datasets import yolox_collate
from mmyolox.datasets.canvas.geometry import horizontal_flip, rotation, scaling, translation
from mmyolox.datasets.canvas.scene import FILL
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    LoadAnnotations,
    LoadImage,
    Mosaic,
    PackDetInputs,
    RandomAffine,
    RandomFlip,
    RecentSamples,
    Sample,
    Scene,
    UndecodableImageError,
    YOLOXHSVRandomAug,
    YOLOXMixUp,
    begin_scene,
    read_image,
)
from mmyolox.datasets.transforms.augmentations import map_hsv, shift_tables
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco
from tests.datasets.transforms.pictures import Draws, smooth


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path, pixels):
    """Writes an image by the suffix of its path and returns the path."""
    if path.suffix == '.npy':
        np.save(path, pixels)
    else:
        cv2.imwrite(str(path), pixels)
    return str(path)


# Reading


@pytest.mark.parametrize(
    ('name', 'channels'), [('a.png', 1), ('a.png', 4), ('a.tiff', 4)] + [('a.npy', n) for n in (1, 2, 3, 6)]
)
def test_any_number_of_channels_is_read(tmp_path, name, channels):
    pixels = noise((9, 7, channels))
    path = write(tmp_path / name, pixels)
    np.testing.assert_array_equal(read_image(path, 'unchanged'), pixels)
    step = LoadImage('unchanged', channels=channels)
    results = step(Sample(img_path=path))
    assert results['ori_shape'] == (9, 7)
    np.testing.assert_array_equal(results['img'], pixels)


@pytest.mark.parametrize('array', [noise((9, 7)), np.asfortranarray(noise((9, 7, 5))), noise((7, 9, 5)).T])
def test_arrays_of_any_order_are_read(tmp_path, array):
    read = read_image(write(tmp_path / 'a.npy', array))
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, array.reshape(*array.shape[:2], -1))


@pytest.mark.parametrize(
    'array',
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros(4, np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.array([[dict()]]),
    ],
)
def test_arrays_that_are_no_images_are_undecodable(tmp_path, array):
    with pytest.raises(UndecodableImageError, match=r'a\.npy'):
        read_image(write(tmp_path / 'a.npy', array))


def test_a_numpy_header_that_is_no_python_is_named(tmp_path):
    path = tmp_path / 'a.npy'
    write(path, np.zeros((40, 60, 3), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape': \x7f"))
    with pytest.raises(UndecodableImageError, match=r'a\.npy \(no shape found in its header'):
        read_image(str(path))


@pytest.mark.parametrize('name', ['a.tiff', 'a.npy'])
def test_deeper_pixels_are_named(tmp_path, name):
    path = write(tmp_path / name, noise((9, 7, 4)).astype(np.uint16))
    said = rf'{name} \(shape \(9, 7, 4\), uint16; needed is .* uint8\)'
    for step in (read_image, lambda path, kind: LoadImage(kind, channels=4)(Sample(img_path=path))):
        with pytest.raises(UndecodableImageError, match=said):
            step(path, 'unchanged')


@pytest.mark.parametrize('length', [6, 20, 80, 140])
def test_cut_arrays_are_undecodable(tmp_path, length):
    path = tmp_path / 'a.npy'
    write(path, noise((9, 7, 5)))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UndecodableImageError, match=r'a\.npy'):
        read_image(str(path))


@pytest.mark.parametrize(
    ('step', 'name', 'channels', 'wanted'),
    [
        (LoadImage('unchanged', channels=4), 'a.png', 3, 4),
        (LoadImage('unchanged', channels=4, tolerant=True), 'a.png', 3, 4),
        (LoadImage('unchanged', channels=6), 'a.npy', 4, 6),
        (LoadImage(), 'a.npy', 4, 3),
        (LoadImage('grayscale'), 'a.npy', 3, 1),
    ],
)
def test_another_number_of_channels_is_refused_by_name(tmp_path, step, name, channels, wanted):
    path = write(tmp_path / name, noise((9, 7, channels)))
    with pytest.raises(UserError) as caught:
        step(Sample(img_path=path))
    assert str(caught.value) == f'the image {path} has {channels} channel(s), {wanted} are needed'


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(channels=4), "color_type='color' gives 3 channel"),
        (dict(color_type='grayscale', channels=3), "color_type='grayscale' gives 1 channel"),
        (dict(color_type='unchanged', channels=0), r'channels=0 must lie in \[1, 512\]'),
        (dict(color_type='unchanged', channels=600), 'channels=600'),
    ],
)
def test_the_option_is_checked(options, said):
    with pytest.raises(UserError, match=said):
        LoadImage(**options)


@pytest.mark.parametrize(('options', 'channels'), [(dict(channels=6), 6), ({}, 3)])
def test_a_placeholder_has_as_many(tmp_path, options, channels):
    step = LoadImage('unchanged', tolerant=True, **options)
    results = step(Sample(img_path=str(tmp_path / 'none.npy'), height=5, width=4))
    np.testing.assert_array_equal(results['img'], np.full((5, 4, channels), FILL))


# Drawing


MOVES = {
    'resized': [(scaling(1.3, 0.7), Size(60, 40))],
    'moved by parts of a pixel': [(translation(3.3, -2.6) @ scaling(0.8, 0.9), Size(50, 50))],
    'mirrored': [(scaling(1.7, 1.7), Size(70, 60)), (horizontal_flip(70), Size(70, 60))],
    'rotated': [(translation(14, 5) @ rotation(12) @ scaling(1.4, 1.4), Size(64, 64))],
}


@pytest.mark.parametrize('channels', [1, 3, 4, 6, 13])
@pytest.mark.parametrize('moves', MOVES)
def test_each_channel_is_drawn_as_if_alone(channels, moves):
    image, other = noise((33, 41, channels)), noise((33, 41, channels), 1)

    def drawn(image, other):
        scenes = [Scene.of(image), Scene.of(other)]
        for matrix, size in MOVES[moves]:
            scenes = [scene.moved(matrix, size) for scene in scenes]
        return scenes[0].blended_with(scenes[1]).render()

    whole = drawn(image, other)
    assert whole.flags.c_contiguous
    alone = [drawn(image[..., i : i + 1].copy(), other[..., i : i + 1].copy()) for i in range(channels)]
    np.testing.assert_array_equal(whole, np.concatenate(alone, axis=-1))


@pytest.mark.parametrize('channels', [(3, 4), (1, 3), (6, 1)])
@pytest.mark.parametrize('mixture', ['layers', 'blend'])
def test_images_of_several_numbers_do_not_come_into_one_picture(channels, mixture):
    one, other = (Scene.of(noise((9, 9, n))) for n in channels)
    layered, blended = Scene(Size(9, 9), one.layers + other.layers), one.blended_with(other)
    scene = blended if mixture == 'blend' else layered
    with pytest.raises(UserError, match=f'images with {channels[0]} and with {channels[1]} channels'):
        scene.render()


# Colours


@pytest.mark.parametrize('channels', [4, 6])
def test_colours_are_the_first_three_channels(channels):
    image = noise((20, 30, channels))
    draws = [1.0, 0.0, 1.0, 0.9, 0.9, 0.9]
    shifted = YOLOXHSVRandomAug()(Sample(img=image.copy(), rng=Draws(draws)))['img']
    assert shifted.shape == image.shape
    np.testing.assert_array_equal(shifted[..., 3:], image[..., 3:])
    np.testing.assert_array_equal(shifted[..., :3], map_hsv(image[..., :3].copy(), shift_tables(5, -30, 30)))


@pytest.mark.parametrize('channels', [1, 2])
def test_images_without_colours_are_refused(channels):
    results = begin_scene(Sample(rng=np.random.default_rng(0)), noise((9, 9, channels)))
    with pytest.raises(UserError, match=rf'YOLOXHSVRandomAug .* {channels} channel\(s\)'):
        YOLOXHSVRandomAug()(results)


def test_a_pipeline_without_colours_is_refused_before_training(tmp_path):
    root = write_coco(tmp_path, 2)
    steps = [LoadImage('grayscale'), LoadAnnotations(), YOLOXHSVRandomAug(), PackDetInputs()]
    with pytest.raises(UserError, match='YOLOXHSVRandomAug needs images in colour'):
        open_coco(root, steps)


# Data sets


def recipe(channels, cached=False):
    color_type = {1: 'grayscale', 3: 'color'}.get(channels, 'unchanged')
    loading = [LoadImage(color_type, channels=channels), LoadAnnotations()]
    colours = [YOLOXHSVRandomAug()] if channels >= 3 else []
    mixing = [RecentSamples()] if cached else []
    mixing += [Mosaic(loading, prob=0.7), RandomAffine(), YOLOXMixUp(loading)]
    last = [RandomFlip(), FilterAnnotations(keep_empty=True), PackDetInputs()]
    return [*loading, *mixing, *colours, *last]


def write_channels(root, channels):
    """A small set whose images have some number of channels."""
    write_coco(root, 8)
    if channels > 3:
        content = json.loads((root / 'ann.json').read_text())
        for image in content['images']:
            size = Size(image['width'], image['height'])
            image['file_name'] = f'{image["id"]}.{"png" if channels == 4 else "npy"}'
            write(root / 'images' / image['file_name'], smooth(size, image['id'], channels))
        (root / 'ann.json').write_text(json.dumps(content))
    return root


def spoil(root, name, channels):
    """Overwrites image 5 with one of so many channels, and says its shape."""
    entry = json.loads((root / 'ann.json').read_text())['images'][5]
    pixels = noise((entry['height'], entry['width'], channels))
    write(root / 'images' / name, pixels.astype(np.float32) if name.endswith('npy') else pixels)
    return pixels.shape


@pytest.mark.parametrize('channels', [1, 3, 4, 6])
@pytest.mark.parametrize('cached', [False, True])
def test_the_recipe_trains_on(tmp_path, channels, cached):
    root = write_channels(tmp_path, channels)
    batches = []
    for image_cache in (None, 'ram'):
        dataset = open_coco(root, recipe(channels, cached), image_cache=image_cache)
        dataset.set_draw_key(0, 0)
        batches.append(yolox_collate([dataset[i] for i in range(8)])['inputs'].numpy())
        if image_cache:
            assert dataset.image_cache.unfit == 0
            assert dataset.image_cache.get(3).shape[2] == channels
    assert batches[0].shape == (8, channels, 32, 64)
    assert batches[0].std() > 10
    np.testing.assert_array_equal(*batches)


def test_one_image_of_another_kind_ends_the_training(tmp_path):
    root = write_channels(tmp_path, 4)
    spoil(root, '5.png', 3)
    steps = [LoadImage('unchanged', channels=4), LoadAnnotations(), Letterbox(), PackDetInputs()]
    dataset = open_coco(root, steps, max_undecodable_ratio=1.0)
    with pytest.raises(UserError, match=r'5\.png has 3 channel\(s\), 4 are needed'):
        [dataset[i] for i in range(8)]


def test_what_is_wrong_with_an_image_is_said_where_the_training_ends(tmp_path):
    root = write_channels(tmp_path, 6)
    shape = spoil(root, '5.npy', 6)
    dataset = open_coco(root, [LoadImage('unchanged', channels=6), LoadAnnotations(), PackDetInputs()])
    message = rf'1 of 8 images cannot .*5\.npy \(shape {re.escape(str(shape))}, float32; needed'
    with pytest.raises(UserError, match=message):
        [dataset[i] for i in range(8)]


def test_images_of_several_numbers_do_not_come_into_one_batch(tmp_path):
    root = write_channels(tmp_path, 4)
    spoil(root, '5.png', 1)
    dataset = open_coco(root, [LoadImage('unchanged'), LoadAnnotations(), Letterbox(), PackDetInputs()])
    with pytest.raises(UserError, match=r'5\.png has 1 channel\(s\), others of its batch have 4'):
        yolox_collate([dataset[i] for i in range(8)])
