"""The check of checkpoints in a Runner, with what MMEngine itself saves; atomic checkpoint files."""

import os
import re
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.fileio import LocalBackend
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner.checkpoint import load_from_http, load_from_local
from torch import nn

from mmyolox.checkpoints.load import load_checkpoint, use_safe_loading
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.checkpoints.record import IMAGENET, InputRecord
from mmyolox.config.recorded import Normalisation
from mmyolox.engine import AtomicLocalBackend, CheckpointCheckHook
from mmyolox.engine.hooks import checkpoint_check
from mmyolox.engine.hooks.checkpoint_check import write_archive
from mmyolox.errors import UserError


class Tiny(BaseModel):
    def __init__(self, classes: int = 3, extra: bool = False):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))
        self.multi_level_conv_cls = nn.Linear(4, classes)
        if extra:
            self.extra = nn.Linear(1, 1)

    def forward(self, *inputs, mode='tensor'):
        out = self.multi_level_conv_cls(self.body(torch.stack(inputs)))
        return dict(loss=out.square().mean()) if mode == 'loss' else out


class Score(BaseMetric):
    """Better every time."""

    count = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.count += 1
        return dict(score=float(self.count))


@pytest.fixture(autouse=True)
def safe_loading():
    use_safe_loading()
    yield
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_http, force=True)


@pytest.fixture
def make_runner(tmp_path):
    """A Runner over a tiny model; keyword arguments go to Runner."""

    def make(model: nn.Module, epochs: int = 1, ema: bool = True, **options) -> Runner:
        loader = dict(
            dataset=list(torch.rand(8, 2, generator=torch.Generator().manual_seed(0))),
            batch_size=4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        )
        make.count += 1
        hooks = [CheckpointCheckHook()]
        return Runner(
            model=model,
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=2)],
            custom_hooks=[dict(type='EMAHook', ema_type='ExponentialMovingAverage')] * ema + hooks,
            experiment_name=f'check-{tmp_path.name}-{make.count}',
            **dict(work_dir=str(tmp_path / 'work'), train_dataloader=loader) | options,
        )

    make.count = 0
    return make


@pytest.fixture
def trained(make_runner, tmp_path):
    """The checkpoint of one epoch."""
    make_runner(Tiny()).train()
    return str(tmp_path / 'work/epoch_1.pth')


def test_what_the_runner_saves_passes_the_allow_list(trained):
    saved = load_checkpoint(trained)
    assert saved.keys() >= {
        'meta',
        'state_dict',
        'optimizer',
        'param_schedulers',
        'message_hub',
        'ema_state_dict',
    }
    assert saved['message_hub']['log_scalars']['train/loss'].current() > 0


def test_what_the_runner_saves_has_a_record(trained):
    assert load_checkpoint(trained)['meta']['mmyolox']['format'] == 1


@pytest.mark.parametrize(
    ('size', 'family', 'name'),
    [
        ('s', 'YOLOX', 'yolox_s starts from published'),
        ('nano', 'YOLOX-Pose', 'yolox_nano starts from published'),
        ('s', 'YOLOX-Pose', 'yolox-pose_s starts from published'),
        ('custom', 'YOLOX', 'FILE starts from trained'),
    ],
)
def test_random_weights_are_told_with_what_fits(size, family, name):
    fields = dict(num_keypoints=3) if 'Pose' in family else {}
    factors = PUBLISHED.get(size, (0.33, 0.3, False))
    with torch.device('meta'):
        model = Architecture(size, *factors, num_classes=2, family=family, fields=fields).build()
    told = checkpoint_check.describe_random_start(model)
    assert told == f'random weights; --load-from {name} ones'


def test_only_a_training_from_nothing_says_so(make_runner, trained, monkeypatch):
    told = []
    monkeypatch.setattr(
        checkpoint_check, 'describe_random_start', lambda model: told.append(type(model)) or 'nothing'
    )
    make_runner(Tiny()).train()
    make_runner(Tiny(), load_from=trained).train()
    make_runner(Tiny(), load_from=trained, resume=True, epochs=2).train()
    assert told == [Tiny]


def test_weights_that_the_model_names_are_a_start():
    model = Tiny()
    assert checkpoint_check.describe_random_start(model).startswith('random weights; --load-from FILE')
    model.init_cfg = dict(type='Pretrained', checkpoint='a.pth')
    assert checkpoint_check.describe_random_start(model) == 'the weights that init_cfg of the model names'


@pytest.mark.parametrize(
    ('own', 'theirs', 'is_named'),
    [
        (Normalisation(), Normalisation(), False),
        (Normalisation(bgr_to_rgb=True), Normalisation(), True),
        (Normalisation(), IMAGENET, True),
    ],
)
def test_other_pixels_are_named_when_a_training_starts(trained, make_runner, tmp_path, own, theirs, is_named):
    saved = load_checkpoint(trained)
    saved['meta']['mmyolox'] = InputRecord(normalisation=theirs).to_meta()
    torch.save(saved, tmp_path / 'w.pth')
    model = Tiny()
    model.data_preprocessor.normalisation = own
    make_runner(model, epochs=0, load_from=str(tmp_path / 'w.pth')).train()
    expected = f'trained on images with {theirs}, but model.data_preprocessor has {own}; to keep theirs: '
    expected += '--cfg-options model.data_preprocessor.mean='
    assert (expected in _log(tmp_path)) == is_named


@pytest.mark.parametrize(
    ('size', 'pixels', 'message'),
    [
        ((96, 96), Normalisation(), None),
        (None, None, None),
        (
            (64, 96),
            Normalisation(),
            r'validated with img_scale=\(64, 96\), but goes on with .*\(96, 96\); to',
        ),
        ((96, 96), IMAGENET, 'trained on images with .*begin a training: --load-from '),
    ],
)
def test_resuming_with_images_of_another_size_is_named_and_with_other_pixels_refused(
    trained, make_runner, tmp_path, monkeypatch, size, pixels, message
):
    monkeypatch.setattr(checkpoint_check, 'record_of', lambda runner: InputRecord(img_scale=(96, 96)))
    saved = load_checkpoint(trained)
    saved['meta']['mmyolox'] = InputRecord(img_scale=size, normalisation=pixels).to_meta()
    torch.save(saved, tmp_path / 'w.pth')
    model = Tiny()
    model.data_preprocessor.normalisation = Normalisation()
    runner = make_runner(model, epochs=2, load_from=str(tmp_path / 'w.pth'), resume=True)
    if pixels == IMAGENET:
        with pytest.raises(UserError, match=message):
            runner.train()
        return
    runner.train()
    assert bool(re.search(message or 'img_scale=', _log(tmp_path))) == bool(message)


NETWORK = {'model.neck.act_cfg': dict(type='SiLU')}


@pytest.mark.parametrize('resume', [False, True])
@pytest.mark.parametrize('recorded', [{}, NETWORK, {'model.neck.act_cfg': dict(type='ReLU')}])
def test_another_network_is_named_when_a_training_starts_and_not_resumed(
    trained, make_runner, tmp_path, recorded, resume
):
    saved = load_checkpoint(trained)
    saved['meta']['mmyolox'] = InputRecord(network=recorded).to_meta()
    torch.save(saved, tmp_path / 'w.pth')
    runner = make_runner(Tiny(), epochs=2 if resume else 0, load_from=str(tmp_path / 'w.pth'), resume=resume)
    runner.cfg.merge_from_dict(
        dict(default_scope='mmyolox', model=dict(neck=dict(act_cfg=dict(type='SiLU'))))
    )
    expected = "weights are of another network than the config: model.neck.act_cfg={'type': 'SiLU'} (it was"
    if resume and recorded not in ({}, NETWORK):
        with pytest.raises(UserError, match=re.escape(expected)):
            runner.train()
        return
    runner.train()
    assert (expected in _log(tmp_path)) == (recorded not in ({}, NETWORK))


def test_start_from_weights_of_another_class_count(trained, make_runner, caplog):
    runner = make_runner(Tiny(classes=5), epochs=0, load_from=trained)
    own = runner.model.multi_level_conv_cls.weight.detach().clone()
    runner.train()
    saved = load_checkpoint(trained)['state_dict']
    assert torch.equal(runner.model.body[0].weight, saved['body.0.weight'])
    assert torch.equal(runner.model.multi_level_conv_cls.weight, own)
    (ema,) = [hook.ema_model.module for hook in runner.hooks if hasattr(hook, 'ema_model')]
    assert torch.equal(ema.body[0].weight, saved['body.0.weight'])
    assert torch.equal(ema.multi_level_conv_cls.weight, own)


def _log(tmp_path) -> str:
    return ''.join(path.read_text() for path in (tmp_path / 'work').glob('*/*.log'))


def test_summary_is_in_the_log_and_mmengine_has_nothing_to_add(trained, make_runner, tmp_path):
    make_runner(Tiny(classes=5, extra=True), epochs=0, load_from=trained).train()
    log = _log(tmp_path)
    assert '7 of 11 tensors of the model loaded; 2 class layers left out' in log
    assert '2 missing in the file: extra.weight, extra.bias' in log
    assert 'do not match exactly' not in log


def test_a_bare_state_dict_is_loaded_with_ema(trained, make_runner, tmp_path):
    weights = load_checkpoint(trained)['state_dict']
    torch.save(weights, tmp_path / 'bare.pth')
    runner = make_runner(Tiny(), epochs=0, load_from=str(tmp_path / 'bare.pth'))
    runner.train()
    assert torch.equal(runner.model.body[0].weight, weights['body.0.weight'])


@pytest.mark.parametrize(
    'content', [{'model': {'backbone.backbone.x': torch.ones(1)}}, {'state_dict': {'other.x': torch.ones(1)}}]
)
def test_a_foreign_file_stops_the_training(make_runner, tmp_path, content):
    torch.save(content, tmp_path / 'foreign.pth')
    with pytest.raises(
        UserError, match=r'foreign\.pth (has the layout of Megvii|does not fit the model: 0 of)'
    ):
        make_runner(Tiny(), load_from=str(tmp_path / 'foreign.pth')).train()


class Named(list):
    """A data set that names its classes."""

    metainfo = dict(classes=['dog', 'cat', 'owl'])


def of_named_classes(trained, tmp_path, *names):
    """A checkpoint that records the classes of its layers; and these layers' biases."""
    saved = load_checkpoint(trained)
    saved['meta']['dataset_meta'] = dict(classes=names)
    torch.save(saved, tmp_path / 'named.pth')
    return dict(load_from=str(tmp_path / 'named.pth')), saved['state_dict']['multi_level_conv_cls.bias']


def test_classes_in_another_order_are_loaded_by_name(trained, make_runner, tmp_path):
    options, bias = of_named_classes(trained, tmp_path, 'cat', 'dog', 'owl')
    loader = dict(train_dataloader=dict(dataset=Named(torch.rand(8, 2)), **ONE_IMAGE))
    runner = make_runner(Tiny(), epochs=0, **loader, **options)
    runner.train()
    assert torch.equal(runner.model.multi_level_conv_cls.bias, bias[[1, 0, 2]])
    (ema,) = [hook.ema_model.module for hook in runner.hooks if hasattr(hook, 'ema_model')]
    assert torch.equal(ema.multi_level_conv_cls.bias, bias[[1, 0, 2]])
    runner = make_runner(Tiny(), epochs=2, resume=True, **loader, **options)
    message = (
        r'cannot be resumed with other classes or another order \(the file.*\); to train on other data, .*'
        r'--load-from .*named\.pth --work-dir \.\.\. without --resume'
    )
    with pytest.raises(UserError, match=f'{message}; for its order: --cfg-options classes=cat,dog,owl$'):
        runner.train()
    options, _ = of_named_classes(trained, tmp_path, 'cat', 'dog', 'cow')
    with pytest.raises(UserError, match=f'{message}$'):
        make_runner(Tiny(), epochs=2, resume=True, **loader, **options).train()


def test_a_test_takes_classes_by_name_and_refuses_others(trained, make_runner, tmp_path):
    test = dict(
        test_dataloader=dict(dataset=Named([torch.rand(2)]), **ONE_IMAGE),
        test_cfg=dict(),
        test_evaluator=Evaluator(Score()),
    )
    options, bias = of_named_classes(trained, tmp_path, 'cat', 'dog', 'owl')
    runner = make_runner(Tiny(), **options, **test)
    runner.test()
    assert torch.equal(runner.model.multi_level_conv_cls.bias, bias[[1, 0, 2]])
    for names, message in (
        (('cat', 'fox', 'owl'), '1 of 3 classes are new'),
        (('fox', 'elk', 'gnu'), '2 class layers left out .no class in common'),
    ):
        options, _ = of_named_classes(trained, tmp_path, *names)
        with pytest.raises(UserError, match=rf'cannot be tested with this config: .*{message}'):
            make_runner(Tiny(), **options, **test).test()


ONE_IMAGE = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))


def test_testing_needs_every_layer(trained, make_runner):
    test = dict(
        test_dataloader=dict(dataset=[torch.rand(2)], **ONE_IMAGE),
        test_cfg=dict(),
        test_evaluator=Evaluator(Score()),
    )
    make_runner(Tiny(), load_from=trained, **test).test()
    with pytest.raises(
        UserError, match=r'cannot be tested with this config: 7 of 9.*2 class layers left out'
    ):
        make_runner(Tiny(classes=5), load_from=trained, **test).test()


def test_resuming_continues_exactly(make_runner, tmp_path):
    torch.manual_seed(0)
    start = Tiny().state_dict()

    def train(name: str, **options) -> dict:
        model = Tiny()
        model.load_state_dict(start)
        make_runner(model, work_dir=str(tmp_path / name), **options).train()
        return load_checkpoint(tmp_path / name / 'epoch_2.pth')

    straight = train('a', epochs=2)
    resumed = train('b', epochs=2, load_from=str(tmp_path / 'a/epoch_1.pth'), resume=True)
    for part in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(resumed[part][name], tensor) for name, tensor in straight[part].items())


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (
            lambda saved: saved.pop('optimizer'),
            {},
            'holds no optimizer: it cannot be resumed, only .*--load-from ',
        ),
        (lambda saved: saved.pop('ema_state_dict'), {}, 'the config has EMA weights, the checkpoint has not'),
        (lambda saved: None, dict(ema=False), 'the checkpoint has EMA weights, the config has not'),
        (lambda saved: None, dict(model=Tiny(5)), 'its EMA weights: 7 of 9 .*class layers left out'),
        (lambda saved: saved['state_dict'].update(x=torch.ones(1)), {}, '1 unknown to the model: x'),
        (lambda saved: saved['state_dict'].pop('body.0.bias'), {}, 'with this config: 8 of 9 .*body.0.bias'),
    ],
)
def test_resuming_drops_nothing_silently(trained, make_runner, tmp_path, change, options, message):
    saved = load_checkpoint(trained)
    change(saved)
    torch.save(saved, tmp_path / 'changed.pth')
    runner = make_runner(
        **dict(model=Tiny()) | options, epochs=2, load_from=str(tmp_path / 'changed.pth'), resume=True
    )
    with pytest.raises(UserError, match=message):
        runner.train()


def test_checkpoint_hook_writes_through_the_atomic_backend(make_runner, tmp_path, monkeypatch):
    written = []
    put = AtomicLocalBackend.put
    monkeypatch.setattr(
        AtomicLocalBackend,
        'put',
        lambda self, obj, filepath: (written.append(os.path.basename(filepath)), put(self, obj, filepath)),
    )
    monkeypatch.setattr(LocalBackend, 'put', None)
    checkpoint = dict(
        type='CheckpointHook',
        interval=1,
        backend_args=dict(backend='atomic_local'),
        save_best='score',
        rule='greater',
        max_keep_ckpts=2,
    )
    make_runner(
        Tiny(),
        epochs=4,
        default_hooks=dict(checkpoint=checkpoint),
        val_dataloader=dict(dataset=[torch.rand(2)], **ONE_IMAGE),
        val_cfg=dict(),
        val_evaluator=Evaluator(Score()),
    ).train()
    best = [name for name in written if name.startswith('best')]
    assert best == [f'best_score_epoch_{epoch}.pth' for epoch in (1, 2, 3, 4)]
    files = {name for name in os.listdir(tmp_path / 'work') if name.endswith('.pth')}
    assert files == {'epoch_3.pth', 'epoch_4.pth', 'best_score_epoch_4.pth'}
    assert (tmp_path / 'work/last_checkpoint').read_text().endswith('epoch_4.pth')


def test_a_full_disk_is_what_a_write_says():
    with pytest.raises(OSError, match='No space left on device'):
        write_archive(dict(weights=torch.zeros(100_000)), Path('/dev/full'))


@pytest.mark.parametrize(
    ('optimizer', 'ignored'),
    [
        (dict(lr=0.1, momentum=0.9), []),
        (dict(lr=0.2, momentum=0.9), ['lr=0.2 (it is 0.1)']),
        (
            dict(lr=0.1, momentum=0.5, weight_decay=0.1),
            ['weight_decay=0.1 (it is 0)', 'momentum=0.5 (it is 0.9)'],
        ),
        (dict(lr=0.1, momentum=0.9, nesterov=True, foreach=False), ['nesterov=True (it is False);']),
    ],
)
def test_what_resuming_ignores_is_named(trained, make_runner, tmp_path, optimizer, ignored):
    runner = make_runner(Tiny(), epochs=2, load_from=trained, resume=True, work_dir=str(tmp_path / 'again'))
    runner.optim_wrapper = dict(optimizer=dict(type='SGD', **optimizer))
    runner.train()
    (log,) = (tmp_path / 'again').rglob('*.log')
    lines = [line for line in log.read_text().splitlines() if 'resuming goes on with what' in line]
    assert len(lines) == bool(ignored)
    assert all(text in lines[0] for text in ignored)


@pytest.mark.parametrize(
    ('optimizer', 'message'),
    [
        (dict(optimizer=dict(type='AdamW', lr=0.1)), 'it is of another optimizer than config key optim'),
        (
            dict(
                optimizer=dict(type='SGD', lr=0.1, weight_decay=0.1), paramwise_cfg=dict(norm_decay_mult=0.0)
            ),
            'its optimizer trains other weights, or other groups of them',
        ),
    ],
)
def test_an_optimizer_that_cannot_go_on_is_refused(trained, make_runner, optimizer, message):
    runner = make_runner(Tiny(), epochs=2, load_from=trained, resume=True)
    runner.optim_wrapper = optimizer
    with pytest.raises(UserError, match=f'cannot be resumed with this config: {message}'):
        runner.train()


KEEPS = 'the learning rate keeps the schedule that the training began with, not '
FINAL_RATE = 'what comes after is trained at its final rate'


def yolox_lr(max_epochs: int, warmup_epochs: int = 1, num_last_epochs: int = 0) -> list[dict]:
    lengths = dict(end=max_epochs, warmup_epochs=warmup_epochs, num_last_epochs=num_last_epochs)
    return [dict(type='mmyolox.YOLOXLR', by_epoch=True, convert_to_iter_based=True, **lengths)]


@pytest.mark.parametrize(
    ('epochs', 'schedule', 'batch_size', 'expected', 'iterations'),
    [
        (2, yolox_lr(2), 4, [], 4),
        (
            3,
            yolox_lr(3, num_last_epochs=1),
            4,
            [
                f'{KEEPS}max_epochs=3 (it is 2), num_last_epochs=1 (it is 0); the number of epochs (3)',
                f'the schedule ends in epoch 2: {FINAL_RATE}',
            ],
            6,
        ),
        (2, yolox_lr(2, warmup_epochs=0), 4, [f'{KEEPS}warmup_epochs=0 (it is 1);'], 4),
        (
            2,
            yolox_lr(2),
            8,
            [
                'epoch (batch size, devices, or data) are 1 and were 2 when the training began: the new',
                'the training ends before its schedule does',
            ],
            3,
        ),
        (
            4,
            yolox_lr(4),
            8,
            [
                'are 1 and were 2 when',
                f'{KEEPS}max_epochs=4 (it is 2); the number of epochs (4)',
                f'the schedule ends in epoch 3: {FINAL_RATE}',
            ],
            5,
        ),
    ],
)
def test_what_becomes_of_the_schedule_of_a_resumed_training(
    make_runner, tmp_path, epochs, schedule, batch_size, expected, iterations
):
    def train(folder: str, epochs: int, schedule: list[dict], batch_size: int, **options) -> Runner:
        runner = make_runner(Tiny(), epochs=epochs, work_dir=str(tmp_path / folder), **options)
        runner.param_schedulers = schedule
        runner._train_dataloader['batch_size'] = batch_size
        runner.train()
        return runner

    train('begun', 1, yolox_lr(2), 4)
    start = dict(load_from=str(tmp_path / 'begun/epoch_1.pth'), resume=True)
    runner = train('resumed', epochs, schedule, batch_size, **start)
    (log,) = (tmp_path / 'resumed').rglob('*.log')
    assert runner.iter == runner.max_iters == iterations
    assert runner.message_hub.get_info('eta') == 0
    (line,) = [line for line in log.read_text().splitlines() if 'schedule' in line] or ['']
    assert bool(line) == bool(expected)
    assert all(text in line for text in expected)
    # The second time the epochs by which the schedule counts are known, also if they are of two lengths.
    start = dict(load_from=str(tmp_path / f'resumed/epoch_{epochs}.pth'), resume=True)
    train('again', epochs, schedule, batch_size, **start)
    (log,) = (tmp_path / 'again').rglob('*.log')
    assert (expected[0] in log.read_text()) if expected else ('schedule' not in log.read_text())
