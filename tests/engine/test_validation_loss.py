"""The losses on the validation images are those of one batch of all of them."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor
from torch import distributed, multiprocessing

from mmyolox.config import load_config
from mmyolox.engine import ValidationLossHook
from mmyolox.registry import MODELS
from tests.models.batches import make_batch


def make_images(count):
    """Images with two objects, three, and none."""
    batch = make_batch(batch=count)
    torch.manual_seed(1)
    batch['inputs'] = torch.randint(256, batch['inputs'].shape, dtype=torch.uint8)
    labels = batch['data_samples']['labels']
    labels[1] = torch.tensor([2, 1, 0])
    labels[2:] = -1
    batch['data_samples']['bboxes'] = torch.rand(count, 3, 4).cumsum(2) * 30
    return batch


def make_model():
    torch.manual_seed(0)
    cfg = load_config('yolox_nano_fast_8xb8-300e_coco').model
    model = MODELS.build(cfg)
    model.bbox_head.use_l1 = True
    return model.eval()


def part_of(batch, indices):
    samples = {
        key: [value[i] for i in indices] if key == 'metas' else value[indices]
        for key, value in batch['data_samples'].items()
    }
    return dict(inputs=batch['inputs'][indices], data_samples=samples)


@torch.no_grad()
def validate(model, images, batches, count):
    """The figures of a validation in these batches of indices."""
    hook, metrics = ValidationLossHook(), {'coco/bbox_mAP': 0.5}
    dataset = range(count)
    runner = SimpleNamespace(
        model=model,
        val_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)),
        message_hub=MessageHub.get_instance('validation losses'),
    )
    hook.before_val_epoch(runner)
    for number, indices in enumerate(batches):
        batch = part_of(images, indices)
        outputs = model.val_step(batch)
        hook.after_val_iter(runner, number, batch, outputs)
    hook.after_val_epoch(runner, metrics)
    model(torch.zeros(1, 3, 64, 64))
    assert hook._outputs is None  # it has stopped listening
    assert set(hook.figure_names()) <= set(metrics)
    assert next(iter(metrics)) == 'coco/bbox_mAP'  # the one that save_best=auto goes by
    return metrics


@torch.no_grad()
def losses_of_one_batch(model, images):
    losses = model(**model.data_preprocessor(images), mode='loss')
    return {f'val/{name}': loss.item() for name, loss in losses.items()}


@pytest.mark.parametrize('batches', [[[0, 1, 2, 3]], [[0], [1], [2], [3]], [[3, 1], [0, 2]]])
def test_losses_are_those_of_one_batch_of_all_images(batches):
    model, images = make_model(), make_images(4)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    figures = validate(model, images, batches, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    expected = losses_of_one_batch(model, images)
    assert len(expected) == 4
    always = sum(value for name, value in expected.items() if name != 'val/loss_l1')
    assert figures['val/loss'] == pytest.approx(always, rel=1e-5)
    assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_the_last_epochs_compares_with_those_before():
    model, images = make_model(), make_images(4)
    last = validate(model, images, [[0, 1, 2, 3]], 4)
    model.bbox_head.use_l1 = False
    before = validate(model, images, [[0, 1, 2, 3]], 4)
    assert last['val/loss'] == pytest.approx(before['val/loss'], rel=1e-6)
    assert last.keys() - before.keys() == {'val/loss_l1'}


def test_the_log_has_the_losses_of_each_validation_alone():
    """MMEngine's log takes the mean of the last ten values of what is called a loss."""
    model, images = make_model(), make_images(2)
    hub = MessageHub.get_instance('validation losses')
    for name in ('val/val/loss', 'val/val/loss_cls'):  # as RuntimeInfoHook records those of an epoch before
        hub.update_scalar(name, 1000.0)
    metrics = validate(model, images, [[0, 1]], 2)
    for name, value in metrics.items():
        hub.update_scalar(f'val/{name}', value)
    runner = SimpleNamespace(message_hub=hub, _train_loop=None, val_loop=SimpleNamespace(dataloader=[0]))
    tag, _ = LogProcessor().get_log_after_epoch(runner, 1, 'val')
    assert {name: tag[name] for name in metrics} == pytest.approx(metrics)


def test_images_without_objects():
    model, images = make_model(), part_of(make_images(4), [2, 3])
    figures = validate(model, images, [[0], [1]], 2)
    expected = losses_of_one_batch(model, images)
    assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert figures['val/loss_obj'] > 0 == figures['val/loss_cls']


def in_process(rank, folder):
    store = distributed.FileStore(str(folder / 'store'), 2)
    distributed.init_process_group('gloo', store=store, rank=rank, world_size=2)
    # The sampler gives the second process the first image once more: it counts once.
    batches = [[[0], [2]], [[1], [0]]][rank]
    torch.save(validate(make_model(), make_images(3), batches, 3), folder / f'{rank}.pth')
    distributed.destroy_process_group()


def test_two_processes_have_the_figures_of_one(tmp_path):
    multiprocessing.start_processes(in_process, (tmp_path,), nprocs=2, start_method='fork')
    one = validate(make_model(), make_images(3), [[0, 1, 2]], 3)
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pth') == pytest.approx(one, rel=1e-5)
