"""Runs training steps of one contestant; ``train_step.py`` starts it in that one's environment.

    python train_step_peer.py ours|mmyolo

A step is what MMEngine's ``train_step`` and the EMA hook do, in the same order, with a clock between the
parts.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from side_by_side import serve
from torch import Tensor

Config = Any
STEADY_LR = 1e-6  # the costs are those of any rate, and the losses stay finite without a warm-up


def load_ours(name: str, amp: bool) -> Config:
    """Our config, completed as ``tools/train.py`` does."""
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config
    from mmyolox.engine.launch import enable_amp

    init_default_scope('mmyolox')
    cfg = load_config(name)
    if amp:
        enable_amp(cfg)
    cfg.ema = cfg.default_hooks.ema
    return cfg


def load_mmyolo(name: str, amp: bool) -> Config:
    """MMYOLO's published config; its AMP refuses the CPU, so :class:`Step` brings the autocast."""
    import peers
    from mmengine.config import Config

    cfg = Config.fromfile(peers.prepare_mmyolo() / f'{name}.py')
    cfg.ema = next(hook for hook in cfg.custom_hooks if hook.type == 'EMAHook')
    return cfg


def our_batch(images: Tensor, bboxes: Tensor, labels: Tensor) -> dict[str, Any]:
    """What our collate function makes."""
    metas = [dict(img_shape=tuple(images.shape[2:])) for _ in images]
    nothing = bboxes.new_zeros(len(bboxes), 0, 4)
    truth = dict(bboxes=bboxes, labels=labels, ignored_bboxes=nothing, metas=metas)
    return dict(inputs=images.contiguous(memory_format=torch.channels_last), data_samples=truth)


def mmyolo_batch(images: Tensor, bboxes: Tensor, labels: Tensor) -> dict[str, Any]:
    """What MMYOLO's makes: rows of image, label, box."""
    owner = torch.arange(len(images))[:, None].expand_as(labels)
    rows = torch.cat([owner[..., None], labels[..., None], bboxes], 2).flatten(0, 1)
    return dict(inputs=images, data_samples=dict(bboxes_labels=rows))


def make_truth(batch: int, objects: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random images (B, 3, side, side) uint8, boxes (B, M, 4) xyxy inside them, labels (B, M)."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch, 3, side, side), generator=random, dtype=torch.uint8)
    sizes = 10 + torch.rand(batch, objects, 2, generator=random) * side * 0.4
    corners = torch.rand(batch, objects, 2, generator=random) * (side - sizes)
    labels = torch.randint(80, (batch, objects), generator=random)
    return images, torch.cat([corners, corners + sizes], 2), labels


class Step:
    """A model with its optimizer and moving average."""

    def __init__(self, who: str, config: str, amp: bool, weights: str) -> None:
        self.who = who
        cfg = (load_ours if who == 'ours' else load_mmyolo)(config, amp)
        if who == 'ours':
            from mmyolox.registry import HOOKS, MODELS
        else:
            from mmyolo.registry import HOOKS, MODELS
        from mmengine.logging import MessageHub
        from mmengine.optim import build_optim_wrapper

        MessageHub.get_current_instance().update_info('iter', 0)
        for augment in cfg.model.data_preprocessor.batch_augments:
            augment.interval = 10**9  # one size throughout
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.share_weights(weights)
        self.model.train()
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        for group in self.wrapper.optimizer.param_groups:
            group['lr'] = STEADY_LR
        self.autocast = amp and who != 'ours'
        self.runner = SimpleNamespace(
            model=self.model, optim_wrapper=self.wrapper, iter=0, epoch=0, max_iters=10**6, max_epochs=300
        )
        cfg.ema.pop('priority')  # the Runner's
        self.ema = HOOKS.build(cfg.ema)
        self.ema.before_run(self.runner)
        self.clock: list[float] = []
        self.model.bbox_head.head_module.register_forward_hook(lambda *_: self.tick())

    def share_weights(self, path: str) -> None:
        """Ours are stored, MMYOLO's taken from there: the state dicts have one layout."""
        if self.who == 'ours':
            self.model.init_weights()
            torch.save(self.model.state_dict(), path)
        else:
            self.model.load_state_dict(torch.load(path))

    def tick(self) -> None:
        """Notes the time."""
        self.clock.append(time.perf_counter())

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        """The precision of forward and loss."""
        # Not disabled for ours: that would switch off what its own wrapper has switched on.
        brought = torch.autocast('cpu', torch.bfloat16) if self.autocast else contextlib.nullcontext()
        with self.wrapper.optim_context(self.model), brought:
            yield

    def run(self, batch: dict[str, Any]) -> dict[str, float]:
        """One step: seconds of its parts, and the loss."""
        self.clock = []
        self.tick()
        with self.precision():
            data = self.model.data_preprocessor(batch, True)
            losses = self.model(**data, mode='loss')  # the hook on the towers ticks between network and loss
        loss, _ = self.model.parse_losses(losses)
        self.tick()
        self.wrapper.backward(self.wrapper.scale_loss(loss))
        self.tick()
        self.wrapper.step()
        self.wrapper.zero_grad()
        self.tick()
        self.ema.after_train_iter(self.runner, 0)
        self.tick()
        names = ('forward', 'loss', 'backward', 'optimizer', 'EMA')
        parts = [end - start for start, end in zip(self.clock, self.clock[1:], strict=False)]
        return dict(zip(names, parts, strict=True), value=float(loss.detach()))


def main(who: str) -> None:
    """Serves ``build`` and ``run``, see :class:`Step`."""
    steps: dict[bool, Step] = {}
    batches: list[dict[str, Any]] = []

    def answer(action: str, amp: bool, **request: Any) -> Any:
        if action == 'run':
            return steps[amp].run(dict(batches[0]))
        torch.set_num_threads(request['threads'])
        make = our_batch if who == 'ours' else mmyolo_batch
        batches[:] = [make(*make_truth(request['batch'], request['objects'], request['side']))]
        steps[amp] = Step(who, request['config'], amp, request['weights'])
        return None

    serve(answer)


if __name__ == '__main__':
    main(sys.argv[1])
