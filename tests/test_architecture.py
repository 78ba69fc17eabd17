"""Rules that keep the project readable."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = sorted([*(ROOT / 'configs').glob('[!_]*/*.py'), *(ROOT / 'projects').glob('*/configs/*.py')])


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob('*.py'))


def imported_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or '' for node in nodes if isinstance(node, ast.ImportFrom)}


def test_core_does_not_import_projects():
    offenders = {
        path.relative_to(ROOT): name
        for path in modules('mmyolox')
        for name in imported_names(path)
        if 'projects' in name.split('.')
    }
    assert not offenders


def test_nothing_needs_torchvision():
    offenders = [
        path
        for folder in ('mmyolox', 'tools', 'projects')
        for path in modules(folder)
        if 'torchvision' in imported_names(path)
    ]
    assert not offenders


def test_files_are_short():
    long = {
        path.relative_to(ROOT): count
        for folder in ('mmyolox', 'tools', 'configs', 'benchmarks', 'projects')
        for path in modules(folder)
        if (count := len(path.read_text(encoding='utf-8').splitlines())) > 500
    }
    assert not long


def test_functions_are_short():
    long = {
        f'{path.relative_to(ROOT)}:{node.name}': node.end_lineno - node.lineno + 1
        for folder in ('mmyolox', 'tools', 'projects')
        for path in modules(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno + 1 - (ast.get_docstring(node) or '').count('\n') > 60
    }
    assert not long


def base_files(path: Path) -> list[Path]:
    match = re.search(
        r'^_base_ = (\[.*?\]|\'.*?\')', path.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE
    )
    if not match:
        return []
    bases = ast.literal_eval(match.group(1))
    return [(path.parent / base).resolve() for base in ([bases] if isinstance(bases, str) else bases)]


def depth(path: Path) -> int:
    return 1 + max((depth(base) for base in base_files(path)), default=0)


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda path: path.stem)
def test_leaf_configs_are_short_and_shallow(leaf):
    lines = [
        line for line in leaf.read_text(encoding='utf-8').splitlines() if line.strip() and line[0] != '#'
    ]
    assert len(lines) <= 22
    assert depth(leaf) <= 3


def test_no_code_names_a_device():
    pattern = re.compile(r"""\.cuda\(|['"]cuda['":]|['"]npu['":]""")
    offenders = [path for path in modules('mmyolox') if pattern.search(path.read_text(encoding='utf-8'))]
    assert not offenders
