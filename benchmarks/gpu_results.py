"""What ``gpu.py`` has measured so far, in a JSON file, and as Markdown."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from side_by_side import table

Figures = dict[str, float | int | str]


class Results:
    """Figures by table and row.

    Each row is written when it is there, so that a run goes on where it was cut off.

    Args:
        path: the JSON file, made if it is not there.
        machine: what the figures are of: the device, versions, settings.

    Raises:
        SystemExit: the file is of another machine or other settings.
    """

    def __init__(self, path: Path, machine: Mapping[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = dict(machine=dict(machine), tables={})
        if path.exists():
            self.content = json.loads(path.read_text(encoding='utf-8'))
            if self.content['machine'] != dict(machine):
                raise SystemExit(
                    f'error: {path} holds figures of {self.content["machine"]}, this is {dict(machine)}: '
                    'name another file with --out'
                )

    def add(self, name: str, row: str, measure: Callable[[], Figures]) -> None:
        """Measures a row of a table, unless it is there; a failure is its figure, and the others go on."""
        rows = self.content['tables'].setdefault(name, {})
        if row in rows:
            return
        print(f'{name}: {row} ...', flush=True)
        try:
            rows[row] = measure()
        except Exception as error:  # of a compiler, a driver, a peer
            text = str(error).strip()
            rows[row] = dict(failed=f'{type(error).__name__}: {text.splitlines()[0][:200] if text else ""}')
        print(f'    {rows[row]}', flush=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f'{self.path.name}.part')
        partial.write_text(json.dumps(self.content, indent=2), encoding='utf-8')
        os.replace(partial, self.path)

    def figure(self, name: str, row: str, column: str) -> float | None:
        """A figure; None if it was not measured."""
        value = self.content['tables'].get(name, {}).get(row, {}).get(column)
        return value if isinstance(value, int | float) else None

    def markdown(self) -> str:
        """All tables."""
        parts = [', '.join(f'{key}: {value}' for key, value in self.content['machine'].items())]
        for name, rows in self.content['tables'].items():
            failed = {row: figures['failed'] for row, figures in rows.items() if 'failed' in figures}
            there = {row: figures for row, figures in rows.items() if row not in failed}
            columns = list(dict.fromkeys(column for figures in there.values() for column in figures))
            cells = [
                [row, *(shown(figures.get(column, '-')) for column in columns)]
                for row, figures in there.items()
            ]
            parts += [table([name, *columns], cells)] if cells else []
            parts += [f'{name}, {row}: failed, {why}' for row, why in failed.items()]
        return '\n\n'.join(parts)


def shown(value: float | int | str) -> str:
    """A figure with three digits at least."""
    if not isinstance(value, float):
        return str(value)
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'
