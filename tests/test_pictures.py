"""The pictures of the architecture show the code as it is."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def drawing():
    spec = importlib.util.spec_from_file_location('draw_architecture', ROOT / 'docs/draw_architecture.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('name', sorted(drawing().PICTURES))
def test_the_picture_is_what_the_code_says(name):
    drawn = drawing().PICTURES[name]()
    assert (ROOT / 'docs/plots' / name).read_text(encoding='utf-8') == drawn, (
        'python docs/draw_architecture.py'
    )


def test_arrows_point_downwards():
    for path in re.findall(r'<path d="M\d+ (\d+) C.* (\d+)"/>', drawing().draw_rooms()):
        start, end = map(int, path)
        assert start < end


def test_the_architecture_shows_the_pictures():
    page = (ROOT / 'docs/architecture.md').read_text(encoding='utf-8')
    assert set(re.findall(r'\(plots/(\w+\.svg)\)', page)) == set(drawing().PICTURES)
