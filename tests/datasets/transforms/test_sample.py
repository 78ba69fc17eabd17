"""A sample's picture, drawn when somebody asks for it, between transforms of several projects."""

import copy

import numpy as np
import pytest
from mmcv.transforms import Pad, Resize
from mmdet.datasets.transforms import PhotoMetricDistortion
from mmengine.dataset import Compose

from mmyolox.datasets.canvas.scene import take_image, take_scene
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    PackDetInputs,
    RandomAffine,
    RandomFlip,
    Sample,
    Scene,
    YOLOXHSVRandomAug,
    begin_scene,
)
from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.pictures import smooth


def begin(size=(70, 50), **extra):
    values = dict(img_scale=Size(64, 64), rng=np.random.default_rng(0)) | extra
    values |= dict(gt_bboxes=np.array([[10, 10, 40, 30]], np.float32), gt_bboxes_labels=np.array([2]))
    return begin_scene(Sample(**values), smooth(size))


def test_image_is_drawn_on_demand_and_once():
    results = Letterbox()(begin())
    wanted = results['scene'].render()
    assert 'img' in results
    np.testing.assert_array_equal(results['img'], wanted)
    assert 'scene' not in results
    assert results['img'] is results['img']
    assert 'img' in results


def test_missing_keys_stay_missing():
    for results in (Sample(), Sample(scene=Scene.of(smooth((8, 8))))):
        assert 'nothing' not in results
        assert results.get('nothing') is None
        assert results.get('nothing', 3) == 3
        with pytest.raises(KeyError, match='nothing'):
            results['nothing']
    with pytest.raises(KeyError, match='img'):
        Sample()['img']
    assert Sample().get('img') is None
    assert 'img' not in Sample()


def test_get_draws_too():
    results = Letterbox()(begin())
    wanted = results['scene'].render()
    np.testing.assert_array_equal(results.get('img'), wanted)


@pytest.mark.parametrize('read_first', [True, False])
def test_image_set_by_others_replaces_the_scene(read_first):
    results = Letterbox()(begin())
    wanted = results['img'] // 2 if read_first else smooth((20, 20))
    results['img'] = wanted
    assert take_scene(results).render() is wanted
    assert not {'img', 'scene'} & set(results)


def test_pixels_of_other_types_become_bytes():
    image = np.array([[[-3.0, 0.4, 0.6], [254.7, 255.4, 300]]], np.float32)
    taken = take_image(Sample(img=image))
    assert taken.dtype == np.uint8
    assert taken.tolist() == [[[0, 0, 1], [255, 255, 255]]]


@pytest.mark.parametrize('seed', range(4))
def test_mmdets_pixel_transform_in_the_middle(seed):
    np.random.seed(seed)
    following = [RandomAffine(), RandomFlip(prob=1.0), YOLOXHSVRandomAug(), PackDetInputs()]
    packed = Compose([Letterbox(), PhotoMetricDistortion(), *following])(begin())
    np.random.seed(seed)
    distorted = PhotoMetricDistortion()(dict(img=Letterbox()(begin())['img']))['img']
    plain = Letterbox()(begin())
    plain['img'] = np.rint(distorted).clip(0, 255).astype(np.uint8)
    wanted = Compose(following)(plain)
    assert packed['inputs'].dtype == wanted['inputs'].dtype
    assert (packed['inputs'] == wanted['inputs']).all()
    assert (packed['data_samples']['bboxes'] == wanted['data_samples']['bboxes']).all()


def test_mmcvs_resize_finds_the_picture():
    results = Compose([Resize(scale=(35, 25)), Pad(size=(64, 64)), FilterAnnotations()])(begin())
    assert results['img'].shape == (64, 64, 3)
    assert results['gt_bboxes'].tolist() == [[5, 5, 20, 15]]
    assert RandomFlip(1.0)(results)['gt_bboxes'].tolist() == [[44, 5, 59, 15]]


class Unique:
    """A data set that would rather not be copied."""

    def __deepcopy__(self, memo):
        raise AssertionError('the data set is shared')


def test_deep_copies_share_nothing_but_the_data_set():
    dataset = Unique()
    results = Letterbox()(begin(dataset=dataset))
    copied = copy.deepcopy(results)
    assert isinstance(copied, Sample)
    assert copied['dataset'] is dataset
    assert copied.keys() == results.keys()
    before = results['scene'].render(), results['gt_bboxes'].copy(), results['rng'].bit_generator.state
    RandomAffine()(copied)['img'][:] = 0
    copied['gt_bboxes'][:] = 0
    np.testing.assert_array_equal(results['img'], before[0])
    np.testing.assert_array_equal(results['gt_bboxes'], before[1])
    assert results['rng'].bit_generator.state == before[2]
