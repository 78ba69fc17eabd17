"""What splits are called in the names of files, folders, lists and keys."""

import re
from collections.abc import Iterable

SPLITS = dict(
    train=('train', 'trainval', 'training', 'trn'),
    val=('val', 'valid', 'validation', 'dev', 'eval'),
    test=('test', 'testing', 'tst'),
)
"""The splits, with what they are called, the likeliest first; all in lower case."""

_ONLY = 'default'
"""What CVAT calls the only split."""

_SPLIT_WORDS = {word: split for split, words in SPLITS.items() for word in words}


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
