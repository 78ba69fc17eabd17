"""Variables of a config that are read from the training annotations, beside the classes."""

from typing import Any

from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmyolox.errors import UserError

from .classes import annotation_path
from .variables import ConfigFile

DATA_VARIABLES = 'data_variables'
"""The dict of such variables: by name, the import path of a function of an annotation file's path."""


def data_sources(chain: ConfigFile) -> set[str]:
    """The variables that such values are computed from, beside those that the files read themselves."""
    return {'data_root', 'train_ann_file'} if chain.binds(DATA_VARIABLES) else set()


def data_values(cfg: Config) -> dict[str, Any]:
    """Work out what the variables that are named under ``data_variables`` have to be.

    Args:
        cfg: The evaluated config.

    Returns:
        The given values, which have to reach the files below the one that gives them, and for those that are
        None what their functions make of the file that ``train_ann_file`` names, if it is set.

    Raises:
        UserError: There is no such function, or it can do nothing with the file.
    """
    variables = cfg.to_dict()
    path = annotation_path(variables)
    values = {}
    for name, function in variables.get(DATA_VARIABLES, {}).items():
        value = variables.get(name)
        if value is None and path is not None:
            value = _function(name, function)(path)
        if value is not None:
            values[name] = value
    return values


def recorded_values(cfg: Config, recorded: dict[str, Any]) -> dict[str, Any]:
    """Those of the recorded values that the config would read from the training annotations."""
    names = ['classes', *cfg.get(DATA_VARIABLES, ())]
    return {
        name: recorded[name] for name in names if name in cfg and cfg[name] is None and recorded.get(name)
    }


def _function(name: str, path: str) -> Any:
    try:
        function = get_object_from_string(path)
    except ImportError as error:
        raise UserError(f'config key {DATA_VARIABLES}.{name}: {path} cannot be imported: {error}') from error
    if not callable(function):
        raise UserError(f'config key {DATA_VARIABLES}.{name}: there is no function {path}')
    return function
