"""The batch size ``auto``: the largest that an accelerator trains, and a rule for CPUs."""

import gc
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from torch import Tensor

from mmyolox.config.check import AUTO, walk
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.models.batch_augments import training_sizes
from mmyolox.registry import MODELS
from mmyolox.utils.memory import available_memory, processes_on_machine

BATCH_SIZE = 'train_batch_size'
"""The key of a checkpoint's ``meta`` for the images of a batch of each process."""

_MOST, _MOST_ON_CPU = 256, 16
_OBJECTS = 100
"""The objects of each image that is tried: those of a crowded mosaic."""
_HEADROOM = 0.1
"""The share of an accelerator's memory that is kept free for what the trial does not see."""
_COPIES = 4
"""The copies of the weights in a training: the average, two moments, buckets of gradients."""


def settle_batch_size(cfg: Config, meta: Mapping[str, Any] | None, local_rank: int = 0) -> str | None:
    """Puts a number in the place of ``train_dataloader.batch_size='auto'``, in place.

    Args:
        cfg: The config.
        meta: What the checkpoint says of itself that is resumed, whose batch size is kept; None for a
            training that begins.
        local_rank: The number of this process' device.

    Returns:
        What was decided, in a line; None where there is nothing to decide.

    Raises:
        UserError: Not even one image fits.
    """
    loader = cfg.train_dataloader
    if loader.get('batch_size') != AUTO:
        return None
    recorded = (meta or {}).get(BATCH_SIZE)
    if recorded:
        loader.batch_size = int(recorded)
        return f'train_batch_size_per_gpu=auto: {recorded}, as the training began with'
    model = training_model(cfg)
    size = training_size(cfg, model)
    if get_device() == 'cpu':
        each, free = bytes_of_image(model, size), available_memory() // processes_on_machine()
        loader.batch_size = min(max(free // 2 // each, 1), _MOST_ON_CPU)
        why = f'{each / 1e6:.0f} MB an image of {size.width}x{size.height}, half of {free / 1e9:.1f} GB'
    else:
        device = torch.device(get_device(), local_rank)
        loader.batch_size = largest_batch(trial(model.to(device), size, device, autocast_dtype(cfg)), _MOST)
        if not loader.batch_size:
            raise UserError(
                f'train_batch_size_per_gpu=auto: not even one image of {size.width}x{size.height} fits into '
                f'the memory of {device}: take a smaller img_scale or model, or free the device'
            )
        why = f'the largest that fits at {size.width}x{size.height}, at most {_MOST}'
    return f'train_batch_size_per_gpu=auto: {loader.batch_size} ({why})'


def training_model(cfg: Config) -> Any:
    """A config's model in training mode, which is not compiled."""
    init_default_scope(cfg.get('default_scope') or 'mmyolox')
    return MODELS.build(dict(cfg.model, compile_network=False, compile_losses=False)).train()


def training_size(cfg: Config, model: Any) -> Size:
    """The largest images of a training, with those that multi-scale training makes.

    Args:
        cfg: The config.
        model: Its model.
    """
    dataset = cfg.train_dataloader.dataset
    sizes = [tuple(value) for path, value in walk(dataset, '') if path.endswith('.img_scale')]
    img_scale = Size(*max(sizes, key=math.prod, default=(640, 640)))
    return max([img_scale, *training_sizes(model, img_scale)], key=math.prod)


def largest_batch(step: Callable[[int], None], most: int) -> int:
    """Finds the largest batch, to an eighth, by doubling and then by halving the interval.

    Args:
        step: Trains a batch of a size; raises PyTorch's error of a device without enough memory.
        most: What is enough.

    Returns:
        The size; 0 if not even one image fits.
    """

    def fits(count: int) -> bool:
        try:
            step(count)
        except RuntimeError as error:
            if 'out of memory' not in str(error).lower():
                raise
            return False
        return True

    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > max(low // 8, 1):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def trial(model: Any, size: Size, device: torch.device, dtype: torch.dtype | None) -> Callable[[int], None]:
    """A function that trains a batch of so many images, in what the device would have free in a training.

    Args:
        model: The model on the device, which nothing else needs.
        size: The size of the images.
        device: The device.
        dtype: That of mixed precision, or None.
    """
    memory = torch.get_device_module(device)
    reserved = int(_HEADROOM * memory.mem_get_info(device)[1]) + _COPIES * bytes_of(model.parameters())

    def step(count: int) -> None:
        gc.collect()
        memory.empty_cache()
        try:
            ballast = torch.empty(reserved, dtype=torch.uint8, device=device)
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                losses = random_losses(model, count, size, device)
            torch.autograd.backward(torch.stack(losses).sum())
            del ballast
        finally:
            model.zero_grad()

    return step


def random_losses(model: Any, count: int, size: Size, device: torch.device) -> list[Tensor]:
    """The losses of a batch of random images with many objects.

    Args:
        model: The model, in training mode.
        count: The number of images.
        size: Their size.
        device: The device of the model.
    """
    inputs = 255 * torch.rand(count, model.input_channels, size.height, size.width, device=device)
    samples = model.bbox_head.random_samples(count, _OBJECTS, size, device)
    return list(model(inputs, samples, mode='loss').values())


def bytes_of_image(model: Any, size: Size) -> int:
    """What the backward pass of an image needs of the forward pass, at most, in bytes.

    Args:
        model: The model on the CPU, in training mode.
        size: The size of the image.
    """
    storages: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        random_losses(model, 1, size, torch.device('cpu'))
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    return sum(storage.nbytes() for pointer, storage in storages.items() if pointer not in weights)


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """The memory of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def autocast_dtype(cfg: Config) -> torch.dtype | None:
    """That of the mixed precision that the config trains in, or None."""
    wrapper = cfg.optim_wrapper
    default = dict(AutocastOptimWrapper='bfloat16', AmpOptimWrapper='float16').get(wrapper.get('type'))
    dtype: torch.dtype | None = getattr(torch, wrapper.get('dtype') or default) if default else None
    return dtype
