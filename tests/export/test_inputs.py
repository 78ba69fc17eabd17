"""Images as graphs take them, to calibrate and verify with."""

import numpy as np
import pytest

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.letterbox import Size, letterbox
from mmyolox.export.inputs import graph_input

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)


@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
@pytest.mark.parametrize('preprocessing', [False, True])
def test_an_image_as_the_graph_takes_it(colour, preprocessing):
    info = ModelInfo(('a',), (64, 96), colour=colour, preprocessing=preprocessing, pad_value=7)
    given = graph_input(IMAGE, info)
    ordered = IMAGE[..., ::-1] if colour == 'rgb' else IMAGE
    wanted = ordered if preprocessing else letterbox(ordered, Size(96, 64), 7).transpose(2, 0, 1)
    assert given.dtype == (np.uint8 if preprocessing else np.float32)
    assert given.flags.c_contiguous
    np.testing.assert_array_equal(given, wanted[None])
