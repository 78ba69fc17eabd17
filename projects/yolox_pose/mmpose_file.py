"""Reading the skeleton of a metainfo file of MMPose."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmyolox.errors import UserError


def read_metainfo(path: str) -> dict[str, Any]:
    """The skeleton of a metainfo file of MMPose (1.x: ``dataset_info``), which need not be installed.

    Args:
        path: The file. If there is none, that of the same name among those of an installed MMPose.

    Returns:
        What :meth:`Skeleton.of` takes, without ``sigmas`` if the file has none.

    Raises:
        UserError: The file is not there or holds no such description.
    """
    file = next((file for file in _metainfo_places(path) if file.is_file()), None)
    if file is None:
        raise UserError(f'metainfo file {path} does not exist, nor one of that name in an installed mmpose')
    try:
        info = Config.fromfile(str(file)).dataset_info
        points = list(info['keypoint_info'].values())
        swaps = {point['name']: point.get('swap') or point['name'] for point in points}
        links = [list(link['link']) for link in info.get('skeleton_info', {}).values()]
    except Exception as error:  # the file runs as code: it can fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f'metainfo file {file} holds no dataset_info of MMPose 1.x: {reason}') from error
    for name, other in swaps.items():
        if swaps.get(other) != name:
            raise UserError(f'metainfo file {file}: {name} swaps with {other}, but {other} not with {name}')
    spec = dict(
        keypoints=[point['name'] for point in points],
        flip_pairs=[[name, other] for name, other in swaps.items() if name < other],
        links=links,
    )
    return spec | (dict(sigmas=list(info['sigmas'])) if info.get('sigmas') else {})


def _metainfo_places(path: str) -> Iterator[Path]:
    yield Path(path).expanduser()
    mmpose = find_spec('mmpose')  # importing it would need all that it depends on
    for folder in (mmpose and mmpose.submodule_search_locations) or ():
        yield Path(folder, '.mim', 'configs', '_base_', 'datasets', Path(path).name)
