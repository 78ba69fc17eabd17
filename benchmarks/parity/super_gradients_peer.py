"""Runs a YOLOX of SuperGradients 3.7.1 and stores what it saw and said; runs in its own environment.

    python super_gradients_peer.py yolox_s WEIGHTS.pth OUTPUTS.pth
    python super_gradients_peer.py layouts OUT.json

WEIGHTS.pth is what its trainer would save; the weights are random. OUTPUTS.pth holds the ``images``, the raw
``logits`` of every level (B, 1, H, W, 5 + C) and the decoded ``rows`` (B, N, 5 + C). ``layouts`` writes names
and shapes of all models' tensors, for the quick tests.
"""

import os
import sys
import tempfile
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import layout_file
import torch
from random_weights import randomise
from torch import nn

MODELS = {
    'nano': 'yolox_n',
    'tiny': 'yolox_t',
    's': 'yolox_s',
    'm': 'yolox_m',
    'l': 'yolox_l',
    'x': 'yolox_x',
}

UNUSED = (
    *('albumentations', 'boto3', 'botocore', 'data_gradients', 'deprecated', 'imagesize', 'jsonschema'),
    *('onnx', 'onnxruntime', 'onnxsim', 'pycocotools', 'rapidfuzz', 'requests', 'scipy', 'stringcase'),
    *('torchmetrics', 'torchvision', 'treelib'),
)
"""What SuperGradients imports for training, data and export, and a model never calls."""


class _AnyClass(type):
    """Of classes whose every attribute is the class itself."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return cls


class _Anything(metaclass=_AnyClass):
    """A base class, an annotation, or a decorator with arguments that changes nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, decorated: Any) -> Any:
        return decorated


class _Module(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Anything


class _Finder(MetaPathFinder, Loader):
    """Answers for the modules that are not used."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split('.')[0] in UNUSED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def build(model: str) -> nn.Module:
    """One of SuperGradients' models, for 80 classes."""
    from super_gradients.training.models.detection_models import yolox
    from super_gradients.training.utils.utils import HpmStruct

    return getattr(yolox, f'YoloX_{model[-1].upper()}')(HpmStruct(num_classes=80)).eval()


def prepare(log_folder: str) -> None:
    """Makes SuperGradients importable, without its reports to a server."""
    os.environ |= dict(CRASH_HANDLER='FALSE', UPLOAD_LOGS='FALSE', CONSOLE_LOG_LEVEL='CRITICAL')
    os.environ['SUPER_GRADIENTS_LOG_DIR'] = log_folder
    sys.meta_path.append(_Finder())
    sys.modules['torch.utils.tensorboard'] = _Module('torch.utils.tensorboard')


@torch.no_grad()
def run(name: str, weights: str, outputs: str) -> None:
    """Builds, fills, stores and runs a model."""
    torch.manual_seed(0)
    model = build(name)
    raw = {key: value.clone() for key, value in model.state_dict().items()}
    images = randomise(model)
    torch.save(dict(net=raw, acc=0.4, epoch=299, ema_net=model.state_dict()), weights)
    rows, logits = model(images)
    torch.save(dict(images=images, rows=rows, logits=logits), outputs)


def write_layouts(out: str) -> None:
    """Stores the layouts of all models."""
    states = {size: build(name).state_dict() for size, name in MODELS.items()}
    layouts = {size: {k: tuple(v.shape) for k, v in state.items()} for size, state in states.items()}
    layout_file.write(layouts, Path(out))


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as log_folder:
        prepare(log_folder)
        if sys.argv[1] == 'layouts':
            write_layouts(sys.argv[2])
        else:
            run(*sys.argv[1:])
