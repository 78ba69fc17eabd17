"""OpenVINO reports to nobody without the user's consent."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import mmyolox.deploy
import openvino
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
"""


@pytest.mark.parametrize(
    ('consent', 'module'),
    [(None, 'openvino.tools.ovc.telemetry_stub'), ('0', 'stub'), ('1', 'openvino_telemetry')],
)
def test_telemetry_needs_consent(tmp_path, consent, module):
    if find_spec('openvino') is None:
        pytest.skip('OpenVINO is not installed')
    if consent is not None:
        (tmp_path / 'intel').mkdir()
        (tmp_path / 'intel/openvino_telemetry').write_text(consent)
    env = {**os.environ, 'HOME': str(tmp_path)}
    run = subprocess.run([sys.executable, '-c', CODE], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith(module)
    assert consent is not None or not list(tmp_path.iterdir())
