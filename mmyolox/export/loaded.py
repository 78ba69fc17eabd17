"""A loaded graph of any runtime, as :class:`mmyolox.deploy.ExportedModel` runs them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.runtimes import Array
from mmyolox.utils.files import atomic_write

FLOAT32 = np.dtype(np.float32)


@dataclass
class LoadedGraph:
    """A :class:`~mmyolox.deploy.runtimes.Runtime` made of a function.

    Attributes:
        compute: Maps a batch to the outputs.
        input_shape: Of the batch; None for an axis of any length.
        metadata: The JSON text of a :class:`~mmyolox.deploy.ModelInfo`.
        output_names: Of what ``compute`` returns.
        input_dtype: Of the batch.
        input_name: Of the batch.
    """

    compute: Callable[[Array], list[Array]]
    input_shape: tuple[int | None, ...]
    metadata: str | None
    output_names: tuple[str, ...] = ('output',)
    input_dtype: np.dtype = FLOAT32
    input_name: str = 'images'

    def run(self, batch: Array) -> list[Array]:
        """The outputs for a batch."""
        return self.compute(batch)


def write_sidecar(path: Path, info: ModelInfo) -> None:
    """Writes ``NAME.json`` beside an exported file that holds no metadata of its own."""
    with atomic_write(path.with_suffix('.json')) as part:
        part.write_text(info.to_json(), encoding='utf-8')


def read_sidecar(path: Path) -> ModelInfo:
    """Reads ``NAME.json`` beside an exported file."""
    return ModelInfo.from_json(path.with_suffix('.json').read_text(encoding='utf-8'))
