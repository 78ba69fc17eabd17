"""Rules that keep the project readable."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = sorted([*(ROOT / 'configs').glob('[!_]*/*.py'), *(ROOT / 'projects').glob('*/configs/*.py')])

ORDER = (
    ('errors', 'version', 'nms'),
    ('compat', 'tool_parser'),
    ('deploy', 'extensions', 'fake_device', 'files', 'utils'),
    ('curves', 'registry', 'pages'),
    ('datasets',),
    ('config',),
    ('models',),
    ('checkpoints',),
    ('analysis', 'doctor'),
    ('report',),
    ('engine', 'evaluation'),
    ('apis',),
    ('export',),
    ('__main__',),
)
"""The rooms of the package, the lowest floor first; a room knows only those below it."""
FLOORS = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob('*.py'))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def line_count(path: Path) -> int:
    return len(path.read_text(encoding='utf-8').splitlines())


def is_packaged(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return parts[0] in ('mmyolox', 'projects') and not {'tests', 'configs'}.intersection(parts)


def is_room(path: Path) -> bool:
    return (path.suffix == '.py' and path.name != '__init__.py') or (path / '__init__.py').is_file()


def is_documented(node: ast.AST) -> bool:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def code_lines(tree: ast.Module) -> int:
    """Lines that hold code: no blanks, comments or docstrings."""
    prose: set[int] = set()
    for node in filter(is_documented, ast.walk(tree)):
        prose.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt | ast.expr) and node.lineno not in prose
        for line in range(node.lineno, node.end_lineno + 1)
    }
    return len(lines - prose)


def imported_names(path: Path) -> set[str]:
    nodes = list(ast.walk(parse(path)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or '' for node in nodes if isinstance(node, ast.ImportFrom)}


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the package that a module imports, inside functions too."""
    package = ('mmyolox', *path.relative_to(ROOT / 'mmyolox').parts[:-1])
    targets: list[list[str]] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            targets += [alias.name.split('.') for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = list(package[: len(package) - node.level + 1]) if node.level else []
            stem = start + (node.module or '').split('.') if node.module else start
            targets += [[*stem, alias.name] for alias in node.names]
    return {target[1] for target in targets if target[0] == 'mmyolox' and target[1:2] and target[1] in FLOORS}


def test_core_does_not_know_projects():
    """Not by an import, and not by a name in a string either; prose may speak of them."""
    pattern = re.compile(r'[\w.]*\bprojects\b[\w./*]*')
    offenders = {}
    for path in modules('mmyolox'):
        tree = parse(path)
        prose = {id(node.body[0].value) for node in ast.walk(tree) if is_documented(node)}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
            if is_text and pattern.fullmatch(node.value):
                offenders[path.relative_to(ROOT), node.lineno] = node.value
        for name in imported_names(path):
            if 'projects' in name.split('.'):
                offenders[path.relative_to(ROOT), name] = name
    assert not offenders


def test_nothing_needs_torchvision():
    offenders = [
        path
        for folder in ('mmyolox', 'tools', 'projects')
        for path in modules(folder)
        if 'torchvision' in imported_names(path)
    ]
    assert not offenders


@pytest.mark.parametrize('path', modules('mmyolox'), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_packages_import_downwards_only(path):
    own = path.relative_to(ROOT / 'mmyolox').parts[0].removesuffix('.py')
    above = {
        target
        for target in imported_rooms(path)
        if target != own and FLOORS.get(target, 0) >= FLOORS.get(own, len(ORDER))
    }
    assert not above


def test_the_floors_are_those_of_the_package():
    rooms = {path.name.removesuffix('.py') for path in (ROOT / 'mmyolox').iterdir() if is_room(path)}
    assert rooms == {room for floor in ORDER for room in floor}


def test_files_are_neither_long_nor_cut_too_finely():
    faces = {'__init__.py', 'errors.py', 'registry.py', 'version.py'}
    code = [path for folder in ('mmyolox', 'tools', 'projects', 'benchmarks') for path in modules(folder)]
    long = {path.relative_to(ROOT): count for path in code if (count := line_count(path)) > 500}
    package = [path for path in code if is_packaged(path) and path.name not in faces]
    short = {path.relative_to(ROOT): count for path in package if (count := code_lines(parse(path))) < 30}
    assert not long
    assert not short


def test_utils_hide_nothing():
    utils = [path for path in modules('mmyolox/utils') if path.name != '__init__.py']
    assert len(utils) <= 6
    assert sum(map(line_count, utils)) <= 400


def test_functions_are_short():
    long = {
        f'{path.relative_to(ROOT)}:{node.name}': node.end_lineno - node.lineno + 1
        for folder in ('mmyolox', 'tools', 'projects')
        for path in modules(folder)
        for node in functions(parse(path))
        if node.end_lineno - node.lineno + 1 - (ast.get_docstring(node) or '').count('\n') > 60
    }
    assert not long


@pytest.mark.parametrize('folder', ['mmyolox', 'projects'])
def test_functions_name_ideas(folder):
    """Of all functions, at most a tenth are private and called at a single place."""
    trees = [parse(path) for path in modules(folder) if is_packaged(path)]
    names = Counter(node.name for tree in trees for node in functions(tree))
    uses = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    once = [
        name
        for name, count in names.items()
        if name.startswith('_') and not name.startswith('__') and count == 1 and uses[name] == 1
    ]
    assert len(once) <= names.total() / 10, once


@pytest.mark.parametrize('page', sorted((ROOT / 'docs').glob('*.md')), ids=lambda path: path.name)
def test_files_that_the_docs_name_exist(page):
    text = page.read_text(encoding='utf-8')
    named = re.findall(r'`((?:mmyolox|projects|configs|tools|tests|benchmarks)/[\w./-]+\.\w+)`', text)
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


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


def test_what_is_installed_names_no_page_that_is_not():
    """A wheel has configs and tools, and no `docs`: messages say themselves what to do."""
    folders = ('mmyolox', 'tools', 'projects', 'configs')
    files = [path for folder in folders for path in modules(folder) if 'tests' not in path.parts]
    assert not [path for path in files if 'docs/' in path.read_text(encoding='utf-8')]


def test_opencv_opens_no_files():
    """A name that is not UTF-8 ends the process in its functions of paths; `apis/video.py` asks before."""
    functions = re.compile(r'cv2\.(im(read|write|count)\w*|haveImageReader|FileStorage|samples)\b')
    folders = ('mmyolox', 'tools', 'projects', 'benchmarks', 'docs')
    files = [path for folder in folders for path in modules(folder) if 'tests' not in path.parts]
    assert not [path for path in files if functions.search(path.read_text(encoding='utf-8'))]
