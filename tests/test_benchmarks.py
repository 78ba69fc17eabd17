"""Benchmarks that need what this machine may not have still run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_on_a_cpu_and_goes_on_where_it_was_cut_off(tmp_path):
    path = tmp_path / 'gpu.json'
    options = ['--device', 'cpu', '--tiny', '--no-compile', '--no-mmdet', '--no-tests', '--out', path]
    command = list(map(str, [sys.executable, ROOT / 'benchmarks' / 'gpu.py', *options]))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    whole = json.loads(path.read_text())
    figures = {(name, row): found for name, rows in whole['tables'].items() for row, found in rows.items()}
    assert len(figures) == 10
    failed = [row for (_, row), found in figures.items() if 'failed' in found]
    assert all(row.startswith('TensorRT') for row in failed), whole
    assert all(min(found.values()) > 0 for found in figures.values() if 'failed' not in found)
    del whole['tables']['matching and losses'], whole['tables']['prediction']['ours, s']
    whole['tables']['training']['ours, s, 2']['ms'] = 12345.0
    path.write_text(json.dumps(whole))
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    again = json.loads(path.read_text())['tables']
    assert again['training'] == whole['tables']['training']
    assert done.stdout.count(' ...') == 2
    assert '| 12345 |' in path.with_suffix('.md').read_text()


def test_figures_of_another_machine_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    from gpu_results import Results

    results = Results(tmp_path / 'gpu.json', dict(device='one'))
    results.add('training', 's', lambda: {'ms': 2.0})
    results.add('training', 'x', lambda: 1 / 0)
    again = Results(tmp_path / 'gpu.json', dict(device='one'))
    again.add('training', 's', lambda: {'ms': 3.0})
    assert again.figure('training', 's', 'ms') == 2.0
    assert again.figure('training', 'x', 'ms') is None
    assert 'training, x: failed, ZeroDivisionError: division by zero' in again.markdown()
    with pytest.raises(SystemExit, match=r'gpu\.json holds figures of .*one.*another file with --out'):
        Results(tmp_path / 'gpu.json', dict(device='two'))
