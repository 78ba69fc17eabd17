"""The files under ``tests/data`` of state-dict layouts: names and shapes of several models."""

import json
from pathlib import Path

Layout = dict[str, tuple[int, ...]]


def write(layouts: dict[str, Layout], path: Path) -> None:
    """Stores model -> tensor name -> shape, one line a name; null where a model lacks the tensor."""
    names = dict.fromkeys(name for layout in layouts.values() for name in layout)
    rows = (f'{json.dumps(name)}: {json.dumps([y.get(name) for y in layouts.values()])}' for name in names)
    path.write_text(f'{{"models": {json.dumps(list(layouts))},\n"shapes": {{\n' + ',\n'.join(rows) + '\n}}\n')


def read(path: Path) -> dict[str, Layout]:
    """Returns what ``write`` stored."""
    content = json.loads(path.read_text())
    return {
        model: {
            name: tuple(row[column]) for name, row in content['shapes'].items() if row[column] is not None
        }
        for column, model in enumerate(content['models'])
    }


def compare(size: str, ours: Layout, theirs: Layout) -> bool:
    """Prints how many tensors MMYOLO and we have, and where they differ; returns whether they are equal."""
    differing = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    print(f'{size:5} {len(theirs)} tensors in MMYOLO, {len(ours)} here, {len(differing)} differ')
    for key in differing:
        print(f'    {key}: MMYOLO {theirs.get(key)}, here {ours.get(key)}')
    return not differing
