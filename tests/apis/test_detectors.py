"""mmyolox/apis/detectors.py on a small nano with random weights."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmyolox.apis import TorchDetector, detect, init_detector, open_detector
from mmyolox.checkpoints.published import published_weights
from mmyolox.checkpoints.record import UNIT, InputRecord
from mmyolox.config import load_config
from mmyolox.config.recorded import Normalisation
from mmyolox.datasets import yolox_collate
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.export.network import ExportNetwork
from mmyolox.export.options import ExportOptions
from mmyolox.registry import DATASETS, MODELS
from mmyolox.utils import devices

CUSTOM = Path(__file__).parents[2] / 'configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'
COCO = 'yolox_nano_fast_8xb8-300e_coco'
NAMES = ('cat', 'dog', 'owl')
SIZES = [(100, 60), (37, 90), (64, 64), (130, 131), (1, 1)]  # (height, width)
OPTIONS = {'img_scale': (96, 64), 'model.test_cfg.score_thr': 0.3, 'val_num_workers': 0}


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    """A data set in the custom config's layout, without boxes."""
    folder = tmp_path_factory.mktemp('data')
    (folder / 'images').mkdir()
    (folder / 'annotations').mkdir()
    rng = np.random.default_rng(0)
    images = []
    for number, (height, width) in enumerate(SIZES):
        cv2.imwrite(str(folder / f'images/{number}.png'), rng.integers(0, 256, (height, width, 3)))
        images.append(dict(id=number, file_name=f'{number}.png', height=height, width=width))
    categories = [dict(id=3 * label, name=name) for label, name in enumerate(NAMES)]
    content = json.dumps(dict(images=images, annotations=[], categories=categories))
    for split in ('train', 'val'):
        (folder / f'annotations/{split}.json').write_text(content)
    return folder


def paths(data: Path) -> list[Path]:
    return sorted((data / 'images').iterdir())


def save_random_weights(path: Path, cfg, **meta) -> Path:
    """Writes a checkpoint whose detections depend on the image and are spread over places and classes."""
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # so that one pass sets the statistics: else the features fade away
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.1)
    model.train()(255 * torch.rand(4, cfg.model.backbone.get('input_channels', 3), 64, 96))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def cfg(data):
    return load_config(CUSTOM, dict(OPTIONS, data_root=str(data)))


@pytest.fixture(scope='module')
def checkpoint(cfg, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'w.pth'
    return save_random_weights(path, cfg, dataset_meta=dict(classes=NAMES))


@pytest.fixture(scope='module')
def model(data, checkpoint):
    return init_detector(CUSTOM, checkpoint, 'cpu', dict(OPTIONS, data_root=str(data)))


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda line, *_: lines.append(line))
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'info', lambda line, extra: lines.append(line))
    return lines


def assert_same_detections(one, other):
    """The same boxes, scores and labels; the order of nearly equal scores is free, and a little noise."""
    one, other = (
        torch.cat([found.bboxes, 100 * found.scores[:, None], 100 * found.labels[:, None]], dim=1)
        for found in (one.pred_instances, other.pred_instances)
    )
    assert len(one) == len(other) > 0
    distances = (one[:, None] - other[None]).abs().amax(dim=2)
    assert distances.amin(dim=0).max() < 0.1
    assert distances.amin(dim=1).max() < 0.1


def test_detections_are_those_of_the_evaluation(model, cfg, data):
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    with torch.no_grad():
        expected = model.test_step(yolox_collate([dataset[i] for i in range(len(SIZES))]))
    found = list(detect(model, paths(data)))
    assert [sample.img_path for sample in found] == [str(path) for path in paths(data)]
    for sample, other, (height, width) in zip(found, expected, SIZES, strict=True):
        assert_same_detections(sample, other)
        assert sample.ori_shape == (height, width)
        bboxes = sample.pred_instances.bboxes
        assert bboxes.min() >= 0
        assert (bboxes <= bboxes.new_tensor([width, height, width, height])).all()
    # The largest image's boxes reach beyond the network's input, which is 96 x 64.
    assert found[3].pred_instances.bboxes.max() > 96


@pytest.mark.parametrize('batch_size', [1, 2, 5, 9])
def test_batches_change_nothing(model, data, batch_size):
    alone = list(detect(model, paths(data), batch_size=3))
    for one, other in zip(alone, detect(model, paths(data), batch_size), strict=True):
        assert_same_detections(one, other)


def test_arrays_are_images_too(model, data):
    arrays = [cv2.imread(str(path)) for path in paths(data)]
    for number, (one, other) in enumerate(
        zip(detect(model, arrays), detect(model, paths(data)), strict=True)
    ):
        assert_same_detections(one, other)
        assert one.img_id == other.img_id == number
        assert 'img_path' not in one


def test_nothing_is_read_ahead_of_its_batch(model, data):
    taken = []

    def images():
        for path in paths(data):
            taken.append(path)
            yield path

    next(detect(model, images(), batch_size=2))
    assert len(taken) == 2


@pytest.mark.parametrize('workers', [1, 3])
def test_threads_change_nothing(model, data, tmp_path, workers, warnings):
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no picture')
    images = [*paths(data), broken] * 3
    found = list(detect(model, images, 2, workers))
    assert [sample.img_id for sample in found] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16]
    for one, other in zip(found, detect(model, images, 2), strict=True):
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)
        assert one.img_path == other.img_path
    assert len(warnings) == 6


def test_threads_read_a_few_batches_ahead(model, data):
    taken = []
    images = (taken.append(number) or paths(data)[number % 5] for number in range(40))
    found = detect(model, images, 2, workers=2)
    next(found)
    assert len(taken) == 6
    found.close()


def test_no_images(model):
    assert list(detect(model, [])) == []


def test_predictions_hold_no_graph_and_can_be_changed(model, data):
    assert not model.training
    found = next(detect(model, paths(data))).pred_instances
    assert not found.scores.requires_grad
    found.bboxes *= 2


def test_files_that_do_not_decode_are_named_and_left_out(model, data, tmp_path, warnings):
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no picture')
    good = paths(data)[0]
    found = list(detect(model, [broken, good, tmp_path / 'absent.png', good]))
    assert [sample.img_id for sample in found] == [1, 3]
    assert warnings == [
        f'cannot decode the image {broken} (no size found in its header); it is left out',
        f'cannot decode the image {tmp_path / "absent.png"} (No such file or directory); it is left out',
    ]
    assert_same_detections(*found)


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4, 3)), np.zeros((4,), np.uint8), np.zeros((0, 4, 3), np.uint8)], ids=str
)
def test_arrays_that_are_no_images(model, image):
    with pytest.raises(UserError, match=r'needed is \(h, w, channels\), uint8, with 3'):
        list(detect(model, [image]))


def model_of_channels(channels, data, folder):
    options = OPTIONS | {'model.backbone.input_channels': channels, 'data_root': str(data)}
    weights = save_random_weights(folder / 'w.pth', load_config(CUSTOM, options))
    return init_detector(CUSTOM, weights, 'cpu', options)


def test_grey_images_for_a_network_that_takes_them(data, tmp_path):
    model = model_of_channels(1, data, tmp_path)
    arrays = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths(data)]
    for one, other in zip(detect(model, arrays), detect(model, paths(data)), strict=True):
        assert_same_detections(one, other)


def test_images_of_four_channels_for_a_network_that_takes_them(data, tmp_path):
    model = model_of_channels(4, data, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 4), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    one, other = detect(model, [image, tmp_path / 'a.png'])
    assert_same_detections(one, other)
    with pytest.raises(UserError, match=r'the image .*0\.png has 3 channel\(s\), 4 are needed'):
        list(detect(model, paths(data)))


@pytest.mark.parametrize('shape', [(20, 30), (20, 30, 1), (20, 30, 4)], ids=str)
def test_arrays_of_another_number_of_channels_are_refused(model, shape):
    with pytest.raises(UserError, match=r'an image of shape \(20, 30.*needed is .* with 3 channel\(s\)'):
        list(detect(model, [np.zeros(shape, np.uint8)]))


def test_annotations_pass_by_the_pipeline(model):
    """What evaluations say of an image comes out beside its detections, and is not moved."""
    detector = TorchDetector(model)
    truth = np.float32([[1, 2, 30, 40]])
    meta = dict(img_id='x', gt_bboxes=truth, gt_labels=np.array([1]), gt_ignored=np.array([False]))
    (sample,) = detector.predict([detector.prepare(np.zeros((100, 60, 3), np.uint8), meta)])
    assert sample.img_id == 'x'
    assert sample.gt_instances.bboxes.tolist() == truth.tolist()


def test_a_checkpoint_is_opened_with_its_config(model, data, checkpoint):
    detector = open_detector(checkpoint, CUSTOM, 'cpu', dict(OPTIONS, data_root=str(data)))
    assert detector.channels == 3
    assert detector.visualizer.dataset_meta['classes'] == NAMES
    for one, other in zip(detect(detector, paths(data)), detect(model, paths(data)), strict=True):
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)


def test_a_pipeline_that_loads_in_another_way(model, monkeypatch):
    first = model.cfg.test_dataloader.dataset.pipeline[0]
    monkeypatch.setitem(first, 'type', 'LoadAnnotations')
    monkeypatch.delitem(first, 'tolerant')
    with pytest.raises(UserError, match='begins with LoadAnnotations; it must begin with LoadImage'):
        list(detect(model, ['a.jpg']))


# --- the model -----------------------------------------------------------------------------------------


def test_a_custom_config_needs_no_data_set(checkpoint, tmp_path):
    options = OPTIONS | dict(data_root=str(tmp_path / 'absent'))
    model = init_detector(CUSTOM, checkpoint, 'cpu', options)
    assert model.dataset_meta == dict(classes=NAMES)
    assert model.bbox_head.num_classes == 3


def test_all_that_is_recorded_of_the_data_stays_known(cfg, data, tmp_path):
    recorded = dict(classes=list(NAMES), extra=dict(sizes=np.ones(2, np.float32)))
    weights = save_random_weights(tmp_path / 'w.pth', cfg, dataset_meta=recorded)
    meta = init_detector(CUSTOM, weights, 'cpu', OPTIONS | dict(data_root='absent')).dataset_meta
    assert meta.keys() == recorded.keys()
    assert meta['classes'] == NAMES
    assert meta['extra']['sizes'].tolist() == [1, 1]


@pytest.mark.parametrize('config', [CUSTOM, None])
def test_size_and_pixels_are_those_of_the_record(cfg, tmp_path, config):
    pixels = Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), True)
    record = InputRecord('mine', (96, 64), 3, pixels)
    meta = dict(dataset_meta=dict(classes=NAMES), mmyolox=record.to_meta())
    weights = save_random_weights(tmp_path / 'w.pth', cfg, **meta)
    model = init_detector(config, weights, 'cpu')
    assert model.input_record == record
    assert model.dataset_meta == dict(classes=NAMES)
    assert model.data_preprocessor.normalisation == pixels
    image = np.zeros((300, 300, 3), np.uint8)
    assert TorchDetector(model).prepare(image, {})['inputs'].shape == (3, 64, 96)
    model = init_detector(config, weights, 'cpu', dict(img_scale=(160, 160)))
    assert TorchDetector(model).prepare(image, {})['inputs'].shape == (3, 160, 160)


def test_weights_for_images_from_0_to_1_find_what_those_for_grey_levels_find(checkpoint, data, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    kernel = content['state_dict']['backbone.stem.conv.conv.weight']
    content['state_dict']['backbone.stem.conv.bn.weight'].mul_(4)  # as large as in trained networks
    torch.save(content, tmp_path / 'grey.pth')
    by_colour = kernel.view(len(kernel), 4, 3, 3, 3)  # four pixels of three colours
    kernel.copy_(255 * by_colour.flip(2).reshape(kernel.shape))
    torch.save(content, tmp_path / 'unit.pth')
    options = dict(OPTIONS, data_root=str(data))
    grey, unit = (
        init_detector(CUSTOM, tmp_path / f'{name}.pth', 'cpu', options) for name in ('grey', 'unit')
    )
    assert grey.data_preprocessor.normalisation == Normalisation()
    assert unit.data_preprocessor.normalisation == UNIT
    for one, same in zip(detect(grey, paths(data)), detect(unit, paths(data)), strict=True):
        assert_same_detections(one, same)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96)).astype(np.float32))
    exported = (ExportNetwork(network, ExportOptions(Size(96, 64)))(image) for network in (grey, unit))
    torch.testing.assert_close(*exported, atol=1e-3, rtol=1e-3)


def test_classes_of_the_config_are_taken_by_name(cfg, data, tmp_path, checkpoint):
    recorded = dict(classes=NAMES, cat_ids=[0, 3, 6], palette=[(0, 0, 1), (0, 0, 2), (0, 0, 3)], extra=[7, 8])
    weights = save_random_weights(tmp_path / 'w.pth', cfg, dataset_meta=recorded)
    rows = torch.load(weights)['state_dict']['bbox_head.head_module.multi_level_conv_cls.1.weight']
    options = OPTIONS | dict(data_root=str(data))
    for names in (('owl', 'cat', 'dog'), ('dog',), NAMES):
        model = init_detector(CUSTOM, weights, 'cpu', options | dict(classes=names))
        places = [NAMES.index(name) for name in names]
        assert torch.equal(model.bbox_head.head_module.multi_level_conv_cls[1].weight, rows[places])
        meta = model.dataset_meta
        assert meta['classes'] == names
        assert meta['cat_ids'] == [3 * place for place in places]
        assert [color[2] for color in meta['palette']] == [1 + place for place in places]
        assert meta['extra'] == [7, 8]
    with pytest.raises(UserError, match=r'cannot be used with .*\(1 of 2 classes are new, .*cat, dog, owl'):
        init_detector(CUSTOM, weights, 'cpu', options | dict(classes=('dog', 'fox')))


def test_without_a_record_the_metainfo_of_the_config_is_known(cfg, data, tmp_path):
    weights = save_random_weights(tmp_path / 'w.pth', cfg)
    options = {'data_root': str(data), 'test_dataloader.dataset.metainfo.extra': 'told'}
    meta = init_detector(CUSTOM, weights, 'cpu', OPTIONS | options).dataset_meta
    assert meta == dict(classes=NAMES, extra='told')


def test_recorded_names_come_before_those_of_the_data_at_hand(data, cfg, tmp_path):
    weights = save_random_weights(tmp_path / 'w.pth', cfg, dataset_meta=dict(classes=('a', 'b', 'c')))
    model = init_detector(CUSTOM, weights, 'cpu', OPTIONS | dict(data_root=str(data)))
    assert model.dataset_meta['classes'] == ('a', 'b', 'c')


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(classes=('x', 'y', 'z')), ('x', 'y', 'z')),
        (dict(), NAMES),
        # A config that says nothing of classes, with and without its annotations.
        ({'test_dataloader.dataset.metainfo': dict(classes=None)}, NAMES),
        (
            {
                'test_dataloader.dataset.metainfo': dict(classes=None),
                'test_dataloader.dataset.ann_file': 'no',
            },
            ('class 0', 'class 1', 'class 2'),
        ),
    ],
)
def test_names_where_none_are_recorded(data, cfg, tmp_path, options, expected):
    weights = save_random_weights(tmp_path / 'w.pth', cfg)
    model = init_detector(CUSTOM, weights, 'cpu', OPTIONS | dict(data_root=str(data)) | options)
    assert model.dataset_meta['classes'] == expected


@pytest.mark.parametrize(
    ('meta', 'first', 'last'),
    [
        (dict(), 'person', 'toothbrush'),
        (dict(dataset_meta=dict(classes=tuple(f'c{label}' for label in range(80)))), 'c0', 'c79'),
        (dict(dataset_meta=dict(classes=('too', 'few'))), 'person', 'toothbrush'),
    ],
)
def test_80_classes_without_names_are_those_of_coco_and_told(tmp_path, meta, first, last, warnings):
    weights = save_random_weights(tmp_path / 'w.pth', load_config(COCO), **meta)
    names = init_detector(COCO, weights, 'cpu').dataset_meta['classes']
    assert (len(names), names[0], names[79]) == (80, first, last)
    assumed = (
        f'checkpoint {weights}: neither it nor the config names its 80 classes; those of COCO are assumed '
        '(person, bicycle, car, motorcycle, airplane, ...)'
    )
    assert (assumed in warnings) == (first == 'person')


def test_a_line_says_what_a_checkpoint_holds(cfg, checkpoint, data, tmp_path, warnings):
    init_detector(CUSTOM, checkpoint, 'cpu', dict(OPTIONS, data_root=str(data)))
    width, height = cfg.test_dataloader.dataset.img_scale
    assert f'{checkpoint}: {Path(CUSTOM).stem}, 3 classes (cat, dog, owl), {width} x {height}' in warnings
    record = InputRecord('mine', (96, 64)).to_meta()
    path = save_random_weights(tmp_path / 'w.pth', cfg, dataset_meta=dict(classes=NAMES), mmyolox=record)
    init_detector(None, path, 'cpu')
    assert f'{path}: mine, 3 classes (cat, dog, owl), 96 x 64' in warnings


@pytest.fixture
def cached_nano(tmp_path, monkeypatch):
    """Published weights in the cache, which do not name their classes."""
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'cache'))
    path = published_weights()['yolox_nano'].path
    path.parent.mkdir(parents=True)
    return save_random_weights(path, load_config(COCO))


def test_published_weights_are_known_to_be_for_coco(cached_nano, warnings):
    assert init_detector(COCO, 'yolox_nano', 'cpu').dataset_meta['classes'][0] == 'person'
    assert not any('assumed' in line for line in warnings)


def test_some_of_the_classes_of_published_weights_are_taken_by_name(cached_nano, data):
    options = OPTIONS | dict(data_root=str(data), classes=('dog', 'person'))
    model = init_detector(CUSTOM, 'yolox_nano', 'cpu', options, fuse=False)
    assert model.dataset_meta['classes'] == ('dog', 'person')
    name = 'bbox_head.head_module.multi_level_conv_cls.0.bias'
    rows = torch.load(cached_nano)['state_dict'][name][[16, 0]]
    torch.testing.assert_close(model.state_dict()[name], rows)


def test_bare_weights_and_what_the_model_lacks_are_told(cfg, data, tmp_path, warnings):
    path = save_random_weights(tmp_path / 'w.pth', cfg)
    torch.save(torch.load(path)['state_dict'] | {'neck.more': torch.ones(1)}, path)
    model = init_detector(CUSTOM, path, 'cpu', OPTIONS | dict(data_root=str(data)))
    assert model.dataset_meta['classes'] == NAMES
    (line,) = [line for line in warnings if 'tensors of the model loaded' in line]
    assert 'the file does not name its classes, those of the model are assumed (cat, dog, owl)' in line
    assert line.endswith('1 unknown to the model: neck.more')


def test_part_of_a_model_is_refused(checkpoint, data, tmp_path):
    options = OPTIONS | dict(data_root=str(data), classes=('one', 'two'))
    with pytest.raises(UserError, match=r'w.pth cannot be used with .*6 class layers left out'):
        init_detector(CUSTOM, checkpoint, 'cpu', options)
    content = torch.load(checkpoint)
    del content['state_dict']['backbone.stem.conv.conv.weight']
    torch.save(content, tmp_path / 'part.pth')
    with pytest.raises(
        UserError, match=r'part.pth cannot be used with .*1 missing in the file: backbone.stem'
    ):
        init_detector(CUSTOM, tmp_path / 'part.pth', 'cpu', OPTIONS)


def test_norms_are_folded_unless_they_are_to_stay(checkpoint, data, model):
    options = OPTIONS | dict(data_root=str(data))
    plain = init_detector(CUSTOM, checkpoint, 'cpu', options, fuse=False)
    assert plain.state_dict().keys() == torch.load(checkpoint)['state_dict'].keys()
    assert not any('.bn.' in key for key in model.state_dict())
    for one, other in zip(detect(model, paths(data)), detect(plain, paths(data)), strict=True):
        assert_same_detections(one, other)


def test_half_precision(checkpoint, data, model, monkeypatch):
    monkeypatch.setattr(devices, 'has_bfloat16', lambda _: True)  # where it is emulated, it is only slow
    options = OPTIONS | dict(data_root=str(data))
    half = init_detector(CUSTOM, checkpoint, 'cpu', options, dtype='bfloat16')
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    for one, other in zip(detect(half, paths(data)), detect(model, paths(data)), strict=True):
        found, expected = one.pred_instances, other.pred_instances
        assert found.bboxes.dtype == found.scores.dtype == torch.float32
        assert float(found.scores[0]) == pytest.approx(float(expected.scores[0]), abs=0.1)
        assert 0.5 < len(found) / len(expected) < 2


def test_a_checkpoint_that_could_run_code_is_refused(checkpoint, tmp_path):
    content = torch.load(checkpoint)
    content['meta']['more'] = Path('x')
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(UserError, match='is refused'):
        init_detector(CUSTOM, tmp_path / 'w.pth', 'cpu', OPTIONS)
    assert init_detector(CUSTOM, tmp_path / 'w.pth', 'cpu', OPTIONS, allow_unsafe=True)


def test_formats_that_the_device_has_not(checkpoint):
    with pytest.raises(UserError, match='dtype float16: the CPU'):
        init_detector(CUSTOM, checkpoint, 'cpu', OPTIONS, dtype='float16')


@pytest.mark.parametrize(
    ('config', 'weights', 'device', 'message'),
    [
        ('no_such_config', 'w.pth', 'cpu', 'config no_such_config does not exist'),
        (CUSTOM, 'absent.pth', 'cpu', 'absent.pth does not exist'),
        (CUSTOM, 'w.pth', 'cuda:99', 'device cuda:99 cannot be used: '),
        (CUSTOM, 'w.pth', 'toaster', 'device toaster cannot be used: '),
    ],
)
def test_mistakes(checkpoint, config, weights, device, message):
    with pytest.raises(UserError, match=message):
        init_detector(config, checkpoint.with_name(weights), device, OPTIONS)
