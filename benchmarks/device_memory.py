"""The memory that trainings need on an accelerator, computed without one, beside what was published.

    python benchmarks/device_memory.py [--config CONFIG ...]

Images are those of the largest size of multi-scale training, with 100 objects each. Published is what
MMYOLO's own trainings logged, of the metafiles; it does not say at which of the sizes.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from side_by_side import table

ROOT = Path(__file__).parents[1]
METAFILES = ('configs/yolox/metafile.yml', 'projects/yolox_pose/configs/metafile.yml')
FLOAT32 = ('yolox_tiny_fast_8xb8-300e_coco',)
"""Was trained without mixed precision, as its authors say."""


def published() -> dict[str, float | None]:
    """What was published of all recipes on COCO, in GiB, by config."""
    from mmengine.fileio import load

    models = [model for path in METAFILES for model in load(str(ROOT / path))['Models']]
    names = {model['Name']: model['Metadata'].get('Training Memory (GB)') for model in models}
    return {name: memory for name, memory in names.items() if name.endswith('_coco')}


def row(name: str, theirs: float | None) -> list[str]:
    """A config's row."""
    from mmyolox.config import load_config
    from mmyolox.engine.device_memory import training_memory

    cfg: Any = load_config(name)
    if name not in FLOAT32:
        cfg.optim_wrapper.update(type='AutocastOptimWrapper')
    memory = training_memory(cfg)
    width, height = memory.size
    dtype = str(memory.dtype or 'float32').removeprefix('torch.')
    cfg.model.recompute_norms = True
    anew = training_memory(cfg).total
    state = memory.total - memory.activations
    parts = [f'{size / 2**30:.1f}' for size in (state, memory.activations, memory.total, anew)]
    return [name, f'{memory.images} x {width} x {height}', dtype, *parts, str(theirs or '-')]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--config', nargs='+', help='some of our recipes on COCO; default: all')
    args = parser.parse_args()
    logging.disable(logging.INFO)
    known = published()
    rows = [row(name, known.get(name)) for name in args.config or known]
    heads = [
        'GiB',
        'batch',
        'type',
        'weights, average, gradients, moments',
        'activations',
        'in all',
        'recompute_norms',
        'published',
    ]
    print(table(heads, rows))


if __name__ == '__main__':
    main()
