"""Images that look alike: encoded anew, resized, brightened, or pictures of one scene a moment apart.

They are compared by the two-dimensional cosine transform of small grey pictures. The signs of its low
frequencies change little between copies, as in perceptual hashes (Zauner, 2010), and find the pairs to look
at: those that agree in a table of a few signs (locality-sensitive hashing, Indyk and Motwani, 1998). What
decides is the correlation of all but the lowest frequencies, which a horizon or a bright middle make alike in
images of different things.

The bounds come from 603 photographs of streets, rooms, animals and blood cells. Of 180,000 pairs, the likest
of different scenes correlate by 0.69. Copies of JPEG quality 10 and 30, of half and a quarter of the size,
squeezed to a square, in grey, blurred, with noise, brighter by a tenth or darker by a third correlate by more
than 0.96; those brighter by a quarter or without a fiftieth at each border by 0.9 in 99 of 100 cases.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 16
"""The small pictures are so wide and high."""

LIKENESS = 0.9
"""The correlation from which on images count as near copies."""

_FREQUENCIES = np.add.outer(np.arange(SIDE), np.arange(SIDE))
_IS_DETAIL = _FREQUENCIES >= 4
_IS_SIGN = (_FREQUENCIES >= 1) & (_FREQUENCIES <= 8)
_MOST_CHANGED = 12
"""Of the 44 signs, so many may differ: of two images that are unlike, half of them do."""
_TABLES, _SIGNS = 24, 14
"""Of copies with 4 changed signs 2 of 10,000 agree in no table, with 8 changed ones 1 of 10."""
_REACH = 256
"""In a table, an image is compared with so many that follow: where nearly all are alike, not with all."""
_LEAST_DETAIL = 5.0
"""Grey levels, the standard deviation of the detail (photographs: 7 and more); below, a spot decides."""
_BLOCK = 2**14

_ANGLES = np.pi * np.outer(np.arange(SIDE), 2 * np.arange(SIDE) + 1) / (2 * SIDE)
_COSINES = np.where(np.arange(SIDE)[:, None] == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE) * np.cos(_ANGLES))
_COSINES = _COSINES.astype(np.float32)
"""The orthonormal cosine transform."""

_BITS = np.array([number.bit_count() for number in range(2**16)], np.uint8)


def near_groups(thumbs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Groups images that look alike, without comparing all of them with each other.

    Args:
        thumbs: (N, SIDE, SIDE), the images in grey.

    Returns:
        (N,) int64, the first image of each one's group. Two images of a group may be alike by others between
        them; the time grows as N where images differ.
    """
    signs = _signs(thumbs)
    codes = signs @ (1 << np.arange(signs.shape[1], dtype=np.int64))
    groups = np.arange(len(thumbs))
    random = np.random.default_rng(0)
    for _ in range(_TABLES):
        chosen = random.choice(signs.shape[1], _SIGNS, replace=False)
        keys = signs[:, chosen] @ (1 << np.arange(_SIGNS, dtype=np.int64))
        order = np.lexsort((codes, keys))
        firsts: NDArray[np.int64] = np.arange(max(len(order) - 1, 0))
        for distance in range(1, _REACH + 1):
            firsts = firsts[firsts + distance < len(order)]
            firsts = firsts[keys[order[firsts]] == keys[order[firsts + distance]]]
            if not len(firsts):
                break
            _join(thumbs, codes, order[firsts], order[firsts + distance], groups)
    return groups


def nearest(thumbs: NDArray[np.uint8], others: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray]:
    """Finds for N images the one of M others that it resembles most.

    Args:
        thumbs: (N, SIDE, SIDE).
        others: (M, SIDE, SIDE), at least one.

    Returns:
        (N,) int64, the other one, and (N,) float32, the correlation with it, -1 to 1.
    """
    indices = np.empty(len(thumbs), np.int64)
    likeness = np.full(len(thumbs), -2, np.float32)
    for first in range(0, len(thumbs), _BLOCK // 8):
        part = slice(first, first + _BLOCK // 8)
        own = _detail(thumbs[part])
        for other_first in range(0, len(others), _BLOCK):
            products = own @ _detail(others[other_first : other_first + _BLOCK]).T
            best = products.argmax(1)
            values = products[np.arange(len(own)), best]
            indices[part] = np.where(values > likeness[part], best + other_first, indices[part])
            likeness[part] = np.maximum(values, likeness[part])
    return indices, likeness


def _join(
    thumbs: NDArray[np.uint8],
    codes: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> None:
    """Joins in place the groups of those of P pairs of images that look alike.

    Args:
        thumbs: (N, SIDE, SIDE).
        codes: (N,) the signs as bits.
        first: (P,) the one image of each pair.
        second: (P,) the other.
        groups: (N,) the first image of each one's group.
    """
    changed = codes[first] ^ codes[second]
    counts = sum(_BITS[(changed >> shift) & 0xFFFF].astype(np.int64) for shift in (0, 16, 32))
    chosen = np.flatnonzero((counts <= _MOST_CHANGED) & (groups[first] != groups[second]))
    for begin in range(0, len(chosen), _BLOCK):
        part = chosen[begin : begin + _BLOCK]
        products = (_detail(thumbs[first[part]]) * _detail(thumbs[second[part]])).sum(1)
        for index in part[products >= LIKENESS].tolist():
            one, other = sorted((groups[first[index]], groups[second[index]]))
            groups[groups == other] = one


def _transformed(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _COSINES @ thumbs.astype(np.float32) @ _COSINES.T


def _signs(thumbs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N, 44) the signs of the low frequencies, 1 where positive."""
    parts = [
        _transformed(thumbs[first : first + _BLOCK])[:, _IS_SIGN] > 0
        for first in range(0, len(thumbs), _BLOCK)
    ]
    return np.concatenate([np.empty((0, int(_IS_SIGN.sum())), np.bool_), *parts]).astype(np.int64)


def _detail(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 246) the frequencies that decide, of length 1; 0 where there is too little of them."""
    detail = _transformed(thumbs)[:, _IS_DETAIL]
    lengths = np.linalg.norm(detail, axis=1, keepdims=True)
    return np.where(lengths >= _LEAST_DETAIL * SIDE, detail / np.maximum(lengths, 1e-9), 0)
