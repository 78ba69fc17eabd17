"""Changing a config's variables where they are assigned, so that all that is computed from them follows.

In MMEngine ``max_epochs = 300`` is an ordinary Python variable that other expressions read
(``T_max=max_epochs - 15``, ``data_root + 'train.json'``). Setting it from the command line, or in a file
that inherits from this one, changes the variable after everything was computed: nothing else moves. Here
the files of the ``_base_`` chain are copied to a folder, each assignment of such a variable is followed by
one of the new value, and MMEngine reads the copies.
"""

import ast
import re
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeGuard

from mmengine.config import Config
from mmengine.config.config import BASE_KEY

from mmyolox.errors import UserError

from .elsewhere import hint_of_exp, is_exp

FindBase = Callable[[str, Path], tuple[Path, str | None]]

_CONSTANT_NODES = (
    ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.keyword, ast.UnaryOp, ast.BinOp, ast.operator,
    ast.unaryop, ast.expr_context,
)  # fmt: skip
_OWN_SCOPE = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip
_SCOPE_SHIM = """_base_ = {path!r}
globals().update(
    (key, __import__('mmengine').Config._dict_to_config_dict(value, {scope!r}))
    for key, value in _base_.items())
"""

Edit = tuple[int, int, str]
"""Replace the bytes from the first to the second offset by the text."""


@dataclass
class ConfigFile:
    """One file of a config's ``_base_`` chain.

    Attributes:
        path: The path of the file, absolute.
        text: Its content, with ``{{fileDirname}}`` filled in.
        tree: Its syntax tree; empty for files without variables (JSON, YAML, ``read_base()`` configs).
        bases: The files it inherits from, each with the package it was named with (``mmdet`` in
            ``mmdet::...``, in whose registries MMEngine searches its types), None for a plain path.
    """

    path: Path
    text: str
    tree: ast.Module
    bases: list[tuple['ConfigFile', str | None]]

    def assigned(self) -> set[str]:
        """The names that this file binds at top level to something else than a dict."""
        return {name for node in self.tree.body if not _is_dict(node) for name in _bound_names(node)}

    def constants(self) -> dict[str, Any]:
        """The names whose last binding in this file is an expression of constants, with their values."""
        constants: dict[str, Any] = {}
        for node in self.tree.body:
            names = _bound_names(node)
            for name in names:
                constants.pop(name, None)
            if not isinstance(node, ast.Assign) or not all(isinstance(to, ast.Name) for to in node.targets):
                continue
            if _is_constant(node.value):
                with suppress(ArithmeticError, TypeError, ValueError):  # named when the file is evaluated
                    value = eval(compile(ast.Expression(node.value), str(self.path), 'eval'), {})
                    constants |= dict.fromkeys(names, value)
        return constants

    def read_here(self) -> set[str]:
        """The names that this file reads of itself."""
        nodes = ast.walk(self.tree)
        return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}

    def read_of_bases(self) -> set[str]:
        """The names that this file reads of those below: ``_base_.name``, ``'{{_base_.name}}'``."""
        names = {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}
        return names.union(re.findall(r'\{\{\s*_base_\.(\w+)', self.text))

    def only_changed_in_bases(self) -> set[str]:
        """The variables of the files below that this one changes (``_base_.name = 3``) and reads nowhere."""
        changed = {
            id(node): node.attr
            for statement in self.tree.body
            for part in _changed_parts(statement)
            for node in ast.walk(part)
            if _is_of_base(node)
        }
        read = {node.attr for node in ast.walk(self.tree) if _is_of_base(node) and id(node) not in changed}
        return {
            name for name in set(changed.values()) - read if any(one.binds(name) for one, _ in self.bases)
        }

    def read(self) -> set[str]:
        """The variables read here and in the files below."""
        own = self.read_here() | self.read_of_bases()
        return own.union(*(base.read() for base, _ in self.bases))

    def files(self) -> Iterator['ConfigFile']:
        """This file and all below."""
        yield self
        for base, _ in self.bases:
            yield from base.files()

    def unread(
        self, read: Set[str], used: Set[str], above: Set[str] = frozenset()
    ) -> Iterator[tuple['ConfigFile', str]]:
        """The variables that files assign without any effect.

        What a file assigns is read in itself or by those that inherit from it; an expression of constants
        that is no dict also in those that it inherits from.

        Args:
            read: The variables that are read anywhere in the chain, or for what is read from the data.
            used: The names that are used without being read, by the Runner for one.
            above: Those that the files read that inherit from this one.
        """
        handed_down = read & self.assigned() & self.constants().keys()
        names: set[str] = set().union(*map(_bound_names, self.tree.body))
        for name in sorted(names - self.read_here() - above - handed_down - used - {BASE_KEY}):
            yield self, name
        for base, _ in self.bases:
            yield from base.unread(read, used, above | self.read_of_bases())

    def assigns(self, name: str) -> bool:
        """Whether this file or one below binds ``name`` to something else than a dict."""
        return name in self.assigned() or any(base.assigns(name) for base, _ in self.bases)

    def binds(self, name: str) -> bool:
        """Whether this file or one below binds ``name``, to a dict or anything else."""
        is_here = any(name in _bound_names(node) for node in self.tree.body)
        return is_here or any(base.binds(name) for base, _ in self.bases)

    def depth_of(self, name: str) -> float:
        """How many steps down the chain ``name`` first gets a value other than None; infinite if never."""
        if name in self.assigned() and self.constants().get(name, ...) is not None:
            return 0
        return 1 + min((base.depth_of(name) for base, _ in self.bases), default=float('inf'))


def read_chain(path: Path, find_base: FindBase, above: tuple[Path, ...] = ()) -> ConfigFile:
    """Reads a config file and all that it inherits from.

    Args:
        path: The file, absolute.
        find_base: What turns an entry of ``_base_`` and the file it stands in into a path and a scope.
        above: The files that led here, to notice one that inherits from itself.

    Raises:
        UserError: A file is absent, is no valid Python, or inherits from itself,
            or is an Exp file.
    """
    if path in above:
        raise UserError(f'config {path} inherits from itself')
    if not path.is_file():
        raise UserError(f'config {path} does not exist' + (f' (a base of {above[-1]})' if above else ''))
    # Escapes that are the same in Python and JSON.
    folder = re.sub(
        '[\\\\\'"\n\ud800-\udfff]', lambda found: f'\\u{ord(found[0]):04x}', path.parent.as_posix()
    )
    text = re.sub(r'\{\{\s*fileDirname\s*\}\}', lambda _: folder, path.read_text(encoding='utf-8'))
    try:
        tree = ast.parse(text if path.suffix == '.py' else '')
        has_variables = path.suffix == '.py' and not Config._is_lazy_import(str(path))
    except SyntaxError as error:
        raise UserError(f'config {path}, line {error.lineno}: {error.msg}') from error
    if is_exp(tree):
        raise UserError(f'config {path} {hint_of_exp(tree)}')
    if not has_variables:
        return ConfigFile(path, text, ast.Module([], []), [])
    file = ConfigFile(path, text, tree, [])
    entries = file.constants().get(BASE_KEY, [])
    for entry in [entries] if isinstance(entries, str) else entries:
        base, scope = find_base(entry, path)
        file.bases.append((read_chain(base, find_base, (*above, path)), scope))
    return file


def write_chain(file: ConfigFile, values: dict[str, Any], folder: Path) -> Path:
    """Writes a copy of a chain in which the given variables have other values.

    ``values`` reach every file that binds the names at top level; beside them, a constant that a file
    assigns reaches the files below it. A dict replaces None alone: over anything else MMEngine merges it.

    Args:
        file: The top of the chain.
        values: The names of variables with their new values.
        folder: A new folder to write into; every copy keeps the name of its original.

    Returns:
        The copy of the top file (or the file itself, if it has no variables).
    """
    if not file.tree.body:
        return file.path
    folder.mkdir(parents=True)
    inherited = file.constants() | values
    bases = []
    for index, (base, scope) in enumerate(file.bases):
        base_copy = write_chain(base, inherited, folder / str(index))
        if scope is not None:
            # MMEngine gives what it reads as `mmdet::...` the scope of that package, but not a plain path as
            # that of the copy: a file between the copy and its child does so.
            shim = base_copy.parent / f'{scope}_scope.py'
            shim.write_text(_SCOPE_SHIM.format(path=str(base_copy), scope=scope), encoding='utf-8')
            base_copy = shim
        bases.append(base_copy)
    source = file.text.encode()
    offsets = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]
    edits = [edit for node in file.tree.body for edit in _edits(node, values, bases, offsets)]
    for start, end, replacement in reversed(edits):
        source = source[:start] + replacement.encode() + source[end:]
    copy = folder / file.path.name
    copy.write_bytes(source)
    return copy


def _edits(node: ast.stmt, values: dict[str, Any], bases: list[Path], offsets: list[int]) -> list[Edit]:
    """What to change about one statement of a file."""
    if isinstance(node, ast.Assign) and BASE_KEY in _bound_names(node):
        start = offsets[node.value.lineno - 1] + node.value.col_offset
        end = offsets[(node.value.end_lineno or 0) - 1] + (node.value.end_col_offset or 0)
        return [(start, end, repr([str(base) for base in bases]))]
    value = getattr(node, 'value', None)
    is_none = isinstance(value, ast.Constant) and value.value is None
    names = [
        name
        for name in sorted(_bound_names(node) & values.keys())
        if (is_none if isinstance(values[name], dict) else not _is_dict(node))
    ]
    if not names:
        return []
    assignments = '; '.join(f'{name} = {values[name]!r}' for name in names)
    assignments = assignments.replace('{{', r'{\x7b')  # MMEngine fills such braces in
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        at = offsets[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return [(at, at, f'; {assignments}')]
    at = offsets[node.end_lineno or 0]
    return [(at, at, f'\n{assignments}\n')]


def _is_dict(node: ast.stmt) -> bool:
    """Whether a statement assigns a dict: those are merged by MMEngine, not replaced."""
    value = getattr(node, 'value', None)
    return isinstance(value, ast.Dict) or _is_dict_call(value)


def _is_dict_call(node: ast.AST | None) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict'


def _is_constant(node: ast.AST) -> bool:
    """Whether an expression is one of constants alone."""
    if _is_dict_call(node):
        return all(map(_is_constant, node.keywords)) and not node.args
    return isinstance(node, _CONSTANT_NODES) and all(map(_is_constant, ast.iter_child_nodes(node)))


def _is_of_base(node: ast.AST) -> TypeGuard[ast.Attribute]:
    """Whether an expression is ``_base_.name``."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == BASE_KEY


def _changed_parts(node: ast.stmt) -> list[ast.expr]:
    """What a statement assigns to, or calls a method of."""
    if isinstance(node, ast.Assign | ast.Delete):
        return node.targets
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [node.value.func]
    return []


def _bound_names(node: ast.AST) -> set[str]:
    """The names that a statement binds in the scope it stands in."""
    if isinstance(node, _OWN_SCOPE):
        return set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return set().union(*(_bound_names(child) for child in ast.iter_child_nodes(node)))
