"""Splits: what they are called, and how one is cut by image, the same on every machine, without a copy."""

import os.path as osp
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256

from mmyolox.errors import UserError, did_you_mean

SPLITS = dict(
    train=('train', 'trainval', 'training', 'trn'),
    val=('val', 'valid', 'validation', 'dev', 'eval'),
    test=('test', 'testing', 'tst'),
)
"""The splits, with what they are called, the likeliest first; all in lower case."""

_ONLY = 'default'
"""What CVAT calls the only split."""

_SPLIT_WORDS = {word: split for split, words in SPLITS.items() for word in words}

_COPY = re.compile(r'\.rf\.[0-9a-zA-Z]{16,64}(?=\.[^.]*$)')
"""What tells the copies apart that Roboflow augments from one image."""

UNSPLIT = 'no list or folder of a split, all images taken for training'
"""The note on a data set that has no splits."""


@dataclass(frozen=True)
class Fold:
    """One of several ways to divide images into held-out ones and the rest.

    Images are ranked by a hash of the seed and their file name, and dealt to ``count`` parts in turn, so that
    the parts are as even as can be and depend neither on the order of the images nor on the machine. Copies
    of one image that Roboflow augmented (``a_jpg.rf.0123....jpg``) stay together.

    Attributes:
        count: The number of parts.
        index: The part that is held out, from 0.
        seed: The seed of the hash.
        held_out: Whether the held-out images are meant, else all others.
    """

    count: int
    index: int
    seed: int
    held_out: bool

    @classmethod
    def of(cls, spec: Mapping[str, int]) -> 'Fold':
        """The fold that a config describes by the names of the attributes; ``index`` and ``seed`` may lack.

        Raises:
            UserError: A name or a value is wrong.
        """
        names = [field.name for field in fields(cls)]
        for name in spec:
            if name not in names:
                raise UserError(
                    f'fold has no {name!r}{did_you_mean(name, names)} (it has {", ".join(names)})'
                )
        for name in ('count', 'held_out'):
            if name not in spec:
                raise UserError(f'fold={dict(spec)} lacks {name!r}')
        whole = dict(index=0, seed=0) | dict(spec)
        if any(type(whole[name]) is not int for name in ('count', 'index', 'seed')):
            raise UserError(f'fold={dict(spec)}: count, index and seed must be whole numbers')
        if whole['count'] < 2 or not 0 <= whole['index'] < whole['count']:
            raise UserError(
                f'fold={dict(spec)}: count must be at least 2, and index be from 0 to {whole["count"] - 1}'
            )
        return cls(whole['count'], whole['index'], whole['seed'], bool(whole['held_out']))

    def chosen(self, names: Sequence[str]) -> list[int]:
        """The indices of the images that are meant, in their order.

        Args:
            names: The names of the N image files; the same name twice is the same image.

        Raises:
            UserError: All images would be held out, or none.
        """
        images: defaultdict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(names):
            images[without_copy_mark(name)].append(number)
        ranked = sorted(images, key=lambda name: (self._hash(name), name))
        held_out = {number for name in ranked[self.index :: self.count] for number in images[name]}
        if not 0 < len(held_out) < len(names):
            raise UserError(
                f'{len(images)} images cannot be split into a part to train on and one of {self.count} that '
                'is held out: at least one is needed in each'
            )
        return [number for number in range(len(names)) if (number in held_out) == self.held_out]

    def _hash(self, name: str) -> bytes:
        return sha256(f'{self.seed}:{name}'.encode('utf-8', 'surrogateescape')).digest()


def without_copy_mark(name: str) -> str:
    """The name of an image file without what tells the copies apart that Roboflow augments from one image."""
    return _COPY.sub('', name)


def image_names(img_paths: Iterable[str], root: str | None) -> list[str]:
    """The names by which images are ranked and listed: relative to the data's root, divided by ``/``.

    They do not depend on how the root is written: ``data``, ``./data`` or an absolute path.

    Args:
        img_paths: The paths of the images.
        root: The data's root, if there is one.
    """
    if not root:
        return [path.replace('\\', '/') for path in img_paths]
    base, whole = osp.join(root, ''), osp.join(osp.abspath(root), '')
    inside = ((path, osp.abspath(path)) for path in img_paths)
    names = (
        full.removeprefix(whole) if full.startswith(whole) else path.removeprefix(base)
        for path, full in inside
    )
    return [name.replace('\\', '/') for name in names]


def usual_split(split: str, there: Iterable[str]) -> str | None:
    """The list or folder of a split.

    Args:
        split: A key of :data:`SPLITS`.
        there: The names of all lists or folders, in upper or lower case.

    Returns:
        One of ``there``; None if none of them is called like the split.
    """
    by_lower_case = {name.lower(): name for name in sorted(there)}
    words = (*SPLITS[split], _ONLY) if split == 'train' else SPLITS[split]
    return next((by_lower_case[word] for word in words if word in by_lower_case), None)


def split_named(name: str) -> str | None:
    """The split that a name of a file or folder speaks of: ``'instances_val2017'`` of ``'val'``.

    Returns:
        ``'train'``, ``'val'`` or ``'test'``; None where it speaks of none, or of several.
    """
    splits = {_SPLIT_WORDS[word] for word in _words(name) if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def without_split(name: str) -> str:
    """What is left of a name when the word for its split is taken out, the same for those of one set."""
    return ' '.join(word for word in _words(name) if word not in _SPLIT_WORDS)


def _words(name: str) -> list[str]:
    return re.findall(r'[a-z]+|\d+', re.sub(r'([a-z])([A-Z])', r'\1 \2', name).lower())
