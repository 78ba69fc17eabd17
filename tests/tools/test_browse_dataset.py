from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmyolox.apis.drawing import YOLOXVisualizer, draw_boxes
from mmyolox.deploy.draw import class_colour
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

browse = load_tool('analysis_tools/browse_dataset.py')
scenes = load_tool('dataset_converters/shape_scenes.py')
make_shapes = load_tool('dataset_converters/make_shapes.py')

CUSTOM = Path(__file__).parents[2] / 'configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'


def config(**hooks):
    return Config(
        dict(
            train_dataloader=dict(dataset=dict(type='D', pipeline=[dict(type='first')])),
            val_dataloader=dict(dataset=dict(type='V', pipeline=[])),
            test_dataloader=None,
            **hooks,
        ),
        filename='some_config.py',
        cfg_text='# no file',
    )


SECOND = dict(type='YOLOXModeSwitchHook', new_train_pipeline=[dict(type='second')])


@pytest.mark.parametrize(
    ('hooks', 'split', 'stage', 'expected'),
    [
        (dict(), 'train', 1, dict(type='D', pipeline=[dict(type='first')])),
        (dict(), 'val', 1, dict(type='V', pipeline=[])),
        (
            dict(default_hooks=dict(a=None, b=SECOND)),
            'train',
            2,
            dict(type='D', pipeline=[dict(type='second')]),
        ),
        (dict(custom_hooks=[SECOND]), 'train', 2, dict(type='D', pipeline=[dict(type='second')])),
        (
            dict(train_pipeline_stage2=[dict(type='second')]),
            'train',
            2,
            dict(type='D', pipeline=[dict(type='second')]),
        ),
    ],
)
def test_dataset_config(hooks, split, stage, expected):
    assert browse.dataset_config(config(**hooks), split, stage) == expected


@pytest.mark.parametrize(
    ('split', 'stage', 'message'),
    [
        ('test', 1, 'some_config.py: has no test_dataloader'),
        ('train', 2, '--stage 2 with --split train: some_config.py'),
        ('val', 2, '--stage 2 with --split val: some_config.py'),
    ],
)
def test_a_split_or_stage_that_the_config_lacks(split, stage, message):
    hooks = dict(custom_hooks=[SECOND]) if split == 'val' else {}
    with pytest.raises(UserError, match=message):
        browse.dataset_config(config(**hooks), split, stage)


def test_no_sample(run, tmp_path):
    with pytest.raises(UserError, match='--number 0: at least one'):
        run(browse, CUSTOM, '--number', 0, '--out-dir', tmp_path)


class Samples(list):
    metainfo = dict(classes=('', ''))


def packed_sample():
    """Two objects, the second one large, and a crowd; with a field that detectors do not know."""
    truth = dict(
        bboxes=np.array([[10.0, 30.0, 40.0, 50.0], [30.0, 20.0, 60.0, 55.0]]),
        labels=np.array([1, 0]),
        ignored_bboxes=np.array([[50.0, 30.0, 70.0, 50.0]]),
        weights=np.array([0.5, 0.25]),
        meta=dict(img_path='x/name.jpg'),
    )
    return dict(inputs=np.full((3, 60, 80), 50, np.uint8), data_samples=truth)


def drawn(visualizer):
    visualizer.dataset_meta = Samples.metainfo
    ((name, picture),) = browse.drawn_samples(Samples([packed_sample()]), visualizer, 5, 0)
    assert name == 'name'
    return picture


def test_boxes_and_ignored_regions_are_drawn_in_pixels_of_the_input():
    picture = drawn(YOLOXVisualizer())
    assert picture.shape == (60, 80, 3)
    assert tuple(picture[40, 10]) == class_colour(1)
    assert tuple(picture[40, 69]) == class_colour(2)
    sample = packed_sample()
    truth = sample['data_samples']
    bboxes = np.concatenate([truth['ignored_bboxes'], truth['bboxes']])
    expected = draw_boxes(sample['inputs'].transpose(1, 2, 0), bboxes, [2, 1, 0], ['', '', 'ignored'])
    np.testing.assert_array_equal(picture, expected)


def test_a_visualizer_of_a_project_sees_every_field_of_the_objects():
    class Weights(YOLOXVisualizer):
        def draw(self, image, instances):
            return super().draw(image, instances) + round(100 * sum(instances.get('weights', [])))

    np.testing.assert_array_equal(drawn(Weights()), drawn(YOLOXVisualizer()) + 75)


def seen(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pictures_of_a_data_set_are_reproducible(run, tmp_path):
    make_shapes.write_split(tmp_path, 'train', 6, 0, scenes.Settings(width=64, height=64))
    make_shapes.write_split(tmp_path, 'val', 2, 0, scenes.Settings(width=64, height=64))
    options = [CUSTOM, '--cfg-options', f'data_root={tmp_path}/', 'img_scale=(64,64)']
    for out in ('one', 'two'):
        printed = run(browse, *options, '--number', 4, '--out-dir', tmp_path / out)
    assert f'4 of 6 samples drawn: {tmp_path}/two/contact_sheet.jpg' in printed
    assert len(seen(tmp_path / 'one')) == 5
    assert seen(tmp_path / 'one') == seen(tmp_path / 'two')
    assert cv2.imread(str(tmp_path / 'one' / 'contact_sheet.jpg')).shape == (146, 146, 3)
    run(browse, *options, '--number', 4, '--out-dir', tmp_path / 'other', '--seed', 1)
    assert seen(tmp_path / 'other') != seen(tmp_path / 'one')
    run(browse, *options, '--split', 'val', '--out-dir', tmp_path / 'val')
    assert len(seen(tmp_path / 'val')) == 3
    with pytest.raises(UserError, match=r'contact_sheet\.jpg/out cannot be written: Not a directory'):
        run(browse, 'absent.py', '--out-dir', tmp_path / 'one/contact_sheet.jpg/out')
    assert np.unique([cv2.imread(str(path)).shape[0] for path in (tmp_path / 'val').glob('0*')]).tolist() == [
        64
    ]
