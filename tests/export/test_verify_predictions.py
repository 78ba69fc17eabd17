"""Which batches the predictions of all priors are compared on."""

import numpy as np
import pytest
import torch

from mmyolox.deploy import ExportedModel
from mmyolox.deploy.runtimes import Runtime
from mmyolox.export.description import describe
from mmyolox.export.inputs import made_images
from mmyolox.export.network import ExportNetwork
from mmyolox.export.verify import compare
from tests.export.models import options, shared_detector

MODEL_INPUT = (64, 96)


@pytest.mark.parametrize(
    ('asked', 'wanted'),
    [
        (dict(batch=2), [(2, 3, 64, 96)] * 2),
        (dict(batch=2, dynamic_batch=True), [(3, 3, 64, 96)]),
        (dict(dynamic_size=True), [(1, 3, 96, 160)] * 3),
        (dict(dynamic_batch=True, dynamic_size=True), [(2, 3, 96, 160)] * 2),
    ],
    ids=str,
)
@pytest.mark.parametrize(('column', 'figure'), [(0, 'box_predictions'), (4, 'score_predictions')])
def test_other_shapes_are_tried_and_every_batch_counts(asked, wanted, column, figure):
    """What is wrong in the first batch alone is found too."""
    model, chosen = shared_detector(), options(MODEL_INPUT, form='raw', **asked)
    network = ExportNetwork(model, chosen).eval()
    shapes = []

    def compute(batch):
        predictions = network(torch.from_numpy(batch)).numpy().copy()
        if not shapes:
            predictions[0, 0, column] = np.sign(predictions[0, 0, column]) * (
                np.abs(predictions[0, 0, column]) + 100
            )
        shapes.append(batch.shape)
        return [predictions]

    size = (None, None) if chosen.dynamic_size else chosen.size.shape_hw
    shape = (None if chosen.dynamic_batch else chosen.batch, 3, *size)
    runtime = Runtime(compute, shape, describe(model, chosen).to_json())
    report = compare(model, ExportedModel('a.any', runtime=runtime), chosen, made_images(MODEL_INPUT, 3, 3))
    assert shapes[: len(wanted)] == wanted
    assert getattr(report, figure) > 10
    assert 'largest difference of a prediction' in report.fault()
