"""A training that was stopped between any two writes ends with the files of one that was not."""

import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import EarlyStoppingHook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmyolox.checkpoints.load import latest_checkpoint, load_checkpoint, use_safe_loading
from mmyolox.engine import AtomicLocalBackend, ResumableCheckpointHook
from mmyolox.engine.hooks.checkpoint_saving import check_figures
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.registry import METRICS

SCORES = {1: 0.2, 2: 0.4, 3: 0.3, 4: 0.1, 5: 0.5, 6: 0.4}
"""By epoch."""


class Killed(BaseException):
    """Stands for a SIGKILL."""


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, *inputs, mode='tensor'):
        out = self.layer(torch.stack(inputs))
        return dict(loss=out.square().mean()) if mode == 'loss' else out


class Score(BaseMetric):
    """The score of the epoch, and its negative; optionally killed in the validation of one."""

    def __init__(self, killed_in: int | None = None):
        super().__init__()
        self.killed_in = killed_in
        self.validated = []

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        epoch = self.runner.epoch
        if epoch == self.killed_in:
            raise Killed
        self.validated.append(epoch)
        return dict(score=SCORES[epoch], other=-SCORES[epoch])


def train(
    work_dir: Path,
    metric: Score,
    resume: bool = False,
    interval: int = 1,
    val_interval: int = 2,
    **checkpoint,
) -> None:
    """Trains 6 epochs, or as far as it comes."""
    torch.manual_seed(0)
    hook = dict(
        type='mmyolox.ResumableCheckpointHook',
        interval=interval,
        **dict(
            save_best='score',
            rule='greater',
            max_keep_ckpts=2,
            backend_args=dict(backend='atomic_local'),
        )
        | checkpoint,
    )
    data = dict(sampler=dict(type='DefaultSampler', shuffle=False), batch_size=4)
    train.count += 1
    use_safe_loading()  # as the tools do
    runner = Runner(
        model=Tiny(),
        work_dir=str(work_dir),
        train_dataloader=dict(dataset=list(torch.ones(8, 2)), **data),
        train_cfg=dict(by_epoch=True, max_epochs=6, val_interval=val_interval, dynamic_intervals=[(4, 1)]),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=6)],
        custom_hooks=[dict(type='EMAHook', ema_type='ExponentialMovingAverage')],
        default_hooks=dict(checkpoint=hook),
        val_dataloader=dict(dataset=[torch.ones(2)], **data),
        val_cfg=dict(),
        val_evaluator=Evaluator(metric),
        experiment_name=f'saving-{train.count}',
        load_from=str(latest_checkpoint(work_dir)) if resume and latest_checkpoint(work_dir) else None,
        resume=resume and latest_checkpoint(work_dir) is not None,
    )
    metric.runner = runner
    try:
        runner.train()
    finally:  # as the Runner of our tools
        (saving,) = (hook for hook in runner.hooks if isinstance(hook, ResumableCheckpointHook))
        saving.finish()


train.count = 0


def content(work_dir: Path) -> dict[str, object]:
    """By name, what the checkpoints of a training hold but for the time."""
    files = {}
    for path in sorted(work_dir.glob('*.pth')):
        saved = load_checkpoint(path)
        info = saved['message_hub']['runtime_info']
        files[path.name] = dict(
            weights={name: tensor.tolist() for name, tensor in saved['state_dict'].items()},
            raw={name: tensor.tolist() for name, tensor in saved['ema_state_dict'].items()},
            momentum=[state['momentum_buffer'].tolist() for state in saved['optimizer']['state'].values()]
            if 'optimizer' in saved
            else None,
            best={name: Path(info[name]).name for name in info if name.startswith('best_ckpt')},
            scores={name: info[name] for name in info if name.startswith('best_score')},
            kept=info['keep_ckpt_ids'],
            progress=[(place['epoch'], place['iter']) for place in (saved['meta'], info)],
        )
    return files


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp('straight')
    metric = Score()
    train(folder, metric)
    assert metric.validated == [2, 3, 4, 5, 6]
    return content(folder)


def test_an_undisturbed_training_keeps_what_mmengine_keeps(straight, tmp_path):
    assert list(straight) == ['best_score_epoch_5.pth', 'epoch_5.pth', 'epoch_6.pth']
    assert straight['epoch_6.pth']['best'] == {'best_ckpt': 'best_score_epoch_5.pth'}
    train(tmp_path, Score(), interval=4, save_best=['score', 'other'], rule=['greater', 'less'])
    names = [path.name for path in sorted(tmp_path.glob('*.pth'))]
    assert names == ['best_other_epoch_5.pth', 'best_score_epoch_5.pth', 'epoch_5.pth', 'epoch_6.pth']


# 6 checkpoints, 5 of them once more when they are validated, 2 of the best.
@pytest.mark.parametrize('is_written', [False, True])
@pytest.mark.parametrize('write', range(1, 14))
def test_killed_at_a_write(straight, tmp_path, monkeypatch, write, is_written):
    writes = []
    save = AtomicLocalBackend.save

    def killed(self, checkpoint, filepath):
        writes.append(filepath)
        if len(writes) < write or is_written:
            save(self, checkpoint, filepath)
        if len(writes) == write:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'save', killed)
        with pytest.raises(Killed):
            train(tmp_path, Score())
    train(tmp_path, Score(), resume=True)
    assert content(tmp_path) == straight


@pytest.mark.parametrize('epoch', [2, 3, 4, 5, 6])
def test_killed_in_a_validation(straight, tmp_path, epoch):
    with pytest.raises(Killed):
        train(tmp_path, Score(killed_in=epoch))
    metric = Score()
    train(tmp_path, metric, resume=True)
    assert metric.validated == [number for number in (2, 3, 4, 5, 6) if number >= epoch]
    assert content(tmp_path) == straight


@pytest.mark.parametrize('resumes', [1, 2])
def test_what_was_validated_is_not_validated_again(straight, tmp_path, resumes):
    train(tmp_path, Score())
    for _ in range(resumes):
        metric = Score()
        train(tmp_path, metric, resume=True)
        assert not metric.validated
    assert content(tmp_path) == straight


def test_killed_before_the_old_files_are_removed(straight, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'remove', lambda self, path: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(tmp_path, Score())
        assert latest_checkpoint(tmp_path).name == 'epoch_3.pth'
    train(tmp_path, Score(), resume=True)
    assert content(tmp_path) == straight


def test_a_folder_that_was_moved_keeps_one_best(straight, tmp_path):
    with pytest.raises(Killed):
        train(tmp_path / 'old', Score(killed_in=4))
    (tmp_path / 'old').rename(tmp_path / 'new')
    train(tmp_path / 'new', Score(), resume=True)
    assert content(tmp_path / 'new') == straight


def test_a_write_that_fails_leaves_the_files_before_it(tmp_path, monkeypatch):
    save = AtomicLocalBackend.save

    def full(self, checkpoint, filepath):
        if 'best_score_epoch_5' in str(filepath):
            raise OSError(28, 'No space left on device')
        save(self, checkpoint, filepath)

    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'save', full)
        with pytest.raises(OSError, match='No space'):
            train(tmp_path, Score(), max_keep_ckpts=1)
    assert sorted(content(tmp_path)) == ['best_score_epoch_2.pth', 'epoch_5.pth']


def test_what_is_trained_while_a_file_is_written_is_not_in_it(straight, tmp_path, monkeypatch):
    save, advances = AtomicLocalBackend.save, []

    def slow(self, checkpoint, filepath):
        hub = MessageHub.get_current_instance()
        began = hub.get_info('iter')
        # The first time, the training goes on; later it may wait for this write before it begins the next.
        patience = time.monotonic() + (0.05 if advances else 60)
        while hub.get_info('iter') == began and time.monotonic() < patience:
            time.sleep(0.005)
        save(self, checkpoint, filepath)
        advances.append(hub.get_info('iter') - began)

    monkeypatch.setattr(AtomicLocalBackend, 'save', slow)
    train(tmp_path, Score())
    assert advances[0] > 0
    assert content(tmp_path) == straight


def test_the_last_checkpoint_is_named_when_it_is_whole(tmp_path, monkeypatch):
    save, named = AtomicLocalBackend.save, []

    def look(self, checkpoint, filepath):
        note = tmp_path / 'last_checkpoint'
        named.append((Path(filepath).name, Path(note.read_text()).name if note.exists() else ''))
        save(self, checkpoint, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'save', look)
    train(tmp_path, Score(), save_best=None, rule=None, val_interval=9, max_keep_ckpts=-1)
    # Those from 3 on are validated, and written once more.
    files = [f'epoch_{epoch}.pth' for epoch in (1, 2, 3, 3, 4, 4, 5, 5, 6, 6)]
    assert named == list(zip(files, ['', *files[:-1]], strict=True))
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == files[-1]


@pytest.mark.parametrize('epoch', [1, 6])
def test_a_training_ends_soon_after_a_write_that_fails(tmp_path, monkeypatch, epoch):
    save, metric = AtomicLocalBackend.save, Score()

    def full(self, checkpoint, filepath):
        if checkpoint['meta']['epoch'] == epoch:
            raise OSError(28, 'No space left on device')
        save(self, checkpoint, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'save', full)
    with pytest.raises(OSError, match='No space'):
        train(tmp_path, metric, interval=5, val_interval=1) if epoch == 1 else train(tmp_path, metric)
    # The best checkpoint of epoch 1 fails long before the next one is due; the last validation may go on.
    assert metric.validated[:5] == ([1] if epoch == 1 else [2, 3, 4, 5, 6])[: len(metric.validated)]


def test_another_backend_writes_the_same(straight, tmp_path):
    train(tmp_path, Score(), backend_args=None)
    assert content(tmp_path) == straight


def test_an_option_that_is_none_is_named():
    with pytest.raises(UserError, match='checkpoint has no max_keep; did you mean max_keep_ckpts'):
        ResumableCheckpointHook(interval=1, max_keep=3)


class KnownScore(Score):
    """Says its figures before."""

    def figure_names(self):
        return ['score', 'other']


@pytest.mark.parametrize('metric', [Score, KnownScore])
def test_a_figure_that_no_validation_gives_is_named_before_the_first_epoch(tmp_path, metric):
    metric = metric()
    if not isinstance(metric, KnownScore):  # of which nothing is known
        train(tmp_path, metric, save_best='score')
        assert metric.validated
        return
    with pytest.raises(UserError, match=r'save_best=scores: the validation gives no .*did you mean score'):
        train(tmp_path, metric, save_best='scores')
    assert not list(tmp_path.glob('*.pth'))


def test_a_folder_that_takes_no_checkpoints_is_named_before_the_first_epoch(tmp_path):
    metric = Score()
    with pytest.raises(UserError, match=r'/dev/null/.* cannot be written: .*; name another folder'):
        train(tmp_path, metric, out_dir='/dev/null/kept', interval=5, save_best=None, rule=None)
    assert metric.validated == []


@pytest.mark.parametrize(
    ('metric', 'figure', 'is_given'),
    [
        (KnownScore(), 'score', True),
        (KnownScore(), 'scor', False),
        (METRICS.build(dict(type='mmdet.VOCMetric', iou_thrs=[0.5, 0.75])), 'pascal_voc/AP75', True),
        (METRICS.build(dict(type='mmdet.VOCMetric', iou_thrs=[0.5, 0.75])), 'pascal_voc/AP60', False),
        (METRICS.build(dict(type='mmdet.VOCMetric')), 'pascal_voc/mAP', True),
        (METRICS.build(dict(type='mmdet.VOCMetric')), 'coco/bbox_mAP', False),
    ],
)
@pytest.mark.parametrize('by', ['hook', 'scheduler'])
def test_what_goes_by_a_figure_is_found(metric, figure, is_given, by):
    runner = SimpleNamespace(
        hooks=[], param_schedulers=[], val_loop=SimpleNamespace(evaluator=Evaluator([metric]))
    )
    if by == 'hook':
        runner.hooks.append(EarlyStoppingHook(monitor=figure, rule='greater'))
    else:
        runner.param_schedulers.append(SimpleNamespace(monitor=figure))
    with nullcontext() if is_given else pytest.raises(UserError, match=f'monitor={figure}: the validation'):
        check_figures(runner)


@pytest.mark.parametrize(('by_epoch', 'name'), [(True, 'epoch_6.pth'), (False, 'iter_12.pth')])
def test_a_finished_training_says_so(tmp_path, by_epoch, name):
    tmp_path /= 'two\nlines'
    train(tmp_path, Score(), by_epoch=by_epoch)
    train(tmp_path, Score(), resume=True, by_epoch=by_epoch)
    logs = [path.read_text() for path in tmp_path.rglob('*.log')]
    said = [line for log in logs for line in log.splitlines() if 'This training is finished' in line]
    (line,) = said
    assert (
        '6 of 6 epochs are done. To train on, begin another one from its weights: '
        f'--load-from {tmp_path.parent}/two\\nlines/{name} --work-dir' in line
    )


FOUND = {1: (2, 2), 2: (9, 1), 3: (7, 6), 4: (10, 0), 5: (1, 10), 6: (5, 5)}
"""How many of ten objects of the first and the second class are found, by epoch."""


class CocoScore(Score):
    """COCO's figures of the epoch's detections; one more class, the first, has no objects."""

    def __init__(self, folder: Path, **options):
        super().__init__()
        annotations = [
            dict(id=number, image_id=number, category_id=label, bbox=[0, 0, 40, 40], area=1600, iscrowd=0)
            for number, label in enumerate([1, 2] * 10, 1)
        ]
        content = dict(
            images=[
                dict(id=number, file_name=f'{number}.jpg', width=99, height=99) for number in range(1, 21)
            ],
            categories=[dict(id=label, name=name) for label, name in enumerate(('ghost', 'a', 'b'))],
            annotations=annotations,
        )
        (folder / 'val.json').write_text(json.dumps(content))
        self.metric = YOLOXCocoMetric(str(folder / 'val.json'), **options)
        self.metric.dataset_meta = dict(classes=('ghost', 'a', 'b'))

    def compute_metrics(self, results):
        found = FOUND[self.runner.epoch]
        for image in range(1, 21):
            label = 1 + (image + 1) % 2
            is_found = (image - 1) // 2 < found[label - 1]
            box = torch.tensor([[0.0, 0, 40, 40]])[: int(is_found)]
            predicted = dict(bboxes=box, scores=box[:, 2] / 50, labels=torch.full((len(box),), label))
            self.metric.process(None, [dict(img_id=image, pred_instances=predicted)])
        return self.metric.evaluate(20)


@pytest.mark.parametrize('save_best', ['auto', 'coco/bbox_mAP'])
def test_figures_of_classes_change_no_best_checkpoint(tmp_path, save_best):
    """The first class is never found; each of the others is found best in an epoch of its own."""
    files = []
    for classwise in (False, True):
        folder = tmp_path / str(classwise)
        folder.mkdir()
        train(folder, CocoScore(folder, classwise=classwise), save_best=save_best, rule=None, val_interval=1)
        files.append([path.name for path in folder.glob('best_*')])
    assert files == [['best_coco_bbox_mAP_epoch_3.pth']] * 2


def test_the_figure_of_a_class_may_be_followed(tmp_path):
    train(
        tmp_path, CocoScore(tmp_path, classwise=True), save_best='coco/a_precision', rule=None, val_interval=1
    )
    assert [path.name for path in tmp_path.glob('best_*')] == ['best_coco_a_precision_epoch_4.pth']


def test_a_folder_whose_name_is_no_utf8(straight, tmp_path):
    folder = Path(os.fsdecode(bytes(tmp_path) + b'/run\xff'))
    train(folder, Score())
    assert content(folder) == straight
    assert latest_checkpoint(folder) == folder / 'epoch_6.pth'
