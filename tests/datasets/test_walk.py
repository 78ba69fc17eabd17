"""The files that a sample passes between the data set and the batch."""

import sys
from pathlib import Path

import cv2
import pytest

import mmyolox
from mmyolox.config.load import load_config
from mmyolox.datasets import yolox_collate
from mmyolox.registry import DATASETS
from tests.datasets.small_sets import write_coco

PACKAGE = Path(mmyolox.__file__).parent
WALK = {
    'datasets/base.py',
    'datasets/canvas/geometry.py',
    'datasets/canvas/images.py',
    'datasets/canvas/scene.py',
    'datasets/table.py',
    'datasets/transforms/augmentations.py',
    'datasets/transforms/loading.py',
    'datasets/transforms/packing.py',
    'deploy/letterbox.py',
}


def executed(function):
    """The files of the package of which code is run by a call, relative to it."""
    files = set()
    sys.setprofile(lambda frame, event, _: event == 'call' and files.add(frame.f_code.co_filename))
    try:
        function()
    finally:
        sys.setprofile(None)
    inside = (Path(file) for file in files)
    return {str(path.relative_to(PACKAGE)) for path in inside if path.is_relative_to(PACKAGE)}


@pytest.fixture(params=['.jpg', '.png'])
def root(request, tmp_path):
    """Images in one format, named as the annotations of a small set name them."""
    root = write_coco(tmp_path, 8)
    if request.param == '.jpg':
        for path in (root / 'images').iterdir():
            cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path)))
        (root / 'ann.json').write_text((root / 'ann.json').read_text().replace('.png', '.jpg'))
    return root


@pytest.mark.parametrize('name', ['yolox_s_fast_8xb8-300e_coco', 'yolox_s_fast_8xb8-300e-cached_coco'])
@pytest.mark.parametrize('stage', [1, 2])
def test_a_sample_passes_nine_files_at_most(root, name, stage):
    cfg = load_config(name, {})
    options = dict(
        ann_file='ann.json', data_root=str(root), data_prefix=dict(img='images/'), img_scale=(96, 64)
    )
    options |= dict(metainfo=dict(classes=('a', 'b', 'c')))
    if stage == 2:
        hook = cfg.default_hooks.mode_switch
        options |= dict(pipeline=hook.get('new_train_pipeline') or cfg.train_pipeline_stage2)
    dataset = DATASETS.build(cfg.train_dataloader.dataset | options)
    dataset.set_draw_key(0, 0)
    for i in range(6):  # so that a cached partner is among them
        dataset[i]
    files = executed(lambda: yolox_collate([dataset[6], dataset[7]]))
    assert files <= WALK
    assert {'datasets/base.py', 'datasets/transforms/packing.py'} <= files
    assert len(WALK) <= 9
