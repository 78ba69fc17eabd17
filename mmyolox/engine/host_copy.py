"""Looking at what a device computes without stopping it."""

from collections.abc import Mapping

import torch
from torch import Tensor


class DeviceMark:
    """A point in the work that was given to a device.

    Args:
        device: where; a CPU has always come so far.
    """

    def __init__(self, device: torch.device) -> None:
        self._event = None if device.type == 'cpu' else torch.get_device_module(device).Event()
        if self._event is not None:
            self._event.record()

    def is_reached(self) -> bool:
        """Whether the device has come so far; asks without waiting."""
        return self._event is None or bool(self._event.query())

    def wait(self) -> None:
        """Waits until the device has come so far, not for what it was given since."""
        if self._event is not None:
            self._event.synchronize()


class HostCopy:
    """Scalars on their way to the host.

    ``Tensor.item()`` waits for all that the device has to do. This copies behind the work of now; who
    looks an iteration later finds the values there, and the device at work on the next batch.

    Args:
        scalars: tensors of one element on one device, at least one.
    """

    def __init__(self, scalars: Mapping[str, Tensor]) -> None:
        self._names = list(scalars)
        stacked = torch.stack([value.detach().reshape(()) for value in scalars.values()])
        self._values = stacked.to('cpu', non_blocking=True)  # into pinned memory, by PyTorch itself
        self._mark = DeviceMark(stacked.device)

    def wait(self) -> dict[str, float]:
        """The values, by name."""
        self._mark.wait()
        return dict(zip(self._names, self._values.tolist(), strict=True))
