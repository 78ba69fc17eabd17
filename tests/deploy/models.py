"""Exported files that tests make: small graphs, and a network with random weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.decode import prior_count
from mmyolox.deploy.info import METADATA_KEY

SMALL = ModelInfo(('cat', 'dog'), (64, 96), score_thr=0.3)


def rows_of(info: ModelInfo, *found: tuple[float, ...]) -> np.ndarray:
    """Rows (N, 5 + C + 3P) in which nothing is found but what is given, one a row."""
    columns = 5 + len(info.classes) + 3 * len(info.points)
    rows = np.zeros((prior_count(info.size, info.strides), columns), np.float32)
    for index, row in enumerate(found):
        rows[index, : len(row)] = row
    return rows


def write_graph(
    path: Path,
    outputs: dict[str, np.ndarray],
    info: ModelInfo | None = SMALL,
    shape: tuple = ('batch', 3, 64, 96),
    opset: int = 17,
    ir_version: int = 8,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """An ONNX file that returns the same outputs for every image; each output lacks the axis of the batch."""
    nodes = [
        helper.make_node('Shape', ['images'], ['count'], start=0, end=1),
        *(
            node
            for name, value in outputs.items()
            for node in (
                helper.make_node('Concat', ['count', f'{name}_ones'], [f'{name}_repeats'], axis=0),
                helper.make_node('Tile', [f'{name}_value', f'{name}_repeats'], [name]),
            )
        ),
    ]
    constants = [
        tensor
        for name, value in outputs.items()
        for tensor in (
            onnx.numpy_helper.from_array(np.ones(np.ndim(value), np.int64), f'{name}_ones'),
            onnx.numpy_helper.from_array(np.asarray(value)[None], f'{name}_value'),
        )
    ]
    returned = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), ['batch', *np.shape(value)]
        )
        for name, value in outputs.items()
    ]
    taken = [helper.make_tensor_value_info('images', dtype, shape)]
    graph = helper.make_graph(nodes, 'small', taken, returned, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=ir_version)
    if info is not None:
        helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, path)
    return path
