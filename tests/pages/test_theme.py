"""Colours that all people can tell apart, in both themes."""

from itertools import combinations

import numpy as np
import pytest

from mmyolox.pages.theme import DARK, DASHES, LIGHT, SERIES, in_light_colours, theme_css

# Machado, Oliveira & Fernandes 2009, severity 1: linear RGB as people see it who lack a kind of cones.
VISIONS = {
    'normal': np.eye(3),
    'protanopia': [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    'deuteranopia': [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    'tritanopia': [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
THEMES = pytest.mark.parametrize('theme', [LIGHT, DARK], ids=['light', 'dark'])


def linear(colour):
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """After WCAG 2: from 1 to 21."""
    low, high = sorted(0.05 + linear(colour) @ XYZ[1] for colour in (one, other))
    return high / low


def lab(rgb):
    ratios = XYZ @ rgb / (0.9505, 1, 1.089)
    root = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@THEMES
@pytest.mark.parametrize(
    ('ink', 'grounds'),
    [
        ('ink', ('ground', 'raised', 'error-ground', 'warning-ground', 'note-ground', 'good-ground')),
        ('muted', ('ground', 'raised', 'error-ground', 'warning-ground', 'note-ground', 'good-ground')),
        ('accent', ('ground',)),
        ('on-accent', ('accent',)),
        ('on-c1', ('c1',)),
        ('on-c2', ('c2',)),
        ('error', ('error-ground', 'ground')),
        ('warning', ('warning-ground', 'ground')),
        ('note', ('note-ground', 'ground')),
        ('good', ('good-ground', 'ground')),
    ],
)
def test_texts_stand_out(theme, ink, grounds):
    assert min(contrast(theme[ink], theme[ground]) for ground in grounds) >= 4.5


@THEMES
def test_marks_and_edges_stand_out(theme):
    names = [*(f'c{index}' for index in range(1, 9)), 'faint', 'strong-line']
    assert min(contrast(theme[name], theme['ground']) for name in names) >= 3


@THEMES
@pytest.mark.parametrize('vision', VISIONS)
def test_series_differ_for_everyone(theme, vision):
    seen = [lab(np.clip(VISIONS[vision] @ linear(theme[f'c{index}']), 0, 1)) for index in range(1, 9)]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15


def test_series_differ_without_colours():
    assert len(set(DASHES)) == len(SERIES)


def test_both_themes_have_the_same_names():
    assert list(LIGHT) == list(DARK)
    assert theme_css({'ink': '#000', 'c1': '#fff'}) == '--ink:#000;--c1:#fff;'


def test_variables_become_colours():
    assert in_light_colours('{"fill": "var(--c1)"}') == f'{{"fill": "{LIGHT["c1"]}"}}'
