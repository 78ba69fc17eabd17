"""tools/misc/print_config.py: what it prints is the resolved config, and mistakes end in one line."""

import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

from tests.tools.tool_loading import TOOLS, load_tool


def test_prints_the_config_with_bases_and_options(run, tmp_path: Path) -> None:
    (tmp_path / 'base.py').write_text('epochs = 3\nhook = dict(at=epochs - 1, every=10)')
    (tmp_path / 'leaf.py').write_text("_base_ = 'base.py'\nhook = dict(every=5)")
    text = run(load_tool('misc/print_config.py'), tmp_path / 'leaf.py', '--cfg-options', 'epochs=9')
    printed = Config.fromstring(text, file_format='.py')
    assert printed.to_dict() == dict(epochs=9, hook=dict(at=8, every=5))


def test_a_warning_is_no_part_of_the_printed_config(run, tmp_path: Path) -> None:
    log = "__import__('mmengine.logging').logging.print_log"
    (tmp_path / 'leaf.py').write_text(f"epochs = 3\nsaid = {log}('careful', 'current', 30)")
    text = run(load_tool('misc/print_config.py'), tmp_path / 'leaf.py')
    assert Config.fromstring(text, file_format='.py').epochs == 3
    assert 'careful' not in text


def test_names_a_config_that_does_not_exist() -> None:
    command = [sys.executable, TOOLS / 'misc/print_config.py', 'no_such_config.py']
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith('error: config no_such_config.py')
    assert len(result.stderr.splitlines()) == 1
