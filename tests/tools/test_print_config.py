"""tools/misc/print_config.py: what it prints is the resolved config, and mistakes end in one line."""

import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

TOOL = Path(__file__).parents[2] / 'tools/misc/print_config.py'


def run_tool(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True)


def test_prints_the_config_with_bases_and_options(tmp_path: Path) -> None:
    (tmp_path / 'base.py').write_text('epochs = 3\nhook = dict(at=epochs - 1, every=10)')
    (tmp_path / 'leaf.py').write_text("_base_ = 'base.py'\nhook = dict(every=5)")
    result = run_tool(tmp_path / 'leaf.py', '--cfg-options', 'epochs=9')
    assert result.returncode == 0
    printed = Config.fromstring(result.stdout, file_format='.py')
    assert printed.to_dict() == dict(epochs=9, hook=dict(at=8, every=5))


def test_names_a_config_that_does_not_exist() -> None:
    result = run_tool('no_such_config.py')
    assert result.returncode == 1
    assert result.stderr.startswith('error: config no_such_config.py')
    assert len(result.stderr.splitlines()) == 1
