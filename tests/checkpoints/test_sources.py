"""Telling sources apart."""

import pytest

from mmyolox.checkpoints.sources import base as sources
from mmyolox.checkpoints.sources.base import Source, find_source, known_sources, matching_sources, rename_all
from mmyolox.errors import UserError
from tests.checkpoints.layouts import DATA, read_layouts

LAYOUTS = [
    pytest.param(names, path.name.split('_yolox_')[0].replace('_', '-'), id=f'{path.stem} {model}')
    for path in sorted(DATA.glob('*_yolox_keys.json'))
    for model, names in read_layouts(path.name).items()
]


@pytest.mark.parametrize(('names', 'source'), LAYOUTS)
def test_exactly_one_source_takes_a_file(names, source):
    assert [found.name for found in matching_sources(names)] == [source]
    assert find_source(names).name == source


def test_sources_of_projects_are_known():
    assert 'mmpose' in {source.name for source in known_sources()}


def test_every_source_has_its_own_name():
    names = [source.name for source in known_sources()]
    assert names == list(dict.fromkeys(names))
    assert names == list(sources.SOURCES)


def test_names_that_fit_several_sources_are_an_error(monkeypatch):
    both = [Source(name, name, lambda _: True, lambda _: None) for name in ('one', 'two')]
    monkeypatch.setattr(sources, 'known_sources', lambda: tuple(both))
    with pytest.raises(UserError, match='could be of one or two: convert them with --from NAME'):
        find_source(['a'])


def test_two_names_for_one_tensor():
    translation = rename_all({'a.x': 1, 'b.x': 2, 'c': 3}, lambda name: name.replace('b.', 'a.'))
    assert translation.tensors == {'a.x': 1, 'c': 3}
    assert translation.origins == {'a.x': 'a.x', 'c': 'c'}
    assert translation.unused == {'b.x': 'a.x is there already'}
