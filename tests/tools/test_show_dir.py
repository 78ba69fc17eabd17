"""tools/test.py --show-dir: whose pictures they are."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmyolox.apis.drawing import write_image
from mmyolox.config import load_config
from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.deploy.draw import as_bgr
from mmyolox.errors import UserError
from mmyolox.registry import HOOKS, VISUALIZERS
from tests.tools.tool_loading import load_tool

tool = load_tool('test.py')
NAME = 'yolox_nano_fast_8xb8-300e_coco'


@pytest.mark.parametrize('kind', ['YOLOXVisualizer', 'mmdet.DetLocalVisualizer'])
def test_pictures_are_the_visualizers_of_the_config(tmp_path, kind):
    cfg = load_config(NAME, {'visualizer.type': kind})
    tool.draw_detections(cfg, str(tmp_path))
    assert cfg.visualizer.type == kind
    assert cfg.default_hooks.visualization.out_dir == str(tmp_path)


def test_a_visualizer_that_draws_nothing_is_named(tmp_path):
    cfg = load_config(NAME, {'visualizer.type': 'Visualizer'})
    with pytest.raises(UserError, match=r'visualizer.type=Visualizer draws nothing; add --cfg-options'):
        tool.draw_detections(cfg, str(tmp_path))


@pytest.mark.parametrize('channels', [2, 5])
def test_images_of_any_number_of_channels_are_drawn(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, channels), np.uint8)
    np.save(tmp_path / 'a.npy', pixels)
    visualizer = VISUALIZERS.build(dict(type='YOLOXVisualizer', name=f'of {channels} channels'))
    visualizer.dataset_meta = dict(classes=('cat',))
    samples = []
    for name in ('absent.png', 'a.npy'):
        samples.append(DetDataSample(metainfo=dict(img_path=str(tmp_path / name))))
        none = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long(), scores=torch.zeros(0))
        samples[-1].pred_instances = none
    hook = HOOKS.build(dict(type='DetectionPicturesHook', out_dir=str(tmp_path / 'out')))
    hook.after_test_iter(SimpleNamespace(visualizer=visualizer), 0, {}, samples)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a.npy.png']
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'out/a.npy.png')), as_bgr(pixels))


@pytest.mark.parametrize(
    ('images', 'pictures'),
    [
        (['a/1.png', 'b/1.png'], ['a/1.png', 'b/1.png']),
        (['a/b/1.png', 'a/c/1.png'], ['b/1.png', 'c/1.png']),
        (['a/1.png', 'a/2.png'], ['1.png', '2.png']),
    ],
)
def test_images_of_one_name_in_two_folders_have_a_picture_each(tmp_path, monkeypatch, images, pictures):
    monkeypatch.chdir(tmp_path)
    for name in images:
        write_image(Path(name), np.zeros((8, 8, 3), np.uint8))
    entries = [dict(id=index, file_name=name, width=8, height=8) for index, name in enumerate(images)]
    Path('val.json').write_text(
        json.dumps(dict(images=entries, annotations=[], categories=[dict(id=1, name='cat')]))
    )
    dataset = YOLOXCocoDataset('val.json', pipeline=[], img_scale=(32, 32), test_mode=True)
    drawn = []
    runner = SimpleNamespace(
        test_dataloader=SimpleNamespace(dataset=dataset),
        visualizer=SimpleNamespace(add_datasample=lambda *args, out_file, **_: drawn.append(out_file)),
    )
    hook = HOOKS.build(dict(type='DetectionPicturesHook', out_dir=str(tmp_path / 'out')))
    hook.before_test(runner)
    hook.after_test_iter(
        runner, 0, {}, [DetDataSample(metainfo=dict(img_path=dataset[i]['img_path'])) for i in range(2)]
    )
    assert drawn == [str(tmp_path / 'out' / name) for name in pictures]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='file/out cannot be written: Not a directory; name another folder'):
        HOOKS.build(dict(type='DetectionPicturesHook', out_dir=str(tmp_path / 'file/out')))
