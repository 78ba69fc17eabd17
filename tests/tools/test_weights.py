"""tools/misc/weights.py: the table of published weights, and files for a machine without network."""

import pytest

from mmyolox.errors import UserError
from tests.checkpoints.web import serving
from tests.tools.tool_loading import load_tool

tool = load_tool('misc/weights.py')


@pytest.fixture
def web(tmp_path, monkeypatch):
    with serving() as server:
        monkeypatch.setenv('MMYOLOX_WEIGHTS_URL', server.address)
        monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path))
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        server.files['/yolox_s.pth'] = bytes(1_500_000)
        yield server


def test_named_weights_are_downloaded_and_listed_as_such(run, web, tmp_path):
    assert run(tool, 'yolox_s') == f'{tmp_path}/weights/yolox_s.pth\n'  # alone, for a script that takes it
    lines = [line.split() for line in run(tool).splitlines()]
    assert lines[0] == ['name', 'source', 'licence', 'AP', 'kind', 'downloaded']
    assert ['yolox_s', 'Megvii', 'Apache-2.0', '40.5', 'box', '1.5', 'MB'] in lines
    assert ['yolox-pose_s', 'MMYOLO', 'GPL-3.0', '63.7', 'keypoint', 'no'] in lines
    assert len(lines) == 1 + 19 + 1


def test_nothing_is_downloaded_if_one_name_is_unknown(run, web):
    with pytest.raises(UserError, match='no weights yolox_z are published; did you mean yolox_'):
        run(tool, 'yolox_s', 'yolox_z')
    assert web.asked == []
