"""Loading a config the way a user means it: variables that propagate, values from the data, checks."""

import copy
import json
import tempfile
from collections import UserList
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmyolox.errors import UserError, did_you_mean

from .arguments import FaultyValueError
from .check import RUNNER_KEYS, check_config, check_parts, walk
from .class_weights import settle_class_weights
from .data_layout import home_values, layout_values, recognised_layout
from .find import find_base, find_recorded_config, own_configs
from .loaders import check_loaders, settle_modes
from .mmdet_parts import check_mmdet_parts
from .options import check_names, check_options, merge_options, read_options
from .recorded import follow_recorded_input, follow_recorded_network, warn_of_other_fold
from .scopes import resolve_scopes
from .training import check_training, settle_training
from .values import class_values, data_values, data_variables, recorded_values, value_sources
from .variables import ConfigFile, read_chain, write_chain

_LAID_OUT = 60_000
"""How many characters of a config yapf lays out, in some seconds."""


class OnceLaidOutConfig(Config):
    """A config whose text is laid out once, as long as it stays the same.

    MMEngine has yapf do so at each dump and for each checkpoint, which took half of the time of a short
    training.
    """

    @property
    def pretty_text(self) -> str:
        """The config as Python code."""
        text: str = super().pretty_text  # as ``format_python_code=False`` has it
        return lay_out(text) if len(text) <= _LAID_OUT else text


@cache
def lay_out(text: str) -> str:
    """Lays out the text of a config as MMEngine does.

    Args:
        text: The config as Python code.
    """
    from yapf.yapflib.yapf_api import FormatCode

    style = dict(
        based_on_style='pep8',
        blank_line_before_nested_class_or_def=True,
        split_before_expression_after_opening_paren=True,
    )
    return str(FormatCode(text, style_config=style)[0])


def load_config(
    path: str | Path, cfg_options: dict[str, Any] | None = None, recorded: dict[str, Any] | None = None
) -> Config:
    """Loads a config file, applies the user's options, and checks the result.

    Beside what MMEngine's ``Config.fromfile`` and ``merge_from_dict`` do:

    - *Variables propagate.* ``max_epochs=50`` among the options, for a variable ``max_epochs = 300`` of the
      config or of any file below it, is applied where the variable is assigned, so that all that is computed
      from it (``T_max=max_epochs - 15``, ``data_root + 'train.json'``, ``_base_.max_epochs``,
      ``{{_base_.max_epochs}}``) follows. The same holds for a file that inherits: ``max_epochs = 50`` at its
      top level reaches the bases that assign ``max_epochs`` (if it is an expression of constants; what is
      computed from other names stays where it is). The nearest to the user wins: options, then the file,
      then its bases. Dicts (``model = dict(...)``) are merged as always.
    - *Classes come from the data.* With variables ``classes = None`` and ``train_ann_file``, the names are
      read from that COCO file (joined to ``data_root``), and ``num_classes`` is set to their number.
      Classes that are given set ``num_classes`` too.
    - *So do the files.* With a variable ``train_data = None``, the splits, their files and their format are
      recognised in ``data_root``, see :func:`.data_layout.layout_values`.
    - *So may others.* With ``data_variables = dict(skeleton='package.module.function')``, a variable
      ``skeleton = None`` becomes what the function makes of that file's path: numbers, strings, lists and
      dicts. What is computed from it follows (``_base_.skeleton``), also when it is given instead, as a
      dict too.
    - ``path`` may be the bare name of one of our configs, and like ``_base_`` ``'mmyolox::yolox/...'``.

    Args:
        path: A config file, or the name of one of ours.
        cfg_options: The keys and values that change the config; dotted keys (``train_dataloader.batch_size``,
            ``custom_hooks.0.momentum``) reach into dicts and lists.
        recorded: What a checkpoint says. Of the data, by the variables' names (its ``dataset_meta``): that is
            taken where a variable would be read from the annotations. Of the ``trained_fold``: see
            :func:`.values.recorded_values`. Of the images that its model takes, and of its ``network``: see
            :func:`.recorded.follow_recorded_input` and :func:`.recorded.follow_recorded_network`. The
            ``recipe``, the name of the config that it was trained with: see
            :func:`.find.find_recorded_config`.

    Returns:
        The config; its ``filename`` is that of the original file.

    Raises:
        UserError: The file is absent or faulty, an option fits nothing, or the checks find a mistake.
    """
    recipe = (recorded or {}).get('recipe', '')
    chain = read_chain(find_recorded_config(str(path), recipe), find_base)
    written = _evaluate(chain, {})
    options = read_options(written, cfg_options or {})
    read = chain.read() | value_sources(chain)
    variables = {
        name: value for name, value in options.items() if name in read and not isinstance(value, dict)
    }
    cfg = _evaluate(chain, variables) if variables else copy.deepcopy(written)
    check_reach(chain, variables, written, cfg)
    homes = home_values(cfg)
    options |= {name: homes[name] for name in homes if name in options}
    known = recorded_values(cfg, recorded or {}, options) | homes
    if known:
        variables |= known
        cfg = _evaluate(chain, variables)
    check_names(cfg, chain, own_configs(), read)
    check_options(cfg, options, read)
    plain = cfg.to_dict()
    layout = recognised_layout(plain, options)
    from_data = class_values(plain, chain, options | known, layout) | data_values(plain, layout)
    if layout is not None:
        from_data |= layout_values(plain, layout)
    if from_data:
        cfg = _evaluate(chain, variables | from_data)
    merge_options(cfg, options | {name: from_data[name] for name in from_data if name in options})
    if any(name.partition('.')[0] == 'custom_imports' for name in options):
        import_modules(cfg)
    check_parts(cfg)
    if recorded:
        follow_recorded_network(cfg, recorded.get('network', {}), options, written)
        follow_recorded_input(cfg, recorded, options, written)
        warn_of_other_fold(cfg, recorded)
    settle_training(cfg)
    settle_modes(cfg)
    settle_class_weights(cfg)
    try:
        check_mmdet_parts(cfg)
        check_config(cfg)
        check_training(cfg)
        check_loaders(cfg)
    except FaultyValueError as error:
        raise error.as_written(cfg, options) from None
    resolve_scopes(cfg)
    return cfg


def check_reach(chain: ConfigFile, variables: dict[str, Any], written: Config, cfg: Config) -> None:
    """Checks that files that build on one of ours do not replace all that an option's variable decides.

    ``oversample_thr=0.3`` does nothing where such a file has a sampler of its own, nor ``base_lr=0.1``
    where it gives the optimizer's ``lr``.

    Args:
        chain: The config's files.
        variables: The values that options give to variables.
        written: The config without the options.
        cfg: The config with them.

    Raises:
        UserError: They do.
    """
    ours = set(own_configs()) if variables else set()
    if chain.path in ours or not any(file.path in ours for file in chain.files()):
        return
    used = RUNNER_KEYS | value_sources(chain) | data_variables(cfg).keys() | {'classes', 'num_classes'}
    for name in [name for name in variables if name not in used and cfg[name] != written[name]]:
        without = _evaluate(chain, {other: variables[other] for other in variables if other != name})
        if cfg[name] != without[name] and all(cfg.get(key) == without.get(key) for key in used):
            places = (_decided_by(base, name, variables[name]) for base, _ in chain.bases)
            hint = next((f'; change {place} instead' for place in places if place), '')
            raise UserError(
                f'config option {name}={variables[name]!r} has no effect: {chain.path} replaces what '
                f'depends on it{hint}'
            )


def _decided_by(chain: ConfigFile, name: str, value: Any) -> str:
    """The key that changes with a variable, if possible one of its name; empty if none does."""
    if not chain.assigns(name):
        return ''
    before, after = (
        {path: part for key in RUNNER_KEYS & set(cfg) for path, part in walk(cfg[key], key)}
        for cfg in (_evaluate(chain, values) for values in ({}, {name: value}))
    )
    places = [
        path
        for path, part in after.items()
        if not isinstance(part, dict | list) and before.get(path, ...) != part
    ]
    return min(places, key=lambda place: (not place.endswith(f'.{name}'), place), default='')


def import_modules(cfg: Config) -> None:
    """Imports what options add to ``custom_imports``; what the files name is imported while they are read.

    Raises:
        UserError: A module cannot be imported.
    """
    try:
        import_modules_from_strings(**cfg.custom_imports or dict(imports=None))
    except Exception as error:  # a module runs as code: it can fail in any way
        raise UserError(
            f'config option custom_imports={cfg.custom_imports}: {type(error).__name__}: {_root(error)}'
        ) from error


def require(cfg: Config, *keys: str) -> None:
    """Raises a ``UserError`` for a config that lacks a top-level key, such as one that is only inherited."""
    missing = [key for key in keys if key not in cfg]
    if missing:
        raise UserError(f'config {cfg.filename} has no {" and no ".join(missing)}')


@dataclass(frozen=True)
class _NamesInFile:
    """Class names as the copies of a config's files assign them.

    MMEngine copies and visits the items of every list and tuple dozens of times, half a minute for 200,000
    names. A ``UserList`` does what a list does, and is one thing to it.
    """

    path: Path

    def __repr__(self) -> str:
        text = f"__import__('pathlib').Path({str(self.path)!r}).read_text(encoding='ascii')"
        return f"__import__('collections').UserList(__import__('json').loads({text}))"


def _with_tuples(value: Any) -> Any:
    """A value of a config in which class names are tuples again."""
    if isinstance(value, UserList):
        return tuple(value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return type(value)(map(_with_tuples, value)) if isinstance(value, list | tuple) else value


def _evaluate(chain: ConfigFile, variables: dict[str, Any]) -> Config:
    """Evaluates a chain with new values for variables."""
    with tempfile.TemporaryDirectory() as folder:
        values = dict(variables)
        if isinstance(variables.get('classes'), tuple):
            values['classes'] = _NamesInFile(Path(folder) / 'classes.json')
            values['classes'].path.write_text(json.dumps(variables['classes']), encoding='ascii')
        top = write_chain(chain, values, Path(folder) / 'config')
        try:
            cfg = Config.fromfile(str(top))
        except Exception as error:  # a config runs as code: it can fail in any way
            reason = f'{type(error).__name__}: {_root(error)}{_hint(error)}'.split('\n')[0]
            raise UserError(f'{_place(error, chain, folder)}: {reason}') from error
    if top == chain.path:  # a `read_base()` config holds imported names that a copy would lose
        return cfg
    plain = _with_tuples(cfg.to_dict())
    return OnceLaidOutConfig(
        plain, filename=str(chain.path), env_variables=cfg.env_variables, format_python_code=False
    )


def _root(error: BaseException) -> BaseException:
    """What MMEngine's error is about: of a module named in ``custom_imports`` it tells only the name."""
    cause = error.__cause__
    if isinstance(error, ImportError):
        cause = cause or error.__context__
        return error if cause is None else _root(cause)
    return cause or error


def _hint(error: Exception) -> str:
    """The end of a message about a name that is not in a dict, as ``_base_`` is one: the nearest names."""
    if isinstance(error, AttributeError) and isinstance(error.obj, dict):
        return did_you_mean(str(error.name), map(str, error.obj))
    return ''


def _place(error: Exception, chain: ConfigFile, folder: str) -> str:
    """Names the file, and if the error came from a file's own code, the line."""
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
    if not frames:
        return f'config {chain.path}'
    return f'config {chain.path} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})'
