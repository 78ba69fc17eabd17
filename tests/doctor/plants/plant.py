"""A fault to plant in the small data set."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mmyolox.doctor.examined import Plan
from tests.doctor.small_set import IMG_SCALE, SmallSet


@dataclass(frozen=True)
class Plant:
    """A fault.

    Attributes:
        plant: Plants exactly this fault.
        format: The format of the data set.
        keypoints: Whether it is the data set of people with keypoints.
        siblings: Other checks that cannot but find something, too.
        plan: The training that the data are for.
        count: How many are found.
    """

    plant: Callable[[SmallSet], None]
    format: str = 'coco'
    keypoints: bool = False
    siblings: frozenset[str] | set[str] = frozenset()
    plan: Plan = field(default_factory=lambda: Plan(IMG_SCALE))
    count: int = 1
