"""What tests of skeletons share."""

import pytest

from mmyolox.projects.yolox_pose import skeleton_defaults


@pytest.fixture
def notices(monkeypatch):
    """What is told of skeletons that had to be completed."""
    lines = []
    monkeypatch.setattr(skeleton_defaults, 'print_log', lambda line, *_: lines.append(line))
    skeleton_defaults._tell_once.cache_clear()
    return lines
