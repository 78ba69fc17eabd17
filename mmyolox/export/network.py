"""A detector as a plain function of images, for tracing and for the exporters of other formats."""

import copy

import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn

from mmyolox.errors import UserError
from mmyolox.models import HeadOutputs, YOLODetector
from mmyolox.models.boxes import grid_priors
from mmyolox.models.networks.focus import Focus, focus_as_convolution

from .options import ExportOptions


class _Predictor(nn.Module):
    """A copied network up to the head's raw outputs, in float32 on the CPU, with its batch norms folded.

    Args:
        model: The model, in evaluation mode. It is not changed.
        options: The options, of which ``size``, ``dynamic_size``, ``form``, ``colour`` and ``focus`` are
            read. The priors are constants of ``size``, or with ``dynamic_size`` are computed from the feature
            maps.

    Raises:
        UserError: The order of colours means nothing for this number of channels.
    """

    def __init__(self, model: YOLODetector, options: ExportOptions) -> None:
        super().__init__()
        self.network = fuse_conv_bn(copy.deepcopy(model)).cpu().float().eval()
        if options.focus == 'conv' and isinstance(self.network.backbone.stem, Focus):
            self.network.backbone.stem = focus_as_convolution(self.network.backbone.stem)
        self.network.requires_grad_(False)
        self.swaps_colours = options.colour == 'rgb'
        if self.swaps_colours and model.input_channels != 3:
            raise UserError(f'colour rgb: the network takes {model.input_channels} channels, not 3')
        strides = self.network.bbox_head.head_module.featmap_strides
        height, width = options.size.shape_hw
        shapes = [(height // stride, width // stride) for stride in strides]
        priors = None if options.dynamic_size else grid_priors(shapes, strides, torch.device('cpu'))
        self.priors: Tensor | None
        self.register_buffer('priors', priors, persistent=False)

    def predict(self, images: Tensor) -> tuple[HeadOutputs, Tensor]:
        """The raw outputs and the priors (N, 3)."""
        if self.swaps_colours:
            images = images[:, [2, 1, 0]]
        network = self.network
        inputs = network.data_preprocessor.normalise(images)
        outputs = network.bbox_head(network.neck(network.backbone(inputs)))
        return outputs, network.bbox_head.priors(outputs) if self.priors is None else self.priors


class ExportNetwork(_Predictor):
    """A detector whose output is one table: a row a prior, as in the exports of Megvii's YOLOX 0.3.0.

    ``forward`` maps images (B, channels, h, w) float32, grey levels 0-255 in the order ``options.colour``,
    letterboxed, to (B, N, 5 + C + 3P) float32. Rows are level by level, each row by row. Columns are the box,
    the objectness score, C class scores and, for each of P keypoints of an object, x, y and score.

    - ``options.form='raw'``: the box is the offset of its centre from the cell's corner and the logarithm of
      its width and height, in strides; keypoints are offsets from the corner in strides.
    - ``options.form='decoded'``: centre x and y, width and height in pixels of the input; so are keypoints.
    """

    def __init__(self, model: YOLODetector, options: ExportOptions) -> None:
        super().__init__(model, options)
        self.decode = options.form == 'decoded'

    def forward(self, images: Tensor) -> Tensor:
        """The table of a batch."""
        outputs, priors = self.predict(images)
        columns = self.network.bbox_head.export_columns(outputs, priors, self.decode)
        return torch.cat(columns, dim=1).transpose(1, 2)


class CandidateNetwork(_Predictor):
    """A detector up to non-maximum suppression, in the layout of ONNX's ``NonMaxSuppression``.

    ``forward`` maps images as in :class:`ExportNetwork` to a tuple: boxes (B, N, 4) xyxy in pixels of the
    input; scores (B, C, N), objectness times class probability; and of a model with keypoints their x, y and
    score (B, N, 3P).
    """

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The candidates of a batch."""
        return tuple(self.network.bbox_head.export_candidates(*self.predict(images)))
