"""The models of ``gpu.py`` with all that trains them, and their batches: ours and MMDetection's."""

import argparse
import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

Batch = dict[str, Any]


class Trainer:
    """A model with optimizer and moving average, as its config says, without a Runner.

    Args:
        who: ``ours`` or ``mmdet``.
        size: of YOLOX: ``s``, ``x``, ...
        args: of the command line.
        is_compiled: compile the network, and of ours also matching and losses.
        config: of ours, in place of the plain recipe.
        options: of ours, as of ``--cfg-options``.
    """

    def __init__(
        self,
        who: str,
        size: str,
        args: argparse.Namespace,
        is_compiled: bool = False,
        config: str = '',
        options: dict[str, Any] | None = None,
    ) -> None:
        from mmengine.optim import build_optim_wrapper
        from mmengine.registry import MODELS, DefaultScope

        self.who = who
        if who == 'ours':
            config = config or f'yolox_{size}_fast_8xb8-300e_coco'
            self.cfg, scope, ema = our_config(config, options or {}, args)
            if is_compiled:
                self.cfg.model.update(compile_network=True, compile_losses=True)
        else:
            self.cfg, scope, ema = mmdet_config(size, args)
        augments = self.cfg.model.data_preprocessor.batch_augments or []
        # One size throughout.
        self.cfg.model.data_preprocessor.batch_augments = [
            one for one in augments if 'Resize' not in one.type
        ]
        average = {key: ema[key] for key in ('momentum', 'gamma', 'update_buffers') if key in ema}
        with DefaultScope.overwrite_default_scope(scope), redirect_stdout(io.StringIO()):  # much is printed
            self.model = MODELS.build(self.cfg.model)
            self.model.init_weights()
            self.model.to(args.device).train()
            self.wrapper = build_optim_wrapper(self.model, self.cfg.optim_wrapper)
            self.average = MODELS.build(dict(type=ema.ema_type, model=self.model, **average))
        self.precision: Callable[[], AbstractContextManager] = partial(self.wrapper.optim_context, self.model)
        if is_compiled and who != 'ours':
            for part in (self.model.backbone, self.model.neck, self.model.bbox_head):
                part.compile()  # of the head only the towers: its losses are not its forward pass

    def step(self, batch: Batch) -> None:
        """One training step."""
        self.model.train_step(batch, self.wrapper)
        self.average.update_parameters(self.model)

    def exportable(self, folder: Path) -> Any:
        """The model as an exporter takes it, from a checkpoint in a folder."""
        import torch

        from mmyolox.apis import init_detector

        classes = tuple(map(str, range(self.model.bbox_head.num_classes)))
        checkpoint = dict(state_dict=self.model.state_dict(), meta=dict(dataset_meta=dict(classes=classes)))
        torch.save(checkpoint, folder / 'weights.pth')
        self.cfg.dump(folder / 'config.py')
        return init_detector(folder / 'config.py', folder / 'weights.pth', 'cpu')

    def for_prediction(self, args: argparse.Namespace, is_compiled: bool) -> None:
        """Turns to prediction: ours as ``init_detector`` does, MMDetection's under autocast."""
        self.model.eval()
        if self.who == 'ours':
            from mmyolox.apis.detectors import prepare_network
            from mmyolox.utils.devices import choose_dtype

            dtype = choose_dtype('auto' if args.amp else 'float32', self.model.data_preprocessor.device)
            prepare_network(self.model, fuse=True, dtype=dtype)
            self.precision = nullcontext
        if is_compiled:
            for part in (self.model.backbone, self.model.neck, self.model.bbox_head.head_module):
                part.compile()

    def predict(self, batch: Batch) -> Any:
        """Detections of a batch."""
        with self.precision():
            return self.model(**self.model.data_preprocessor(batch, False), mode='predict')

    def network(self, inputs: Any) -> Any:
        """Raw outputs of a batch."""
        with self.precision():
            return self.model(inputs, mode='tensor')


def our_config(name: str, options: dict[str, Any], args: argparse.Namespace) -> tuple[Any, str, Any]:
    """Our config, completed as ``tools/train.py --amp`` does, its scope and its moving average."""
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config
    from mmyolox.engine.launch import enable_amp

    init_default_scope('mmyolox')
    options = dict(options, data_root=f'{args.root}/', img_scale=(args.side, args.side))
    cfg = load_config(name, options)
    if args.amp:
        enable_amp(cfg)
    return cfg, 'mmyolox', cfg.default_hooks.ema


def mmdet_config(size: str, args: argparse.Namespace) -> tuple[Any, str, Any]:
    """The same of MMDetection."""
    import mmdet
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules(init_default_scope=False)
    folder = Path(mmdet.__file__).parent / '.mim' / 'configs' / 'yolox'
    cfg = Config.fromfile(folder / f'yolox_{size}_8xb8-300e_coco.py')
    if args.amp and args.device == 'cuda':
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    return cfg, 'mmdet', next(hook for hook in cfg.custom_hooks if hook.type == 'EMAHook')


def truth(count: int, side: int, device: str) -> tuple[Any, Any, Any]:
    """Random images uint8, 12 boxes each and their labels, on the device."""
    from train_step_peer import make_truth

    return tuple(tensor.to(device) for tensor in make_truth(count, 12, side))


def our_batch(count: int, side: int, device: str) -> Batch:
    """A batch in our form, as after the loader."""
    import numpy as np
    from train_step_peer import our_batch as pack

    batch = pack(*truth(count, side, device))
    for meta in batch['data_samples']['metas']:
        meta.update(matrix=np.eye(3), ori_shape=(side, side))
    return batch


def mmdet_batch(count: int, side: int, device: str) -> Batch:
    """A batch in MMDetection's form."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    inputs, bboxes, labels = truth(count, side, device)
    shape = (side, side)
    metas = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, scale_factor=(1.0, 1.0))
    samples = [DetDataSample(metainfo=metas) for _ in inputs]
    for sample, boxes, classes in zip(samples, bboxes, labels, strict=True):
        sample.gt_instances = InstanceData(bboxes=boxes, labels=classes)
    return dict(inputs=list(inputs), data_samples=samples)


BATCHES = dict(ours=our_batch, mmdet=mmdet_batch)
