"""Loads a data set, starts workers and measures memory; ``worker_memory.py`` starts it.

    python worker_memory_peer.py ours|mmdet

Linux only: what a process has to itself and what it shares is read from ``/proc``.
"""

import multiprocessing
import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from side_by_side import serve
from torch.utils.data import DataLoader, Dataset


def load_ours(ann_file: str) -> Dataset:
    """Our data set without a pipeline."""
    from mmyolox.datasets import YOLOXCocoDataset

    # With backend_args, image files are not looked for.
    dataset: Dataset = YOLOXCocoDataset(ann_file=ann_file, backend_args=dict(backend='local'), pipeline=[])
    return dataset


def load_mmdet(ann_file: str) -> Dataset:
    """MMDetection's data set without a pipeline, and with its filter as in its configs."""
    import peers

    peers.prepare_mmyolo()
    from mmdet.datasets import CocoDataset

    names = tuple(f'class{label}' for label in range(80))
    dataset: Dataset = CocoDataset(
        ann_file=ann_file, metainfo=dict(classes=names), data_prefix=dict(img=''), pipeline=[]
    )
    return dataset


def megabytes(path: Path, *fields: str) -> float:
    """The sum of some fields of a file below ``/proc``."""
    lines = dict(line.split(':') for line in path.read_text().splitlines() if ':' in line)
    return sum(int(lines[field].split()[0]) for field in fields) / 1024


def usage(pid: int) -> dict[str, float]:
    """``own``: memory that no other process has; ``share``: that, and its share of what several have."""
    path = Path('/proc', str(pid), 'smaps_rollup')
    return dict(own=megabytes(path, 'Private_Clean', 'Private_Dirty'), share=megabytes(path, 'Pss'))


def measure(ann_file: str, workers: int, samples: int) -> dict[str, Any]:
    """Loads, has each worker read samples in random order, and measures while they live."""
    start = time.perf_counter()
    dataset = LOADERS[sys.argv[1]](ann_file)
    loading = dict(seconds=time.perf_counter() - start, peak=megabytes(Path('/proc/self/status'), 'VmHWM'))
    alone = usage(os.getpid())
    torch.manual_seed(0)
    # Only the number of samples comes back: what is measured is the annotations.
    loader = DataLoader(
        dataset, 10, shuffle=True, num_workers=workers, collate_fn=len, multiprocessing_context='fork'
    )
    batches = iter(loader)
    for _ in islice(batches, workers * samples // 10):
        pass
    in_workers = [usage(child.pid) for child in multiprocessing.active_children() if child.pid]
    return dict(loading=loading, alone=alone, parent=usage(os.getpid()), workers=in_workers)


LOADERS = dict(ours=load_ours, mmdet=load_mmdet)

if __name__ == '__main__':
    serve(measure)
