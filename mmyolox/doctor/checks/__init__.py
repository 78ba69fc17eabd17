"""All checks, a module a subject."""

from collections.abc import Iterable
from types import ModuleType

from mmyolox.doctor.check import Check

from . import boxes, classes, duplicates, files, fit, images, keypoints, pairs, reading, shapes, splits

MODULES: tuple[ModuleType, ...] = (
    reading,
    files,
    images,
    duplicates,
    splits,
    boxes,
    pairs,
    shapes,
    keypoints,
    classes,
    fit,
)
"""The modules of checks, in the order in which findings of one severity are told."""


def collect(modules: Iterable[ModuleType]) -> dict[str, Check]:
    """The checks of some modules by name, in their order.

    They are what the decorator made in a module, and those in its list ``CHECKS``.

    Raises:
        ValueError: Two have one name.
    """
    checks: dict[str, Check] = {}
    for module in modules:
        made = [value for value in vars(module).values() if isinstance(value, Check)]
        for one in (*made, *getattr(module, 'CHECKS', ())):
            if one.name in checks:
                raise ValueError(f'two checks are called {one.name}')
            checks[one.name] = one
    return checks


CHECKS = collect(MODULES)
