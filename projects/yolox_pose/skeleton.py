"""What the keypoints of a data set are: names, mirror pairs, lines to draw, and COCO's sigmas."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any

import numpy as np

from mmyolox.config.classes import brief, read_categories
from mmyolox.errors import UserError

from .mmpose_file import read_metainfo
from .skeleton_defaults import COCO_SIGMAS, common, default_sigma, side, side_pairs, tell_defaults

_UPPER, _LOWER = tuple(COCO_SIGMAS)[:11], tuple(COCO_SIGMAS)[11:]
_COLOURS = dict(left=(0, 255, 0), right=(255, 128, 0), middle=(51, 153, 255))

Names = tuple[str, ...]


@dataclass(frozen=True)
class Skeleton:
    """The keypoints that all objects of a data set share.

    Attributes:
        names: K distinct names.
        flip_indices: (K,) which keypoint takes each one's place in a mirror image; its own index for one in
            the middle. Its own inverse.
        links: The lines to draw, as pairs of indices of names.
        sigmas: (K,) how far apart annotators put each keypoint, as a share of the object's size (the square
            root of its area): COCO's constants, of which its evaluation takes twice.
    """

    names: Names
    flip_indices: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> 'Skeleton':
        """Make a skeleton of what a config says, or a checkpoint.

        Args:
            spec: ``keypoints``, the names, and optionally ``flip_pairs`` and ``links``, each a list of pairs
                of names, and ``sigmas``, a number above 0 for every name. Instead of the names,
                ``from_file`` may name a COCO keypoint file (``.json``) or a metainfo file of MMPose; what
                stands beside it goes before what it says. Without ``flip_pairs``, names that differ in
                left/right or l/r are pairs. Without ``sigmas``, COCO's keypoints have COCO's, and others the
                mean of those. A warning names what was filled in.

        Raises:
            UserError: The parts contradict each other, or the file is of no use.
        """
        if not isinstance(spec, Mapping):
            raise UserError(
                f'skeleton={spec!r}: needed is a dict with keypoints (a list of names) or from_file'
            )
        given = dict(spec)
        file = given.pop('from_file', None)
        if file is None:
            return cls._complete(given, 'the config')
        parts = _category_parts(file) if file.endswith('.json') else read_metainfo(file)
        with _errors_in(file):
            return cls._complete(parts | given, file)

    @classmethod
    def _complete(cls, spec: Mapping[str, Any], source: str) -> 'Skeleton':
        _check_keys(spec)
        names = _checked_names(spec.get('keypoints'))
        pairs, sigmas = spec.get('flip_pairs'), spec.get('sigmas')
        if pairs is None or sigmas is None:
            tell_defaults(names, pairs is None, () if sigmas is not None else names, source)
        return cls(
            names,
            _flip_indices(names, side_pairs(names) if pairs is None else pairs),
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

    Beside COCO's fields of a category, ``keypoints`` (names) and ``skeleton`` (lines, as pairs of indices
    that count from 1), two more are read where they are: ``flip_pairs`` (pairs of names) and ``sigmas``.

    Args:
        ann_file: The JSON file.

    Returns:
        The complete form for :meth:`Skeleton.of`.

    Raises:
        UserError: The file cannot be read, has no keypoints, or its categories contradict each other.
    """
    return Skeleton.of(dict(from_file=ann_file)).spec()


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


def _category_parts(ann_file: str) -> dict[str, Any]:
    """The union of what the categories say; ``flip_pairs`` and ``sigmas`` are left out if none has any."""
    categories = [category for category in read_categories(ann_file) if category.get('keypoints')]
    if not categories:
        raise UserError(
            f"annotation file {ann_file}: no category has a list 'keypoints', so it is a detection file; "
            "take the data set's keypoint file (COCO's person_keypoints_*.json)"
        )
    with _errors_in(ann_file):
        own = [_checked_names(category['keypoints']) for category in categories]
        names = tuple(dict.fromkeys(chain(*own)))
        pairs, sigmas = _merged_pairs(categories), _merged_sigmas(categories)
        links = [link for category in categories for link in _named_links(category)]
        parts: dict[str, Any] = dict(keypoints=names, links=_distinct(links))
    if pairs is not None:
        parts['flip_pairs'] = pairs
    if sigmas:
        guessed = [name for name in names if name not in sigmas]
        if guessed:
            tell_defaults(names, False, guessed, ann_file)
        parts['sigmas'] = [sigmas.get(name, default_sigma(name)) for name in names]
    return parts


def _merged_pairs(categories: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]] | None:
    """What the categories give, and for those that do not the pairs by side; None if none gives any."""
    if all(category.get('flip_pairs') is None for category in categories):
        return None
    found: list[tuple[str, str]] = []
    for category in categories:
        names, pairs = tuple(category['keypoints']), category.get('flip_pairs')
        found += side_pairs(names) if pairs is None else _named_pairs(pairs, names)
    return _distinct(found)


def _merged_sigmas(categories: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for category in categories:
        if category.get('sigmas') is None:
            continue
        names = tuple(category['keypoints'])
        for name, sigma in zip(names, _checked_sigmas(names, category['sigmas']), strict=True):
            if found.setdefault(name, sigma) != sigma:
                raise UserError(f'{name} has sigma {found[name]:g} in one category and {sigma:g} in another')
    return found


def _distinct(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each pair once, whichever way round."""
    return list({frozenset(pair): pair for pair in pairs}.values())


def _named_pairs(pairs: Sequence[Sequence[str]], names: Names) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        first, second = _indices(pair, names, 'flip_pairs')
        yield names[first], names[second]


def _named_links(category: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A category's lines; COCO counts keypoints from 1."""
    names = category['keypoints']
    for link in category.get('skeleton') or ():
        if len(link) != 2 or not all(isinstance(end, int) and 1 <= end <= len(names) for end in link):
            raise UserError(
                f'skeleton of category {category.get("name")}: {link!r} is no pair of numbers of its '
                f'{len(names)} keypoints, which count from 1'
            )
        yield names[link[0] - 1], names[link[1] - 1]


def _check_keys(spec: Mapping[str, Any]) -> None:
    known = ('keypoints', 'flip_pairs', 'links', 'sigmas')
    for key in spec:
        if key not in known:
            raise UserError(f'skeleton has no part {key!r}; its parts are {", ".join(known)}, or from_file')


def _checked_names(names: Any) -> Names:
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f'skeleton: keypoints={names!r}: needed is a list with at least one name')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'skeleton: keypoints names {", ".join(twice)} more than once')
    return tuple(names)


def _indices(pair: Sequence[str], names: Names, key: str) -> tuple[int, int]:
    """Turn a pair of names into one of indices."""
    if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
        raise UserError(f'skeleton: {key} has {pair!r}; needed is a pair of two different keypoints')
    for name in pair:
        if name not in names:
            raise UserError(f'skeleton: {key} names {name!r}, which is none of the keypoints {brief(names)}')
    return names.index(pair[0]), names.index(pair[1])


def _flip_indices(names: Names, pairs: Iterable[Sequence[str]]) -> tuple[int, ...]:
    flipped = list(range(len(names)))
    for pair in pairs:
        first, second = _indices(pair, names, 'flip_pairs')
        for index in (first, second):
            if flipped[index] != index:
                raise UserError(f'skeleton: flip_pairs has {names[index]} in more than one pair')
        flipped[first], flipped[second] = second, first
    return tuple(flipped)


def _checked_sigmas(names: Names, sigmas: Sequence[float]) -> tuple[float, ...]:
    if len(sigmas) != len(names):
        raise UserError(f'skeleton: {len(sigmas)} sigmas for {len(names)} keypoints; each needs one')
    for name, sigma in zip(names, sigmas, strict=True):
        if not (isinstance(sigma, int | float) and isfinite(sigma) and sigma > 0):
            raise UserError(f'skeleton: sigmas has {sigma!r} for {name}; needed is a number above 0')
    return tuple(float(sigma) for sigma in sigmas)


@contextmanager
def _errors_in(file: str) -> Iterator[None]:
    """Name the file in errors about its content."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{file}: {error}') from error
