"""Detections with keypoints."""

from typing import Any

from mmengine.structures import InstanceData


class PoseInstances(InstanceData):
    """Detections of an image that metrics see as NumPy arrays, and all others as tensors.

    MMPose's metrics expect arrays, which its own models give them. MMEngine hands every metric
    :meth:`to_dict` of a sample.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, tensors as arrays on the host."""
        return InstanceData.to_dict(self.numpy())
