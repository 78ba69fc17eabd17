"""Augmentations of Albumentations: what goes along, reproducible draws, and mistakes."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmyolox.config import load_config
from mmyolox.datasets.canvas.geometry import horizontal_flip, scaling, transform_points, translation
from mmyolox.datasets.transforms import Albumentations
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

IMAGE = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
BBOXES = np.array([[4, 6, 30, 40], [10, 10, 10, 20], [50, 20, 79, 59], [0, 0, 5, 5]], np.float32)
FLIP, CROP = (
    dict(type='HorizontalFlip', p=1.0),
    dict(type='Crop', x_min=10, y_min=5, x_max=60, y_max=45, p=1.0),
)


def apply(*augmentations, seed=0, image=IMAGE, **more):
    results = dict(
        img=image.copy(),
        img_shape=image.shape[:2],
        matrix=np.eye(3),
        rng=np.random.default_rng(seed),
        gt_bboxes=BBOXES.copy(),
        gt_bboxes_labels=np.array([0, 1, -1, 2]),
        gt_serial=np.arange(4),
    )
    return Albumentations(list(augmentations)).transform(results | more)


def record_map(values, matrix, size):
    """An instance map that tells what it was given."""
    return values, matrix, size


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'albumentations', None)
    with pytest.raises(
        UserError, match=r'the package is absent; install it .*: pip install --no-deps albumentations '
    ):
        Albumentations(['CLAHE'])


def test_a_config_takes_names_that_no_registry_has(tmp_path):
    path = tmp_path / 'weather.py'
    steps = "[dict(type='Albumentations', augmentations=['CLAHE', dict(type='OneOf', transforms=['Blur'])])]"
    path.write_text(
        "_base_ = 'mmyolox::yolox/yolox_nano_fast_8xb8-300e_coco.py'\n"
        f'train_dataloader = dict(dataset=dict(pipeline={steps}))\n'
    )
    (step,) = load_config(path).train_dataloader.dataset.pipeline
    assert step.augmentations[1].transforms == ['Blur']


@pytest.fixture(scope='module')
def library():
    return pytest.importorskip('albumentations')


@pytest.mark.usefixtures('library')
class TestWithTheLibrary:
    def test_colours_leave_the_rest(self):
        results = apply(dict(type='InvertImg', p=1.0))
        assert np.array_equal(results['img'], 255 - IMAGE)
        assert np.array_equal(results['gt_bboxes'], BBOXES)
        assert results['gt_bboxes_labels'].tolist() == [0, 1, -1, 2]
        assert 'matrix' in results

    def test_pictures_are_rgb(self):
        results = apply(dict(type='ToGray', p=1.0))
        assert np.array_equal(results['img'][..., 0], cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY))

    @pytest.mark.parametrize('channels', [1, 4])
    def test_other_channels(self, channels):
        image = np.repeat(IMAGE[..., :1], channels, 2)
        results = apply(FLIP, image=image)
        assert np.array_equal(results['img'], image[:, ::-1])

    def test_what_moves_takes_boxes_and_labels_along(self):
        results = apply(CROP)
        assert np.array_equal(results['img'], IMAGE[5:45, 10:60])
        # The second has no area, the last one lies outside; the third is a region to ignore.
        assert results['gt_bboxes'] == pytest.approx(np.array([[0, 1, 20, 35], [40, 15, 50, 40]]), abs=1e-4)
        assert results['gt_bboxes'].dtype == np.float32
        assert results['gt_bboxes_labels'].tolist() == [0, -1]
        assert results['gt_serial'].tolist() == [0, 2]
        assert results['img_shape'] == (40, 50)
        assert 'matrix' not in results

    def test_no_boxes(self):
        results = apply(CROP, gt_bboxes=np.zeros((0, 4), np.float32), gt_bboxes_labels=np.zeros(0, int))
        assert results['gt_bboxes'].shape == (0, 4)

    @pytest.mark.parametrize('augmentation', [FLIP, CROP, dict(type='Transpose', p=1.0)])
    def test_boxes_are_those_of_mmdet(self, augmentation):
        params = dict(type='BboxParams', format='pascal_voc', label_fields=['gt_bboxes_labels'])
        theirs = TRANSFORMS.build(
            dict(
                type='mmdet.Albu',
                transforms=[augmentation],
                bbox_params=params | dict(filter_lost_elements=True),
                keymap=dict(img='image', gt_bboxes='bboxes'),
            )
        )
        has_area = [0, 2, 3]
        given = dict(gt_bboxes=BBOXES[has_area], gt_bboxes_labels=np.array([0, 2, 2]))
        expected = theirs(dict(img=IMAGE.copy(), img_shape=IMAGE.shape[:2], **given))
        ours = apply(augmentation, gt_serial=np.arange(3), **given)
        assert np.array_equal(ours['img'], expected['img'])
        assert ours['gt_bboxes'] == pytest.approx(np.asarray(expected['gt_bboxes']), abs=1e-4)
        assert ours['gt_bboxes_labels'].tolist() == expected['gt_bboxes_labels'].tolist()

    def test_draws_follow_the_samples_generator(self):
        steps = ['HueSaturationValue', dict(type='OneOf', transforms=['GaussNoise', 'Blur'], p=1.0)]
        first, again, other = (apply(*steps, seed=seed)['img'] for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize(
        ('augmentation', 'message'),
        [
            ('CLAHEE', "there is no augmentation 'CLAHEE'; did you mean CLAHE"),
            ('Compose', 'Compose: '),
            (3, 'there is no augmentation 3'),
            (dict(p=1), 'there is no augmentation None'),
            (dict(type='CLAHE', clip=3), "CLAHE: Argument.* 'clip' are not valid"),
            (dict(type='OneOf', transforms=[dict(type='Blur', p=7)]), 'Blur: 1 validation error'),
        ],
    )
    def test_mistakes_are_one_line(self, augmentation, message):
        with pytest.raises(UserError, match=message) as error:
            Albumentations([augmentation])
        assert '\n' not in str(error.value)

    @pytest.mark.parametrize(
        ('augmentation', 'message'),
        [
            (dict(type='ToFloat', p=1e-9), r'ToFloat: it gives float32 of shape \(60, 80, 3\)'),
            (dict(type='OneOf', transforms=['ToFloat', 'Blur']), 'OneOf: it gives float32'),
            (dict(type='Sequential', transforms=['Blur', 'Normalize']), 'Sequential: it gives float32'),
            ('ToTensorV2', r'ToTensorV2: it gives torch.uint8 of shape \(3, 60, 80\)'),
            ('Mosaic', r"Mosaic: Mosaic requires \['mosaic_metadata'\]"),
            (dict(type='RandomCrop', height=500, width=20), 'RandomCrop: Crop size .* exceeds'),
            (
                dict(type='OneOf', transforms=[FLIP, dict(type='RandomCrop', height=500, width=20)]),
                'RandomCrop: ',
            ),
        ],
    )
    def test_what_gives_no_picture_is_one_line_at_the_first_sample(self, augmentation, message):
        with pytest.raises(UserError, match=f'Albumentations: {message}') as error:
            apply('Blur', augmentation)
        assert '\n' not in str(error.value)

    def test_a_later_picture_that_is_too_small_is_one_line(self):
        step = Albumentations([dict(type='RandomCrop', height=50, width=50, p=1.0)])
        sample = dict(rng=np.random.default_rng(0), gt_bboxes=BBOXES, gt_bboxes_labels=np.arange(4))
        assert step.transform(dict(sample, img=IMAGE.copy()))['img'].shape == (50, 50, 3)
        with pytest.raises(UserError, match=r'an augmentation: Crop size .* exceeds'):
            step.transform(dict(sample, img=IMAGE[:40].copy()))

    @pytest.mark.parametrize(
        'augmentations',
        [
            [dict(type='ToFloat', max_value=255, p=1.0), dict(type='FromFloat', max_value=255, p=1.0)],
            [dict(type='ToFloat', p=0.0)],
            [dict(type='OneOf', transforms=[], p=1.0)],
        ],
    )
    def test_what_gives_a_picture_in_the_end_is_taken(self, augmentations):
        assert np.abs(apply(*augmentations)['img'].astype(int) - IMAGE).max() <= 1

    def test_the_trial_changes_no_draw(self):
        step, first = Albumentations(['HueSaturationValue', FLIP]), None
        for _ in range(2):
            results = dict(img=IMAGE.copy(), rng=np.random.default_rng(3), gt_bboxes=BBOXES)
            image = step.transform(dict(results, gt_bboxes_labels=np.arange(4)))['img']
            first = image if first is None else first
        assert np.array_equal(image, first)

    @pytest.mark.parametrize(
        ('augmentation', 'expected'),
        [
            (FLIP, horizontal_flip(80)),
            (CROP, translation(-10, -5)),
            (dict(type='Transpose', p=1.0), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
            (dict(type='Pad', padding=[3, 7, 0, 0], p=1.0), translation(3, 7)),
            (dict(type='Affine', scale=0.5, p=1.0), translation(20, 15) @ scaling(0.5, 0.5)),
            (dict(type='CoarseDropout', num_holes_range=(8, 8), p=1.0), np.eye(3)),
            (dict(type='OneOf', transforms=['CLAHE', 'Blur'], p=1.0), None),
        ],
        ids=lambda value: value.get('type') if isinstance(value, dict) else '',
    )
    def test_what_moves_with_instances_follows_the_affine_map(self, augmentation, expected):
        results = apply(augmentation, gt_serial=np.arange(4), instance_maps=dict(gt_serial=record_map))
        if expected is None:
            assert results['gt_serial'].tolist() == [0, 1, 2, 3]
            return
        serial, matrix, size = results['gt_serial']
        assert serial.tolist() == apply(augmentation)['gt_serial'].tolist()
        assert matrix == pytest.approx(np.array(expected), abs=1e-3)
        assert size.shape_hw == results['img'].shape[:2]

    def test_the_map_is_that_of_the_pixels(self):
        turn = dict(type='Affine', rotate=(25, 25), shear=dict(x=8, y=0), translate_px=dict(x=6, y=-4), p=1.0)
        for x, y in [(30, 25), (50, 30), (38, 40)]:
            rows, columns = np.mgrid[:60, :80]
            blob = 250 * np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 8)
            image = np.repeat(blob[..., None], 3, 2).astype(np.uint8)
            results = apply(turn, image=image, instance_maps=dict(gt_serial=record_map))
            weights = results['img'][..., 0].astype(float)
            centre = [((grid + 0.5) * weights).sum() / weights.sum() for grid in (columns, rows)]
            (moved,) = transform_points(np.array([[float(x), y]]), results['gt_serial'][1])
            assert moved == pytest.approx(np.array(centre), abs=0.1)

    @pytest.mark.parametrize('name', ['Perspective', 'GridDistortion', 'ElasticTransform'])
    def test_another_map_is_refused_where_more_than_boxes_moves(self, name):
        augmentation = dict(type='OneOf', transforms=['HorizontalFlip', dict(type=name, p=1.0)], p=0.01)
        assert 'img' in apply(augmentation)
        with pytest.raises(
            UserError, match=rf'{name} moves the picture by another map .* gt_keypoints can go'
        ):
            apply(augmentation, instance_maps=dict(gt_keypoints=None))

    def test_nothing_moves_in_an_evaluation(self):
        with pytest.raises(UserError, match='cannot stand in the pipeline of an evaluation'):
            apply(FLIP, dataset=SimpleNamespace(test_mode=True))
