"""What processes have of their shares of a data set, put together in its order by the main one."""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather, is_main_process
from numpy.typing import NDArray

_PIECE = 2**22
"""How many numbers of each process are exchanged at a time."""


def gather_rows(rows: NDArray) -> list[NDArray]:
    """Gathers the rows that processes have, as arrays through what joins them: no objects, no shared folder.

    Args:
        rows: (n, C) numbers; n may differ. A process without rows need not know C.

    Returns:
        The rows of each process on the main one, an empty list on the others, which at no time have more
        than a piece of all.
    """
    sizes = torch.stack(all_gather(torch.tensor(rows.shape))).numpy()
    longest, columns = sizes.max(0).tolist()
    gathered: list[list[NDArray]] = [[np.empty((0, columns), rows.dtype)] for _ in sizes]
    step = max(_PIECE // max(columns, 1), 1)
    for start in range(0, longest, step):
        piece = np.zeros((min(step, longest - start), columns), rows.dtype)
        own = rows[start : start + step]
        if len(own):
            piece[: len(own)] = own
        everyone = all_gather(torch.from_numpy(piece))
        if is_main_process():
            for parts, count, part in zip(gathered, sizes[:, 0].tolist(), everyone, strict=True):
                parts.append(part.numpy()[: max(count - start, 0)])
    return [np.concatenate(parts) for parts in gathered] if is_main_process() else []


def gather_samples(samples: Sequence[tuple[int, NDArray]], size: int) -> list[tuple[int, NDArray]]:
    """Gathers what processes have of each sample of a data set.

    Args:
        samples: Those that this process has seen, in their order: its number, and rows (n, C) float32
            of it. C is the same everywhere.
        size: The number of samples of the data set.

    Returns:
        All samples in the order of the data set on the main process, an empty list on the others.
    """
    heads = np.array([(number, len(rows)) for number, rows in samples], np.int64).reshape(-1, 2)
    values = np.concatenate([rows for _, rows in samples] or [np.empty((0, 0), np.float32)])
    shares = []
    for head, rows in zip(gather_rows(heads), gather_rows(values), strict=True):
        ends = np.cumsum(head[:, 1])
        shares.append(
            [
                (number, rows[end - count : end])
                for (number, count), end in zip(head.tolist(), ends.tolist(), strict=True)
            ]
        )
    return in_order(shares, size)


def in_order(shares: Sequence[Iterable[Any]], size: int) -> list[Any]:
    """Puts samples in the order of the data set, of which the samplers give each process every so many-th.

    Args:
        shares: What each process has, none of it None.
        size: The number of samples of the data set. What is beyond comes from samples that are drawn again,
            so that all processes have as many.
    """
    return [one for one in chain.from_iterable(zip_longest(*shares)) if one is not None][:size]
