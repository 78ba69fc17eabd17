"""Writes the layouts of MindYOLO's YOLOX and of the model zoo's; runs in the environment that has MindSpore.

    .venv-parity/mindspore/bin/python benchmarks/parity/mindspore_keys.py FILE ZOO

ZOO is the folder ``official/cv/YOLOX`` of the zoo's repository. The converter's tests read the file
(``tests/checkpoints/test_mindspore_source.py``).
"""

import sys
from pathlib import Path

import layout_file
from mindspore import nn
from mindspore_peer import FACTORS, build_mindyolo, build_zoo


def layout(model: nn.Cell) -> layout_file.Layout:
    """Name -> shape of everything that ``mindspore.save_checkpoint`` stores of a model."""
    return {parameter.name: tuple(parameter.shape) for parameter in model.get_parameters()}


def main(path: str, zoo: str) -> None:
    """Builds every model."""
    layouts = {f'mindyolo {size}': layout(build_mindyolo(size)[0]) for size in FACTORS}
    layouts |= {f'zoo {size}': layout(build_zoo(size, zoo)[0]) for size in ('darknet53', 'x')}
    layout_file.write(layouts, Path(path))


if __name__ == '__main__':
    main(*sys.argv[1:])
