"""Where weights may come from: one :class:`Source` for each framework, told apart by the names of tensors.

A project adds its own by :func:`register_source` in the module of its :mod:`extension <mmyolox.extensions>`,
which is imported when sources are asked for.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mmyolox.errors import UserError, first_few
from mmyolox.extensions import load_extensions


@dataclass
class Translation:
    """The tensors of a file under our names.

    Attributes:
        tensors: A dict: our name -> tensor, reshaped where the source stores it in another form.
        origins: A dict: our name -> the file's name, or names joined by ``', '``, that it was made of.
        unused: A dict: the file's name -> why it has no place.
        dropped: A dict: the file's name -> why nothing is lost without it (a copy, a constant of training).
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, ours: str, tensor: Tensor) -> None:
        """Enters the tensor that the file calls ``name`` under our name, if that is free."""
        if ours in self.tensors:
            self.unused[name] = f'{ours} is there already'
        else:
            self.tensors[ours], self.origins[ours] = tensor, name


@dataclass(frozen=True)
class Source:
    """A framework, or a kind of file, that YOLOX weights come from.

    Attributes:
        name: What ``--from`` calls it.
        title: What a summary calls it.
        recognises: What says whether names are those of its tensors. At most one source may say so of a file.
        translate: What brings its tensors into our layout; a pure function. It does not check shapes, and of
            a name that it does not know it makes any name that is none of ours.
        by_position: Whether tensors are told by their position and not by their names: one that does not fit
            then says that the others, too, are none of what they are taken for.
    """

    name: str
    title: str
    recognises: Callable[[Collection[str]], bool]
    translate: Callable[[Mapping[str, Tensor]], Translation]
    by_position: bool = False


SOURCES: dict[str, Source] = {}
"""The sources by name; complete after :func:`known_sources`."""


def register_source(source: Source) -> None:
    """Adds a source to those that are recognised."""
    SOURCES[source.name] = source


def known_sources() -> tuple[Source, ...]:
    """Our sources and those of all extensions that are installed."""
    load_extensions()
    return tuple(SOURCES.values())


def find_source(keys: Collection[str], forced: str | None = None) -> Source:
    """Finds out which framework weights come from.

    Args:
        keys: The names of the tensors.
        forced: The name of a source, for weights that are not to be recognised.

    Raises:
        UserError: No source knows such names, or several do, or ``forced`` is none, or not among those that
            know them.
    """
    names = ', '.join(sorted(source.name for source in known_sources()))
    matching = matching_sources(keys)
    several = ' or '.join(source.name for source in matching)
    if forced is not None:
        if forced not in SOURCES:
            raise UserError(f'source {forced!r} is unknown; known are {names}')
        if matching and forced not in {source.name for source in matching}:
            raise UserError(f'these are weights of {several}, not of {forced}, by the names of their tensors')
        return SOURCES[forced]
    if not matching:
        shown = first_few(keys) or 'none at all'
        raise UserError(f'no weights of a YOLOX that is known here ({names}); its tensors: {shown}')
    if len(matching) > 1:
        raise UserError(f'these weights could be of {several}: convert them with --from NAME')
    return matching[0]


def matching_sources(keys: Collection[str]) -> list[Source]:
    """The sources, one if all is well, that weights with these names may come from."""
    return [source for source in known_sources() if source.recognises(keys)]


def recognised_by(*prefixes: str) -> Callable[[Collection[str]], bool]:
    """Makes a ``recognises`` for tensors among whose names each of these prefixes occurs."""

    def recognises(names: Collection[str]) -> bool:
        return all(any(name.startswith(prefix) for name in names) for prefix in prefixes)

    return recognises


def replace_prefix(name: str, prefixes: Mapping[str, str]) -> str:
    """A name with the longest of its known prefixes replaced; an unknown name stays as it is."""
    prefix = max(filter(name.startswith, prefixes), key=len, default='')
    return prefixes.get(prefix, '') + name.removeprefix(prefix)


def rename_all(
    state_dict: Mapping[str, Tensor], rename: Callable[[str], str], dropped: Mapping[str, str] | None = None
) -> Translation:
    """The translation for a source that differs in names alone.

    Args:
        state_dict: The file's tensors.
        rename: What returns our name for one of its names.
        dropped: The names of those that are left out, and why.
    """
    translation = Translation(dropped=dict(dropped or {}))
    for name, tensor in state_dict.items():
        if name not in translation.dropped:
            translation.add(name, rename(name), tensor)
    return translation
