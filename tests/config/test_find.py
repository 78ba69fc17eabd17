"""Finding config files: by name from anywhere, and by the name of a model."""

from pathlib import Path

import pytest

from mmyolox.config import find, load_config
from mmyolox.config.find import find_config, find_recorded_config
from mmyolox.errors import UserError

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/yolox'
NANO = 'yolox_nano_fast_8xb8-300e_coco'
SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x', 'darknet53')


@pytest.mark.parametrize(
    'name',
    [NANO, f'{NANO}.py', f'yolox/{NANO}.py', f'configs/yolox/{NANO}.py', f'mmyolox::yolox/{NANO}.py'],
)
def test_our_configs_are_found_by_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / f'{NANO}.py'


@pytest.mark.parametrize(
    ('name', 'data', 'file'),
    [
        *((f'yolox_{size}', 'coco', f'yolox_{size}_fast_8xb8-300e_coco') for size in SIZES),
        *((f'yolox_{size}', 'custom', f'yolox_{size}_fast_1xb8-50e_custom') for size in SIZES),
        ('YOLOX_S', 'coco', 'yolox_s_fast_8xb8-300e_coco'),
        ('yolox-nano', 'custom', 'yolox_nano_fast_1xb8-50e_custom'),
        ('mmyolox::yolox_s', 'custom', 'yolox_s_fast_1xb8-50e_custom'),
        ('yolox_s', 'voc', 'yolox_s_fast_1xb8-50e_voc'),
        (NANO, 'custom', NANO),
    ],
)
def test_a_model_alone_is_its_config_for_some_data(name, data, file):
    assert find_config(name, data) == CONFIGS / f'{file}.py'


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        (NANO.replace('nano', 'namo'), f'did you mean {NANO}'),
        ('yoloxs', 'did you mean yolox_s'),
        ('yolox_w025', 'does not exist'),
        ('yolov8n', 'the YOLOX of this size is yolox_nano$'),
        ('yolo11m.yaml', 'the YOLOX of this size is yolox_m$'),
        ('YOLOv8s-pose.pt', 'the YOLOX of this size is yolox-pose_s$'),
        ('yolov8x-pose', 'as a config of mmyolox; did you mean'),
        ('custom', 'does not exist'),  # a base
        ('default_runtime.py', 'does not exist'),
    ],
)
def test_nearest_names_of_our_configs_are_suggested(name, hint):
    with pytest.raises(UserError, match=hint):
        find_config(name)


def test_bases_are_found_by_their_path_only():
    assert find_config('_base_/models/yolox_s') == ROOT / 'configs/_base_/models/yolox_s.py'
    assert load_config('yolox_s').filename == str(CONFIGS / 'yolox_s_fast_8xb8-300e_coco.py')


def test_what_could_be_several_is_an_error_that_lists_them(tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=r'yolox could be any of .*yolox_l_fast.*, .*yolox_s_fast.*these paths'
    ):
        find_config('yolox')
    (tmp_path / 'yolox_s_slow_8xb8-300e_coco.py').touch()
    monkeypatch.setattr(find, 'config_folders', lambda: [tmp_path])
    with pytest.raises(UserError, match='yolox_s could be any of ') as caught:
        find_config('yolox_s')
    assert str(tmp_path / 'yolox_s_slow_8xb8-300e_coco.py') in str(caught.value)
    assert 'yolox_s_fast_8xb8-300e_coco.py' in str(caught.value)


@pytest.mark.parametrize(
    ('recipe', 'file'),
    [
        ('yolox_s_fast_1xb8-50e_custom', 'yolox_s_fast_1xb8-50e_custom'),
        ('yolox_s_fast_8xb8-300e-cached_coco', 'yolox_s_fast_8xb8-300e-cached_coco'),
        ('', 'yolox_s_fast_8xb8-300e_coco'),
        ('mine', 'yolox_s_fast_8xb8-300e_coco'),
        ('yolox_s_mine', 'yolox_s_fast_8xb8-300e_coco'),
        ('yolox_nano_fast_1xb8-50e_custom', 'yolox_s_fast_8xb8-300e_coco'),
    ],
)
def test_beside_a_checkpoint_a_model_is_the_config_that_it_was_trained_with(recipe, file):
    assert find_recorded_config('yolox_s', recipe) == CONFIGS / f'{file}.py'


def test_a_fine_tuned_model_is_loaded_by_its_own_config():
    recorded = dict(recipe='yolox_nano_fast_1xb8-50e_custom', classes=('cat', 'dog'))
    cfg = load_config('yolox_nano', recorded=recorded)
    assert Path(cfg.filename).stem == recorded['recipe']
    assert cfg.model.bbox_head.head_module.num_classes == 2


def test_a_config_that_is_named_in_full_is_taken_whatever_is_recorded():
    assert find_recorded_config(NANO, 'yolox_nano_fast_1xb8-50e_custom') == CONFIGS / f'{NANO}.py'


def test_a_pose_model_is_found_with_either_dash():
    assert find_config('yolox_pose_s') == find_config('yolox-pose_s')
