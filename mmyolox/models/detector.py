"""The detector: backbone, neck and head in a row; and test-time augmentation of it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from mmcv.cnn import ConvModule
from mmdet.structures import DetDataSample
from mmengine.device import get_device
from mmengine.model import BaseModel, BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmyolox.errors import UserError
from mmyolox.nms import batched_nms
from mmyolox.registry import MODELS
from mmyolox.utils.devices import require_compiler

from .networks.blocks import FrugalConvModule
from .networks.focus import Focus
from .networks.norms import YOLOXBatchNorm, count_batch
from .networks.pafpn import YOLOXPAFPN
from .networks.staged_backbone import StagedBackbone
from .networks.yolo_fpn import YOLOXFPN
from .preprocessor import YOLOXDataPreprocessor


@MODELS.register_module()
class YOLODetector(BaseModel):
    """A single-stage detector that MMEngine's Runner trains, validates and tests.

    Args:
        backbone: The config of what maps (B, channels, H, W) to feature maps.
        neck: The config of what maps feature maps to feature maps.
        bbox_head: The config of what has ``forward``, ``loss`` and ``predict``.
        train_cfg: What the head is given for training; None for a model that only predicts.
        test_cfg: What the head is given for prediction.
        data_preprocessor: The config of what prepares a batch on the device.
        freeze: What does not train: ``backbone``, or ``neck`` for backbone and neck. It takes no gradient,
            keeps its batch norms' statistics and has no place in the optimizer. ``frozen_stages`` of our
            backbones freezes less.
        norm_eval: Whether to freeze the statistics of all batch norms, for tiny batches or data.
        channels_last: Whether weights and feature maps have channels last in memory, which convolutions are
            faster on. State dicts are the same either way.
        recompute_norms: Whether the backward pass computes anew what batch norms gave, where SiLU follows,
            instead of keeping it: a third less memory for activations, and the same to the bit. A compiled
            network does so by itself.
        compile_network: Whether ``torch.compile`` compiles backbone, neck and the head's convolutions:
            minutes before the first iteration, for faster ones after. Sizes may change: the second one
            compiles once more, for all to come. State dicts and copies of the model are those of one that is
            not compiled.
        compile_losses: Whether matching and losses are compiled, too: a few dozen kernels a step where there
            are some 340, which counts where a device waits for them to be launched.
        compile_backend: The one of PyTorch's compilers that does it.
        init_cfg: MMEngine's weight initialisation.

    Raises:
        UserError: The compiler that ``compile_network`` asks for cannot work here, ``recompute_norms`` is
            given beside it, or levels or channels of the parts disagree.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        freeze: Literal['backbone', 'neck'] | None = None,
        norm_eval: bool = False,
        channels_last: bool = True,
        recompute_norms: bool = False,
        compile_network: bool = False,
        compile_losses: bool = False,
        compile_backend: str | Callable = 'inductor',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.bbox_head = MODELS.build(bbox_head, default_args=dict(train_cfg=train_cfg, test_cfg=test_cfg))
        self._check_strides()
        if isinstance(self.data_preprocessor, YOLOXDataPreprocessor):
            self.data_preprocessor.set_size_divisor(self.size_divisor)
            self.data_preprocessor.channels = self.input_channels
        self.frozen_names = dict(backbone=('backbone',), neck=('backbone', 'neck')).get(str(freeze), ())
        for name in self.frozen_names:
            self.get_submodule(name).requires_grad_(False)
        self.norm_eval = norm_eval
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.try_parts()
        if recompute_norms and compile_network:
            raise UserError(
                'model.recompute_norms and model.compile_network: a compiler chooses itself what is computed '
                'anew; leave recompute_norms out'
            )
        for module in self.modules():
            if isinstance(module, FrugalConvModule):
                module.is_frugal = recompute_norms
        if (compile_network or compile_losses) and compile_backend == 'inductor':
            require_compiler(get_device())
        if compile_network:
            for part in (self.backbone, self.neck, self.bbox_head.head_module):
                part.compile(backend=compile_backend)
        if compile_losses:
            # The number of ground truths changes with every batch.
            self.bbox_head.after_network.compile(backend=compile_backend, dynamic=True)

    @property
    def size_divisor(self) -> int:
        """What the sides of an input have to be multiples of, in pixels: the largest stride of the levels."""
        return max(self.bbox_head.head_module.featmap_strides)

    @property
    def input_channels(self) -> int:
        """Channels of the images that the network takes; MMDetection's stem is called as ours."""
        first = next(module for module in self.backbone.modules() if isinstance(module, nn.Conv2d))
        has_focus = any(type(module).__name__ == Focus.__name__ for module in self.backbone.children())
        return first.in_channels // 4 if has_focus else first.in_channels

    def _check_strides(self) -> None:
        """Raises a ``UserError`` where our own backbone and neck do not have the levels of the head."""
        if not isinstance(self.backbone, StagedBackbone) or not isinstance(self.neck, YOLOXPAFPN | YOLOXFPN):
            return
        strides, head_strides = self.backbone.strides, tuple(self.bbox_head.head_module.featmap_strides)
        if strides != head_strides:
            raise UserError(
                f'model.backbone.out_indices={self.backbone.out_indices} give levels of strides {strides}, '
                f'but model.bbox_head.head_module.featmap_strides={head_strides}'
            )
        if len(self.neck.out_layers) != len(strides):
            raise UserError(
                f'model.neck.in_channels has {len(self.neck.out_layers)} levels, but model.backbone gives '
                f'{len(strides)}: out_indices={self.backbone.out_indices}'
            )

    @torch.no_grad()
    def try_parts(self) -> None:
        """Sends a small image through the parts, which may be of other projects and keep their statistics.

        Raises:
            UserError: One does not take what the one before it gives, or the levels do not have the strides
                of the head.
        """
        side = 2 * self.size_divisor
        device = next(self.backbone.parameters()).device
        feats: Any = [torch.zeros(1, self.input_channels, side, side, device=device)]
        strides, head_strides = (), tuple(self.bbox_head.head_module.featmap_strides)
        self.eval()
        for name in ('backbone', 'neck', 'bbox_head'):
            try:
                outputs = self.get_submodule(name)(feats[0] if name == 'backbone' else feats)
            except (RuntimeError, AssertionError, LookupError, TypeError, ValueError) as error:
                widths = ', '.join(str(level.shape[1]) for level in feats)
                raise UserError(
                    f'model.{name} does not take what comes to it, levels of {widths} channels: let '
                    f'widen_factor, in_channels and out_channels of the parts agree ({error})'
                ) from error
            if name == 'neck':
                strides = tuple(side // level.shape[-1] for level in outputs)
            feats = outputs
        self.train()
        if strides != head_strides:
            raise UserError(
                f'model.backbone and model.neck give levels of strides {strides}, but '
                f'model.bbox_head.head_module.featmap_strides={head_strides}'
            )

    def init_weights(self) -> None:
        """Initialises the weights, with the same values for a seed in either memory layout."""
        self.to(memory_format=torch.contiguous_format)
        super().init_weights()
        self.to(memory_format=self.memory_format)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """Runs the network and, by ``mode``, what follows it.

        Args:
            inputs: (B, channels, H, W) float32, H and W multiples of ``size_divisor``.
            data_samples: What :func:`mmyolox.datasets.yolox_collate` returns; not needed for ``tensor``.
            mode: The mode: ``tensor`` for the head's raw outputs, ``loss`` for a dict of losses, ``predict``
                for a list of B ``DetDataSample`` with ``pred_instances`` in pixels of the original images.
        """
        if self.training:
            count_batch(self._norms)
        feats = self.neck(self.backbone(inputs.contiguous(memory_format=self.memory_format)))
        if mode == 'tensor':
            return self.bbox_head(feats)
        if mode == 'loss':
            return self.bbox_head.loss(feats, data_samples)
        if mode == 'predict':
            metas = data_samples['metas']
            detections = self.bbox_head.predict(feats, metas)
            return [pack_prediction(*pair) for pair in zip(detections, metas, strict=True)]
        raise ValueError(f'mode={mode!r} is none of tensor, loss and predict')

    def train(self, mode: bool = True) -> nn.Module:
        """Sets the mode; frozen parts, and with ``norm_eval`` all batch norms, stay in evaluation mode.

        SiLU after a convolution works in place where nothing trains. Autograd needs its input, and would copy
        each feature map before it is overwritten; without autograd, in place saves memory traffic.
        """
        super().train(mode)
        for name in self.frozen_names:
            self.get_submodule(name).eval()
        # Looked for here, not in each step. A training sets its mode after conversions such as to SyncBN.
        self._norms = [module for module in self.modules() if isinstance(module, YOLOXBatchNorm)]
        for module in self.modules():
            if mode and self.norm_eval and isinstance(module, _BatchNorm):
                module.eval()
            if isinstance(module, ConvModule) and isinstance(getattr(module, 'activate', None), nn.SiLU):
                module.activate.inplace = module.order[-1] == 'act' and not module.training
        return self


def pack_prediction(instances: InstanceData, meta: dict) -> DetDataSample:
    """Wraps the detections of an image for metrics and visualisers.

    Args:
        instances: The detections in pixels of the original image.
        meta: What :class:`~mmyolox.datasets.transforms.PackDetInputs` says of the image; its arrays ``gt_*``
            become the fields of ``gt_instances`` and, where ``gt_ignored``, of ``ignored_instances``.
    """
    truth = {key[3:]: torch.from_numpy(meta[key]) for key in meta if key.startswith('gt_')}
    sample = DetDataSample(metainfo={key: meta[key] for key in meta if not key.startswith('gt_')})
    sample.pred_instances = instances
    if truth:
        ignored = truth.pop('ignored')
        annotated = InstanceData(**truth)
        sample.gt_instances, sample.ignored_instances = annotated[~ignored], annotated[ignored]
    return sample


@MODELS.register_module()
class YOLOXTTAModel(BaseTTAModel):
    """Merges the detections of several views of an image by one more NMS.

    Every view's detections come in pixels of the original image (flips and scales undone), so that merging
    is putting them together.

    Args:
        tta_cfg: A dict with ``nms``, which has ``iou_threshold``, and ``max_per_img``.
        **kwargs: Those of :class:`mmengine.model.BaseTTAModel`.
    """

    def __init__(self, tta_cfg: dict, **kwargs: dict) -> None:
        super().__init__(**kwargs)
        self.tta_cfg = tta_cfg

    def merge_preds(self, data_samples_list: Sequence[Sequence[DetDataSample]]) -> list[DetDataSample]:
        """Merges a list with one entry an image, each the list of its views' predictions."""
        merged = []
        for views in data_samples_list:
            together = InstanceData.cat([view.pred_instances for view in views])
            keep = batched_nms(
                together.bboxes,
                together.scores,
                together.labels,
                self.tta_cfg['nms']['iou_threshold'],
                self.tta_cfg['max_per_img'],
            )
            merged.append(views[0].clone())
            merged[-1].pred_instances = together[keep]
        return merged
