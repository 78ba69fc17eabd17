"""Files of the same content, found without reading most of them."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from .workers import Progress, in_threads

_END = 4096
"""Images of one camera begin alike, and end as their pixels do."""
_BLOCK = 2**20


def first_of_content(paths: Sequence[str], lengths: Sequence[int], progress: Progress) -> NDArray[np.int64]:
    """Finds files of the same content.

    Those of one length are compared by their ends, and those of one end by the hash of all.

    Args:
        paths: The N files, each once.
        lengths: Their lengths in bytes; 0 for those that are left out.
        progress: Shows how far it is.

    Returns:
        (N,) int64, for every file the first one that has its content, which may be itself.
    """
    groups = _groups(range(len(paths)), lambda index: lengths[index] or None)
    for digest in (_digest_of_end, _digest):
        members = [index for group in groups for index in group]
        digests = in_threads(digest, [paths[index] for index in members], progress, 'files of one length')
        keys = dict(zip(members, digests, strict=True))
        groups = [
            part
            for group in groups
            for part in _groups(group, keys.get)  # of one length
        ]
    firsts = np.arange(len(paths))
    for group in groups:
        firsts[group] = group[0]
    return firsts


def _groups(indices: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """The indices of one key, where there are several; those of the key None are left out."""
    groups = defaultdict(list)
    for index in indices:
        groups[key(index)].append(index)
    groups.pop(None, None)
    return [group for group in groups.values() if len(group) > 1]


def _digest_of_end(path: str) -> bytes | None:
    try:
        with open(path, 'rb', buffering=0) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _END, 0))
            return blake2b(file.read(_END), digest_size=16).digest()
    except OSError:
        return None


def _digest(path: str) -> bytes | None:
    digest = blake2b(digest_size=16)
    try:
        with open(path, 'rb', buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()
