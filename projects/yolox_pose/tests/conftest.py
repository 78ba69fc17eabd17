"""What tests of skeletons and data sets share."""

import pytest

from mmyolox.projects.yolox_pose import skeleton
from mmyolox.projects.yolox_pose.tests.files import open_pose, write_pose


@pytest.fixture
def notices(monkeypatch):
    """What is told of skeletons that had to be completed."""
    lines = []
    monkeypatch.setattr(skeleton, 'print_log', lambda line, *_: lines.append(line))
    skeleton.tell_defaults.cache_clear()
    return lines


@pytest.fixture
def make(tmp_path):
    """Writes the content of a keypoint file and opens its data set."""

    def build(content, **kwargs):
        return open_pose(write_pose(tmp_path, content), **kwargs)

    return build
