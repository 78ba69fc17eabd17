"""MMEngine's trackers of experiments by their names: TensorBoard, W&B, MLflow and others."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.registry import VISBACKENDS

from mmyolox.errors import UserError, did_you_mean

_ENDING = 'VisBackend'
_LOCAL = 'local'


def tracker_backends(trackers: str | Sequence[str], save_dir: str | None = None) -> list[dict[str, Any]]:
    """The ``vis_backends`` of MMEngine's visualizer for trackers of some names.

    The name of a tracker is that of MMEngine's class without its ending, in lower case: ``tensorboard``,
    ``wandb``, ``mlflow``. Each has the arguments with which it works as it is; others are for the config's
    ``visualizer.vis_backends``.

    Args:
        trackers: A name, or several.
        save_dir: The folder of the run's logs, in the work dir.

    Raises:
        UserError: MMEngine has no such tracker, or its package is not installed.
    """
    types = {
        name.removesuffix(_ENDING).lower(): name for name in VISBACKENDS.module_dict if name.endswith(_ENDING)
    }
    types.pop(_LOCAL, None)
    backends = []
    for tracker in [trackers] if isinstance(trackers, str) else trackers:
        if tracker not in types:
            hint = did_you_mean(str(tracker), types) or f' (there are {", ".join(sorted(types))})'
            raise UserError(f'trackers: there is no {tracker!r}{hint}')
        if find_spec(tracker) is None:
            raise UserError(f'trackers={tracker}: its package is not installed; pip install {tracker}')
        arguments = mlflow_arguments(Path(save_dir or '.')) if tracker == 'mlflow' else {}
        backends.append(dict(type=types[tracker], **arguments))
    return backends


def mlflow_arguments(save_dir: Path) -> dict[str, Any]:
    """Where MLflow writes: to ``$MLFLOW_TRACKING_URI``, else to a database in the work dir.

    By itself MMEngine has it write to a folder, which MLflow 3 refuses. The experiment is called
    ``$MLFLOW_EXPERIMENT_NAME``, else like the work dir.

    Args:
        save_dir: The folder of the run's logs, in the work dir.
    """
    save_dir = save_dir.absolute()
    work_dir = save_dir.parent
    named = dict(
        exp_name=os.environ.get('MLFLOW_EXPERIMENT_NAME') or work_dir.name,
        run_name=save_dir.name,
    )
    if uri := os.environ.get('MLFLOW_TRACKING_URI'):
        return dict(named, tracking_uri=uri)
    return dict(
        named,
        tracking_uri=f'sqlite:///{work_dir / "mlflow.db"}',
        artifact_location=(work_dir / 'mlartifacts').as_uri(),
        # What is copied at the end of a run by default lies in the same folder, earlier copies included.
        artifact_suffix=(),
    )
