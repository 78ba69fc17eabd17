"""What `max_shrink`, decoding JPEG files smaller where they are shown smaller, changes and saves.

    python benchmarks/reduced_decoding.py --data-root path/to/coco

Draws the same training samples with every `max_shrink`: the geometry is the same, the pixels differ by what
full decoding with bilinear interpolation leaves out and the JPEG decoder averages. With ``--picture`` some
samples are drawn side by side: full, shrunk, and four times the difference.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SHRINKS = (1, 2, 4, 8)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='pixel error and speed of reduced JPEG decoding')
    parser.add_argument('--data-root', required=True, help="a folder in COCO's layout")
    parser.add_argument('--config', default='yolox_s_fast_8xb8-300e_coco')
    parser.add_argument('--samples', type=int, default=200)
    parser.add_argument('--picture', type=Path, help='write a picture of samples here')
    return parser.parse_args()


def make_dataset(config: str, data_root: str, max_shrink: int) -> Any:
    """The training data of a config, geometry only."""
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config
    from mmyolox.registry import DATASETS

    cfg = load_config(config, dict(data_root=data_root, max_shrink=max_shrink))
    init_default_scope('mmyolox')
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step['type'] != 'YOLOXHSVRandomAug']
    built = DATASETS.build(dataset)
    built.set_draw_key(0, 0)
    return built


def compare(datasets: dict[int, Any], count: int) -> list[np.ndarray]:
    """Prints a row for each dataset; returns the first samples, each with all ways side by side."""
    times: dict[int, list[float]] = {shrink: [] for shrink in datasets}
    errors: dict[int, list[np.ndarray]] = {shrink: [] for shrink in datasets}
    pictures = []
    for i in range(count):
        images = {}
        for shrink, dataset in datasets.items():
            start = time.perf_counter()
            sample = dataset[i % len(dataset)]
            times[shrink].append(time.perf_counter() - start)
            images[shrink] = sample['inputs'].transpose(1, 2, 0).astype(int)
            errors[shrink].append(np.abs(images[shrink] - images[1]).ravel())
        if len(pictures) < 4 and errors[8][-1].any():
            difference = (4 * np.abs(images[8] - images[1])).clip(0, 255)
            pictures.append(np.hstack([images[1], images[8], difference]).astype(np.uint8))
    print('| max_shrink | ms a sample | samples that differ | mean error of those | its 99th percentile |')
    print('|---|---|---|---|---|')
    for shrink in datasets:
        changed = [error for error in errors[shrink] if error.any()] or [np.zeros(1)]
        values = np.concatenate(changed)
        print(
            f'| {shrink} | {1000 * median(times[shrink]):.1f} | {len(changed) * (shrink > 1) / count:.0%} '
            f'| {values.mean():.2f} | {np.percentile(values, 99):.0f} |'
        )
    return pictures


def main() -> None:
    args = parse_args()
    import cv2

    from mmyolox.apis.drawing import write_image

    cv2.setNumThreads(0)
    datasets = {shrink: make_dataset(args.config, args.data_root, shrink) for shrink in SHRINKS}
    pictures = compare(datasets, args.samples)
    if args.picture:
        write_image(args.picture, np.vstack(pictures))
        print(f'{args.picture}: full decoding, max_shrink=8, and four times the difference')


if __name__ == '__main__':
    main()
