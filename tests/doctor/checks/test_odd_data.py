"""No check fails on odd data: what it cannot tell, it leaves out."""

import numpy as np
import pytest

from mmyolox.doctor.checks import CHECKS
from mmyolox.doctor.diagnosis import diagnose
from mmyolox.doctor.examined import Plan
from mmyolox.doctor.raw import Skeleton
from tests.doctor.made_data import Made, examined

NAN, INF = float('nan'), float('inf')
NAMES = ['a.jpg', '<b>&amp;.jpg', 'ä\udc80\n.jpg', 'c.jpg']
ODD_BOXES = [
    (0, 0, NAN, 0, 10, 10),
    (0, 0, -INF, -INF, INF, INF),
    (1, 1, 5, 5, 5, 5),
    (1, 1, 9, 9, 5, 5),
    (2, 0, 1e300, 0, 1e308, 10),
    (2, 0, 0, 0, 1, 1),
    (3, 1, -50, -50, 9000, 9000),
]
ODD_POINTS = [
    [[NAN, NAN, NAN]] * 3,
    [[NAN, 3, 2], [INF, -INF, 1], [0, 0, 0]],
    [[0, 0, 2]] * 3,
    [[1e30, 1, 2], [1, 1, -1], [1, 1, NAN]],
    [[0, 0, 0]] * 3,
    [[0.5, 0.5, 1]] * 3,
    [[5, 5, 2.5], [5, 5, 2], [5, 5, 2]],
]
CFG = dict(
    train_dataloader=dict(batch_size=8, dataset=dict(metainfo=dict(classes=['cat', 'dog']))),
    train_cfg=dict(max_epochs=50),
    model=dict(test_cfg=dict(max_per_img=1), bbox_head=dict(head_module=dict(num_classes=2))),
)
TWO_EYES = Skeleton(('nose', 'left_eye', 'right_eye'), ((1, 2),))
FLAT = Skeleton(('nose',), ((4, 5),))

CASES = {
    'nothing': examined({}),
    'no images': examined({'train': Made([]), 'val': Made([])}),
    'no classes': examined({'train': Made(NAMES), 'val': Made(NAMES)}, classes=()),
    'no boxes': examined({'train': Made(NAMES), 'val': Made(NAMES)}, Plan(cfg=CFG)),
    'a test alone': examined({'test': Made(NAMES, ODD_BOXES)}, Plan(cfg=CFG)),
    'odd boxes': examined({'train': Made(NAMES, ODD_BOXES), 'val': Made(NAMES, ODD_BOXES)}, Plan(cfg=CFG)),
    'no sizes': examined({'train': Made(NAMES, ODD_BOXES, (0, 0)), 'val': Made(NAMES, [], (0, 0))}),
    'one pixel': examined({'train': Made(NAMES, ODD_BOXES, (1, 1))}),
    'odd keypoints': examined({'train': Made(NAMES, ODD_BOXES, keypoints=ODD_POINTS)}, skeleton=TWO_EYES),
    'a short skeleton': examined({'train': Made(NAMES, ODD_BOXES, keypoints=ODD_POINTS)}, skeleton=FLAT),
    'no keypoint': examined({'train': Made(NAMES, ODD_BOXES, keypoints=np.empty((7, 0, 3)))}),
}


@pytest.mark.parametrize('name', CASES)
@pytest.mark.filterwarnings('error')
def test_no_check_fails(name):
    diagnosis = diagnose(CASES[name], CHECKS.values())
    assert not diagnosis.failed, '\n'.join(diagnosis.failed.values())
    for finding in diagnosis.findings:
        assert all(str(example).isprintable() for example in finding.found.examples), finding.check.name
