"""tools/test.py: the config that a checkpoint is evaluated with."""

import pickle

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmyolox.checkpoints import load
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.checkpoints.record import IMAGENET, InputRecord
from mmyolox.config.mmdet_parts import check_batches
from mmyolox.config.recorded import Normalisation, normalisation
from mmyolox.errors import UserError
from mmyolox.registry import METRICS
from tests.checkpoints.layouts import our_weights
from tests.tools.tool_loading import load_tool

tool = load_tool('test.py')
CUSTOM = 'yolox_nano_fast_1xb8-50e_custom'
RECORD = InputRecord('mine', (256, 192))


@pytest.fixture
def evaluate(run, monkeypatch, tmp_path):
    """Runs the tool on weights with a record; returns the config of its Runner, which only loads them."""

    class Runner:
        def __init__(self, cfg):
            self.cfg = cfg

        def test(self):
            loaded = CheckpointLoader.load_checkpoint(self.cfg.load_from, 'cpu', logger='silent')
            assert len(loaded['state_dict']) == 642

    def call(record, *options):
        state = our_weights(Architecture('nano', *PUBLISHED['nano'], num_classes=2), 'cpu')
        meta = dict(dataset_meta=dict(classes=('cat', 'dog')))
        if record is None:
            state['backbone.stem.conv.conv.weight'].fill_(0.4)
            for name in ('weight', 'running_var'):
                state[f'backbone.stem.conv.bn.{name}'].fill_(1)
        else:
            meta['mmyolox'] = record.to_meta()
        torch.save(dict(state_dict=state, meta=meta), tmp_path / 'w.pth')
        configs = []
        monkeypatch.setattr(
            'mmyolox.engine.launch.build_runner', lambda cfg: configs.append(cfg) or Runner(cfg)
        )
        call.printed = run(tool, CUSTOM, tmp_path / 'w.pth', '--work-dir', tmp_path, *options)
        return configs[0]

    return call


@pytest.mark.parametrize('more', [[], ['--tta']])
def test_what_prepares_images_is_that_of_the_detector(evaluate, more):
    cfg = evaluate(RECORD, *more)
    check_batches(cfg)
    detector = cfg.model.module if more else cfg.model
    detector.data_preprocessor = None
    with pytest.raises(UserError, match=r'model\..*data_preprocessor: YOLODetector needs'):
        check_batches(cfg)


@pytest.mark.parametrize('more', [[], ['--tta']])
def test_the_record_says_size_pixels_and_classes(evaluate, more):
    pixels = Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), True)
    cfg = evaluate(InputRecord('mine', (256, 192), 3, pixels), *more)
    assert tuple(cfg.test_dataloader.dataset.img_scale) == (256, 192)
    model = cfg.model.module if more else cfg.model
    assert normalisation(model.data_preprocessor) == pixels
    assert tuple(cfg.test_dataloader.dataset.metainfo.classes) == ('cat', 'dog')


def test_an_option_goes_before_the_record(evaluate):
    cfg = evaluate(RECORD, '--cfg-options', 'img_scale=(320,320)')
    assert tuple(cfg.test_dataloader.dataset.img_scale) == (320, 320)


def test_weights_that_expect_normalised_images_get_them(evaluate):
    assert normalisation(evaluate(None).model.data_preprocessor) == IMAGENET


def test_the_file_is_read_once(evaluate, monkeypatch):
    read = []
    whole = load.load_checkpoint
    monkeypatch.setattr(load, 'load_checkpoint', lambda path, *more: read.append(path) or whole(path, *more))
    evaluate(RECORD)
    assert len(read) == 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--out', '/dev/null/found.pkl'), 'found.pkl cannot be written: .*; name another folder'),
        (('--out', 'found.txt'), 'found.txt: the name must end in .json or .pkl'),
        (('--show-dir', '/dev/null/pictures'), 'pictures cannot be written: .*; name another folder'),
    ],
)
def test_outputs_are_checked_before_anything_is_read(run, options, message):
    with pytest.raises(UserError, match=message):
        run(tool, 'absent.py', 'absent.pth', *options)


def test_detections_that_cannot_be_written_leave_the_old_file(evaluate, tmp_path):
    path = tmp_path / 'found.pkl'
    cfg = evaluate(InputRecord('mine', (256, 192)), '--out', path)
    metric = METRICS.build(cfg.test_evaluator[1])
    metric.compute_metrics([dict(img_id=1)])
    before = path.read_bytes()
    assert pickle.loads(before) == [dict(img_id=1)]
    metric.process(None, [dict(img_id=2, pred_instances=dict(scores=torch.ones(1)), gt_instances=dict())])
    assert metric.results == [dict(img_id=2, pred_instances=dict(scores=torch.ones(1)))]
    with pytest.raises(TypeError, match='pickle'):
        metric.compute_metrics([(number for number in range(3))])
    assert {file.name for file in tmp_path.iterdir()} == {'found.pkl', 'w.pth'}
    assert path.read_bytes() == before


def test_where_detections_and_pictures_are_is_told(evaluate, tmp_path):
    evaluate(RECORD, '--out', tmp_path / 'found.pkl', '--show-dir', tmp_path / 'drawn')
    assert evaluate.printed.endswith(f'detections: {tmp_path}/found.pkl\npictures: {tmp_path}/drawn\n')
    (tmp_path / 'found.bbox.json').touch()  # as the metric writes it
    evaluate(RECORD, '--out', tmp_path / 'found.json')
    assert evaluate.printed.endswith(f'detections: {tmp_path}/found.bbox.json\n')
    evaluate(RECORD)
    assert 'pictures: ' not in evaluate.printed


def test_variables_of_the_validation_reach_the_test_and_options_do_not(evaluate):
    cfg = evaluate(RECORD, '--cfg-options', 'val_num_workers=3', 'val_evaluator.iou_thrs=[0.6]')
    assert cfg.test_dataloader.num_workers == 3
    assert (cfg.val_evaluator.iou_thrs, cfg.test_evaluator.get('iou_thrs')) == ([0.6], None)


def chosen(*words, recipe=CUSTOM, classes=2):
    """The config that the tool takes, and its options."""
    args = tool.parse_args(list(map(str, words)))
    state = our_weights(Architecture('nano', *PUBLISHED['nano'], num_classes=classes), 'cpu')
    return tool.choose_config(args, dict(state_dict=state), dict(recipe=recipe))


@pytest.mark.parametrize('words', [(), ('yolox_nano',), ('YOLOX-Nano',)])
def test_a_checkpoint_is_evaluated_by_the_config_beside_it_unless_data_are_named(tmp_path, words):
    saved, checkpoint = tmp_path / f'{CUSTOM}.py', tmp_path / 'best.pth'
    expected = words[0] if words else CUSTOM
    assert chosen(*words, checkpoint) == (expected, {})
    saved.touch()
    assert chosen(*words, checkpoint) == (saved, {})
    assert chosen(*words, checkpoint, '--cfg-options', 'seed=1') == (saved, dict(seed='1'))
    assert chosen(*words, checkpoint, '--cfg-options', 'data_root=x') == (expected, dict(data_root='x'))


def test_a_config_that_is_named_goes_before_the_one_beside(tmp_path):
    (tmp_path / f'{CUSTOM}.py').touch()
    for name in ('my.py', CUSTOM, 'yolox_s'):
        assert chosen(name, '--out', 'found.pkl', tmp_path / 'best.pth') == (name, {})


@pytest.mark.parametrize('recipe', ['', 'mine'])
def test_without_a_record_the_weights_say_the_config(recipe):
    coco = 'yolox_nano_fast_8xb8-300e_coco'
    assert chosen('w.pth', recipe=recipe, classes=80) == (coco, {})
    config, options = chosen('w.pth', '--cfg-options', 'data_root=x', recipe=recipe)
    assert (config, options['data_root']) == (coco, 'x')
    assert options['model.bbox_head.head_module.num_classes'] == 2
