"""What the keypoints of a data set are: names, mirror pairs, lines to draw, and COCO's sigmas.

A :class:`Skeleton` is made of a config's words, of a COCO keypoint file or of a metainfo file of MMPose. What
they do not give is taken from the names of the keypoints, and a warning says so.
"""

import functools
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log

from mmyolox.datasets.coco_file import read_categories
from mmyolox.datasets.yolo_files import DARKNET
from mmyolox.errors import UserError, first_few

from .yolo_skeleton import yolo_parts

COCO_SIGMAS = {
    'nose': 0.026, 'left_eye': 0.025, 'right_eye': 0.025, 'left_ear': 0.035, 'right_ear': 0.035,
    'left_shoulder': 0.079, 'right_shoulder': 0.079, 'left_elbow': 0.072, 'right_elbow': 0.072,
    'left_wrist': 0.062, 'right_wrist': 0.062, 'left_hip': 0.107, 'right_hip': 0.107,
    'left_knee': 0.087, 'right_knee': 0.087, 'left_ankle': 0.089, 'right_ankle': 0.089,
}  # fmt: skip
"""COCO's 17 keypoints of a person, in its order, and their sigmas (cocodataset.org/#keypoints-eval)."""

_SIDES = {
    form(word): form(other)
    for one, two in (('left', 'right'), ('l', 'r'))
    for word, other in ((one, two), (two, one))
    for form in (str.lower, str.upper, str.capitalize)
}
_LEFT = frozenset(word for word in _SIDES if word.lower().startswith('l'))
_UPPER, _LOWER = tuple(COCO_SIGMAS)[:11], tuple(COCO_SIGMAS)[11:]
_COLOURS = dict(left=(0, 255, 0), right=(255, 128, 0), middle=(51, 153, 255))
_PARTS = ('keypoints', 'flip_pairs', 'links', 'sigmas')

Names = tuple[str, ...]


@dataclass(frozen=True)
class Skeleton:
    """The keypoints that all objects of a data set share.

    Attributes:
        names: The K distinct names.
        flip_indices: (K,), which keypoint takes each one's place in a mirror image; its own index for one in
            the middle. Its own inverse.
        links: The lines to draw, as pairs of indices of names.
        sigmas: (K,), how far apart annotators put each keypoint, as a share of the object's size (the square
            root of its area): COCO's constants, of which its evaluation takes twice.
    """

    names: Names
    flip_indices: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> 'Skeleton':
        """Makes a skeleton of what a config says, or a checkpoint.

        Args:
            spec: A dict with ``keypoints``, the names, and optionally ``flip_pairs`` and ``links``, each a
                list of pairs of names, and ``sigmas``, a number above 0 for every name. Instead of the names,
                ``from_file`` may name a COCO keypoint file (``.json``), the YAML file of a YOLO data set, or
                a metainfo file of MMPose; what stands beside it goes before what it says. Without
                ``flip_pairs``, names that differ in left/right or l/r are pairs. Without ``sigmas``, COCO's
                keypoints have COCO's, and others the mean of those. A warning names what was filled in.

        Raises:
            UserError: The parts contradict each other, or the file is of no use.
        """
        if spec is None:  # a plain Config.fromfile of a config that takes it from the data
            raise UserError(
                'skeleton is None: this config takes it from the data: load it by '
                'mmyolox.config.load_config, as the tools do, or set skeleton'
            )
        if not isinstance(spec, Mapping):
            raise UserError(
                f'skeleton={spec!r}: needed is a dict with keypoints (a list of names) or from_file'
            )
        given = dict(spec)
        file = given.pop('from_file', None)
        if file is None:
            return cls._complete(given, 'the config')
        if file.endswith('.json'):
            parts = _category_parts(file)
        else:
            parts = yolo_parts(file) if file.endswith(('.yaml', '.yml', DARKNET)) else read_metainfo(file)
        with _errors_in(file):
            return cls._complete(parts | given, file)

    @classmethod
    def _complete(cls, spec: Mapping[str, Any], source: str) -> 'Skeleton':
        for key in spec:
            if key not in _PARTS:
                raise UserError(
                    f'skeleton has no part {key!r}; its parts are {", ".join(_PARTS)}, or from_file'
                )
        names = _checked_names(spec.get('keypoints'))
        pairs, sigmas = spec.get('flip_pairs'), spec.get('sigmas')
        if pairs is None or sigmas is None:
            tell_defaults(names, pairs is None, () if sigmas is not None else names, source)
        flip_indices = list(range(len(names)))
        for pair in side_pairs(names) if pairs is None else pairs:
            first, second = _indices(pair, names, 'flip_pairs')
            for index in (first, second):
                if flip_indices[index] != index:
                    raise UserError(f'skeleton: flip_pairs has {names[index]} in more than one pair')
            flip_indices[first], flip_indices[second] = second, first
        return cls(
            names,
            tuple(flip_indices),
            tuple(_indices(link, names, 'links') for link in spec.get('links') or ()),
            _checked_sigmas(names, [default_sigma(name) for name in names] if sigmas is None else sigmas),
        )

    def spec(self) -> dict[str, Any]:
        """The dict that :meth:`of` makes this skeleton of: lists, strings and numbers only, none left out."""
        mirrored = [(index, other) for index, other in enumerate(self.flip_indices) if index < other]
        return dict(
            keypoints=list(self.names),
            flip_pairs=[[self.names[index] for index in pair] for pair in mirrored],
            links=[[self.names[index] for index in link] for link in self.links],
            sigmas=list(self.sigmas),
        )


def read_skeleton(ann_file: str) -> dict[str, Any]:
    """The skeleton of a COCO keypoint file: all its categories' keypoints, each name once.

    Or that of a YOLO data set, see :func:`.yolo_skeleton.yolo_parts`.

    Beside COCO's fields of a category, ``keypoints`` (names) and ``skeleton`` (lines, as pairs of indices
    that count from 1), two more are read where they are: ``flip_pairs`` (pairs of names) and ``sigmas``.

    Args:
        ann_file: The JSON file, or the YAML file.

    Returns:
        The complete form for :meth:`Skeleton.of`.

    Raises:
        UserError: The file cannot be read, has no keypoints, or its categories contradict each other.
    """
    return Skeleton.of(dict(from_file=ann_file)).spec()


def read_metainfo(path: str) -> dict[str, Any]:
    """The skeleton of a metainfo file of MMPose (1.x: ``dataset_info``), which need not be installed.

    Args:
        path: The file. If there is none, that of the same name among those of an installed MMPose.

    Returns:
        What :meth:`Skeleton.of` takes, without ``sigmas`` if the file has none.

    Raises:
        UserError: The file is not there or holds no such description.
    """
    files = [Path(path).expanduser()]
    mmpose = find_spec('mmpose')  # importing it would need all that it depends on
    for folder in (mmpose and mmpose.submodule_search_locations) or ():
        files.append(Path(folder, '.mim', 'configs', '_base_', 'datasets', Path(path).name))
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise UserError(f'metainfo file {path} does not exist, nor one of that name in an installed mmpose')
    try:
        info = Config.fromfile(str(file)).dataset_info
        keypoints = list(info['keypoint_info'].values())
        swaps = {keypoint['name']: keypoint.get('swap') or keypoint['name'] for keypoint in keypoints}
        links = [list(link['link']) for link in info.get('skeleton_info', {}).values()]
    except Exception as error:  # the file runs as code: it can fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f'metainfo file {file} holds no dataset_info of MMPose 1.x: {reason}') from error
    for name, other in swaps.items():
        if swaps.get(other) != name:
            raise UserError(f'metainfo file {file}: {name} swaps with {other}, but {other} not with {name}')
    spec = dict(
        keypoints=[keypoint['name'] for keypoint in keypoints],
        flip_pairs=[[name, other] for name, other in swaps.items() if name < other],
        links=links,
    )
    return spec | (dict(sigmas=list(info['sigmas'])) if info.get('sigmas') else {})


def mmpose_metainfo(skeleton: Skeleton, dataset_name: str) -> dict[str, Any]:
    """What MMPose's ``parse_pose_metainfo`` (1.3.2) makes of its file, for its metrics and visualizers.

    All keypoints weigh the same. A colour (RGB) tells left, right and middle apart; upper and lower body are
    known for COCO's names.
    """
    names = skeleton.names
    sides = [side(name) for name in names]
    mirrored = [(other, index) for index, other in enumerate(skeleton.flip_indices) if index != other]
    return dict(
        dataset_name=dataset_name,
        num_keypoints=len(names),
        keypoint_id2name=dict(enumerate(names)),
        keypoint_name2id={name: index for index, name in enumerate(names)},
        upper_body_ids=[index for index, name in enumerate(names) if name in _UPPER],
        lower_body_ids=[index for index, name in enumerate(names) if name in _LOWER],
        flip_indices=list(skeleton.flip_indices),
        flip_pairs=mirrored,
        keypoint_colors=np.array([_COLOURS[side] for side in sides], dtype=np.uint8),
        num_skeleton_links=len(skeleton.links),
        skeleton_links=list(skeleton.links),
        skeleton_link_colors=np.array(
            [_COLOURS[common({sides[end] for end in link})] for link in skeleton.links], dtype=np.uint8
        ).reshape(-1, 3),
        dataset_keypoint_weights=np.ones(len(names), dtype=np.float32),
        sigmas=np.array(skeleton.sigmas, dtype=np.float32),
    )


def default_sigma(name: str) -> float:
    """COCO's sigma of a keypoint of COCO's, for any other name the mean of all (0.0669)."""
    return COCO_SIGMAS.get(name, round(mean(COCO_SIGMAS.values()), 4))


def side_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names that differ in left/right or l/r alone."""
    pairs = [(name, ''.join(_SIDES.get(part, part) for part in _words(name))) for name in names]
    return [(name, other) for name, other in pairs if other in names[list(names).index(name) + 1 :]]


def side(name: str) -> str:
    """Whether a name speaks of ``left`` or ``right``; else ``middle``."""
    return common({'left' if part in _LEFT else 'right' for part in _words(name) if part in _SIDES})


def common(sides: set[str]) -> str:
    """The one side of several things that are on the same, else ``middle``."""
    return sides.pop() if len(sides) == 1 else 'middle'


def _words(name: str) -> list[str]:
    """A name cut into words (letters) and what is between them."""
    return re.split(r'([^a-zA-Z]+)', name)


@functools.cache  # every part of a model and of the data sets makes the skeleton anew
def tell_defaults(names: Names, by_side: bool, guessed: Names, source: str) -> None:
    """Warns, once, of the parts of a skeleton that were not given.

    Args:
        names: The names of all keypoints.
        by_side: Whether the pairs were taken from the names.
        guessed: The keypoints that had no sigma.
        source: The file or the config that describes the skeleton.
    """
    parts = []
    if by_side:
        pairs = ', '.join('/'.join(pair) for pair in side_pairs(names))
        parts.append(f'flip_pairs = left and right in the names ({pairs or "none"})')
    if guessed:
        others = ', '.join(name for name in guessed if name not in COCO_SIGMAS)
        theirs = ["COCO's"] if any(name in COCO_SIGMAS for name in guessed) else []
        means = [f"the mean of COCO's, {default_sigma('')}, for {others}"] if others else []
        parts.append(f'sigmas = {" and ".join(theirs + means)}')
    message = f'skeleton of {source}, what is not given: {", ".join(parts)}'
    print_log(message, 'current', logging.WARNING)


def _category_parts(ann_file: str) -> dict[str, Any]:
    """The union of what the categories say; ``flip_pairs`` and ``sigmas`` are left out if none has any."""
    categories = [category for category in read_categories(ann_file) if category.get('keypoints')]
    if not categories:
        # COCO's two files of a split lie side by side.
        poses = Path(ann_file.replace('instances', 'person_keypoints'))
        is_there = str(poses) != ann_file and poses.is_file()
        named = f', {poses}, by train_ann_file and val_ann_file' if is_there else ''
        raise UserError(
            f"annotation file {ann_file}: no category has a list 'keypoints', so it is a detection file; "
            f"take the data set's keypoint file (COCO's person_keypoints_*.json){named}"
        )
    all_names: dict[str, None] = {}
    pairs: list[tuple[str, str]] = []
    links: list[tuple[str, str]] = []
    sigmas: dict[str, float] = {}
    with _errors_in(ann_file):
        for category in categories:
            names = _checked_names(category['keypoints'])
            all_names |= dict.fromkeys(names)
            own_pairs, own_sigmas = category.get('flip_pairs'), category.get('sigmas')
            for pair in side_pairs(names) if own_pairs is None else own_pairs:
                first, second = _indices(pair, names, 'flip_pairs')
                pairs.append((names[first], names[second]))
            for link in category.get('skeleton') or ():
                if len(link) != 2 or not all(isinstance(end, int) and 1 <= end <= len(names) for end in link):
                    raise UserError(
                        f'skeleton of category {category.get("name")}: {link!r} is no pair of numbers of its '
                        f'{len(names)} keypoints, which count from 1'
                    )
                links.append((names[link[0] - 1], names[link[1] - 1]))
            if own_sigmas is not None:
                for name, sigma in zip(names, _checked_sigmas(names, own_sigmas), strict=True):
                    if sigmas.setdefault(name, sigma) != sigma:
                        raise UserError(
                            f'{name} has sigma {sigmas[name]:g} in one category and {sigma:g} in another'
                        )
    parts: dict[str, Any] = dict(keypoints=tuple(all_names), links=_distinct(links))
    if any(category.get('flip_pairs') is not None for category in categories):
        parts['flip_pairs'] = _distinct(pairs)
    if sigmas:
        guessed = tuple(name for name in all_names if name not in sigmas)
        if guessed:
            tell_defaults(tuple(all_names), False, guessed, ann_file)
        parts['sigmas'] = [sigmas.get(name, default_sigma(name)) for name in all_names]
    return parts


def _distinct(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each pair once, whichever way round."""
    return list({frozenset(pair): pair for pair in pairs}.values())


def _checked_names(names: Any) -> Names:
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f'skeleton: keypoints={names!r}: needed is a list with at least one name')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'skeleton: keypoints names {", ".join(twice)} more than once')
    return tuple(names)


def _indices(pair: Sequence[str], names: Names, key: str) -> tuple[int, int]:
    """Turns a pair of names into one of indices."""
    if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
        raise UserError(f'skeleton: {key} has {pair!r}; needed is a pair of two different keypoints')
    for name in pair:
        if name not in names:
            raise UserError(
                f'skeleton: {key} names {name!r}, which is none of the keypoints {first_few(names, 5)}'
            )
    return names.index(pair[0]), names.index(pair[1])


def _checked_sigmas(names: Names, sigmas: Sequence[float]) -> tuple[float, ...]:
    if len(sigmas) != len(names):
        raise UserError(f'skeleton: {len(sigmas)} sigmas for {len(names)} keypoints; each needs one')
    for name, sigma in zip(names, sigmas, strict=True):
        if not (isinstance(sigma, int | float) and isfinite(sigma) and sigma > 0):
            raise UserError(f'skeleton: sigmas has {sigma!r} for {name}; needed is a number above 0')
    return tuple(float(sigma) for sigma in sigmas)


@contextmanager
def _errors_in(file: str) -> Iterator[None]:
    """Names the file in errors about its content."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{file}: {error}') from error
