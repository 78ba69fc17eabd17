"""tools/analysis_tools/plot_curves.py: the picture of a work dir."""

import json

import pytest

from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

tool = load_tool('analysis_tools/plot_curves.py')


@pytest.mark.parametrize('out', [None, 'other.png'])
def test_writes_a_picture(run, tmp_path, out):
    folder = tmp_path / '20250101_000000' / 'vis_data'
    folder.mkdir(parents=True)
    folder.joinpath('scalars.json').write_text(json.dumps(dict(loss=1.0, loss_cls=0.5, step=10)))
    printed = run(tool, tmp_path, *(['--out', tmp_path / out] if out else []))
    picture = tmp_path / (out or 'curves.png')
    assert printed == f'2 losses and 0 APs: {picture}\n'
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_no_work_dir(run, tmp_path):
    with pytest.raises(UserError, match='absent: has no'):
        run(tool, tmp_path / 'absent')
