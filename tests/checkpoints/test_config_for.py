"""The config of a recognised model, and detectors without a config."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmyolox.apis import detect, init_detector, open_detector
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture, config_for
from mmyolox.checkpoints.sources.megvii import to_megvii
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.checkpoints.layouts import our_weights, published

NAMES = ('cat', 'dog', 'owl')
SMALL = {'img_scale': (96, 64)}


@pytest.mark.parametrize('size', PUBLISHED)
def test_a_published_model_has_its_config(size):
    assert config_for(published(size)) == (f'yolox_{size}_fast_8xb8-300e_coco', {})


def layers_of(network):
    """The kinds of the layers that weights are of, and those between them."""
    parts = ('backbone.', 'neck.', 'bbox_head.head_module.')
    leaves = {name: module for name, module in network.named_modules() if not [*module.children()]}
    return {name: type(module) for name, module in leaves.items() if name.startswith(parts)}


@pytest.mark.parametrize(
    ('model', 'config', 'img_scale'),
    [
        (published('m'), 'yolox_m_fast_8xb8-300e_coco', (640, 640)),
        (published('darknet53', num_classes=2), 'yolox_darknet53_fast_8xb8-300e_coco', (640, 640)),
        (published('nano', num_classes=3, input_channels=4), 'yolox_nano_fast_8xb8-300e_coco', (416, 416)),
        (published('tiny', spp_zero_padding=True), 'yolox_tiny_fast_8xb8-300e_coco', (416, 416)),
        (published('darknet53', spp_zero_padding=True), 'yolox_darknet53_fast_8xb8-300e_coco', (640, 640)),
        (Architecture('custom', 0.5, 0.125, False, 1), 'yolox_tiny_fast_8xb8-300e_coco', (416, 416)),
        (Architecture('custom', 1.0, 0.75, True), 'yolox_nano_fast_8xb8-300e_coco', (416, 416)),
        (Architecture('custom', 1.0, 0.7, False), 'yolox_m_fast_8xb8-300e_coco', (640, 640)),
    ],
    ids=lambda value: value.describe() if isinstance(value, Architecture) else None,
)
def test_the_config_builds_the_model(model, config, img_scale):
    name, options = config_for(model)
    cfg = load_config(name, options)
    init_default_scope('mmyolox')
    with torch.device('meta'):
        network, built = MODELS.build(cfg.model), model.build()
    assert name == config
    assert layers_of(built) == layers_of(network)
    assert cfg.test_dataloader.dataset.img_scale == img_scale
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == model.shapes()


# --- detectors -----------------------------------------------------------------------------------------


def random_weights(model):
    """Ours, with which some objects are found in anything."""
    torch.manual_seed(0)
    network = model.build()
    for name, value in network.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    return network.state_dict()


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)


@pytest.fixture
def told(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(MMLogger, 'callHandlers', lambda _, record: lines.append(record.getMessage()))
    return lines


@pytest.fixture(scope='module')
def weights():
    return random_weights(published('nano', num_classes=3))


@pytest.mark.parametrize(
    'content',
    [
        lambda weights: weights,
        lambda weights: {f'module._orig_mod.{name}': tensor for name, tensor in weights.items()},
        lambda weights: dict(state_dict=weights, meta={}),
        lambda weights: dict(model=to_megvii(weights), start_epoch=3),
        lambda weights: dict(state_dict={f'model.{name}': tensor for name, tensor in weights.items()}),
    ],
    ids=['bare', 'wrapped', 'ours', 'megvii', 'lightning'],
)
def test_a_detector_without_a_config(weights, tmp_path, image, told, content):
    path = tmp_path / 'w.pth'
    torch.save(content(weights), path)
    model = init_detector(None, path, 'cpu', SMALL)
    wanted = [
        f'checkpoint {path}: YOLOX-nano, deepen_factor 0.33, widen_factor 0.25, use_depthwise True, '
        '3 classes, 3 image channels; its network is built by yolox_nano_fast_8xb8-300e_coco',
        f'checkpoint {path}: 642 of 642 tensors of the model loaded',
        f'checkpoint {path}: neither it nor the config names its 3 classes; numbers are assumed (class 0, '
        'class 1, class 2)',
    ]
    assert [line for line in told if line in wanted] == wanted
    options = SMALL | {'model.bbox_head.head_module.num_classes': 3}
    named = init_detector('yolox_nano_fast_8xb8-300e_coco', path, 'cpu', options)
    found, expected = (next(detect(one, [image])).pred_instances for one in (model, named))
    assert len(found) > 0
    for field in ('bboxes', 'scores', 'labels'):
        assert torch.equal(found[field], expected[field])
    assert model.dataset_meta['classes'] == ('class 0', 'class 1', 'class 2')


def test_published_weights_are_a_detector_by_name(weights, tmp_path, monkeypatch, told):
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path))
    (tmp_path / 'weights').mkdir()
    torch.save(dict(model=to_megvii(weights)), tmp_path / 'weights/yolox_nano.pth')
    open_detector('yolox_nano', device='cpu', cfg_options=SMALL)
    assert 'checkpoint yolox_nano: 642 of 642 tensors of the model loaded' in told


def test_recorded_names_are_known_without_a_config(weights, tmp_path, told):
    torch.save(dict(state_dict=weights, meta=dict(dataset_meta=dict(classes=NAMES))), tmp_path / 'w.pth')
    assert init_detector(None, tmp_path / 'w.pth', 'cpu').dataset_meta['classes'] == NAMES


def test_grey_images_without_a_config(tmp_path, image, told):
    path = tmp_path / 'w.pth'
    torch.save(random_weights(published('nano', num_classes=2, input_channels=1)), path)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    model = init_detector(None, path, 'cpu', SMALL)
    assert len(next(detect(model, [tmp_path / 'a.png'])).pred_instances) > 0


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'conv1.weight': torch.zeros(64, 3, 7, 7)}, r'w\.pth: not the weights of a YOLOX'),
        (dict(state_dict={}), r'w\.pth holds no weights'),
        (
            our_weights(published('nano'), 'cpu') | {'backbone.stem.conv.conv.weight': torch.zeros(2)},
            'no conv',
        ),
    ],
)
def test_weights_of_no_yolox(tmp_path, content, message):
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(UserError, match=message):
        init_detector(None, tmp_path / 'w.pth', 'cpu')


def test_an_incomplete_model_is_refused_by_the_name_of_its_config(weights, tmp_path, told):
    part = dict(weights)
    del part['neck.out_layers.0.conv.weight']
    torch.save(part, tmp_path / 'w.pth')
    with pytest.raises(
        UserError, match=r'cannot be used with .*yolox_nano_fast.*missing in the file: neck\.out'
    ):
        init_detector(None, tmp_path / 'w.pth', 'cpu')
