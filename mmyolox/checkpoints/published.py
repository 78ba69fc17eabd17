"""Weights that others published, by name, and the file that is meant where a checkpoint is asked for.

Their figures are their publishers' own, on COCO val2017. A project adds weights of its models by
:func:`register_weights` in the module of its :mod:`extension <mmyolox.extensions>`.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from mmyolox.errors import UserError, did_you_mean
from mmyolox.extensions import load_extensions
from mmyolox.files import cache_folder

from .download import download

WEB = ('http://', 'https://')
MIRROR = 'MMYOLOX_WEIGHTS_URL'
"""The variable of the environment with the address of a folder that holds the published files, by their own
names, instead of their publishers' addresses."""
_MEGVII = 'https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/'
_MMYOLO = 'https://download.openmmlab.com/mmyolo/v0/yolox/'

_COCO = (
    'person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,'
    'parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,'
    'handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,'
    'skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,'
    'sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,'
    'dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,'
    'refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush'
)
COCO_CLASSES = tuple(_COCO.split(','))
"""The names of COCO's 80 classes, as its annotations have them, in their order."""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be called by a name.

    Attributes:
        name: What the user calls them.
        model: Family and size, as ``YOLOX-s``.
        ap: The AP on COCO val2017 that the publisher states, in percent.
        config: The config of ours that fits.
        url: The file.
        source: Who published it.
        licence: That of the publisher's code, which is what they say of their weights.
        sha256: The first hexadecimal digits of the file's SHA-256; empty where nobody gives them.
        kind: What the AP is of: ``box`` or ``keypoint``.
        classes: What its classes are called, which few of the files say.
    """

    name: str
    model: str
    ap: float
    config: str
    url: str
    source: str
    licence: str
    sha256: str = ''
    kind: str = 'box'
    classes: tuple[str, ...] = COCO_CLASSES

    @property
    def path(self) -> Path:
        """Where the file lies in the cache once it was downloaded."""
        return cache_folder() / 'weights' / self.url.rpartition('/')[2]

    def describe(self) -> str:
        """Source, licence and AP."""
        return f'{self.source}, {self.licence}, {self.kind} AP {self.ap} as published'


def of_megvii(size: str, ap: float, sha256: str = '') -> PublishedWeights:
    """Weights of Megvii's releases: ``yolox_s``.

    Args:
        size: The model's size.
        ap: The AP that is stated.
        sha256: The first digits of the file's SHA-256, or all.
    """
    config = f'yolox_{size}_fast_8xb8-300e_coco'
    url = f'{_MEGVII}yolox_{size.removesuffix("53")}.pth'
    return PublishedWeights(f'yolox_{size}', f'YOLOX-{size}', ap, config, url, 'Megvii', 'Apache-2.0', sha256)


def of_mmyolo(
    file: str,
    ap: float,
    config: str = '',
    name: str = '',
    family: str = 'YOLOX',
    kind: str = 'box',
    group: str = '',
) -> PublishedWeights:
    """Weights of MMYOLO's model zoo.

    Args:
        file: The file's name without its suffix: the model's folder, date, time, the start of its SHA-256.
        ap: The AP that is stated.
        config: The config of ours that fits, if it is not called like the folder.
        name: What the user calls them; by default like the config.
        family: The family of the model.
        kind: What the AP is of.
        group: The folder of the model's folder, with a ``/`` at its end.
    """
    folder = '_'.join(file.split('_')[:-2])
    config = config or folder
    return PublishedWeights(
        name or config,
        f'{family}-{folder.split("_")[1]}',
        ap,
        config,
        f'{_MMYOLO}{group}{folder}/{file}.pth',
        'MMYOLO',
        'GPL-3.0',
        file.rpartition('-')[2],
        kind,
        COCO_CLASSES[:1] if kind == 'keypoint' else COCO_CLASSES,
    )


_WEIGHTS: dict[str, PublishedWeights] = {}


def register_weights(*weights: PublishedWeights) -> None:
    """Adds published weights to those that can be called by name."""
    _WEIGHTS.update((one.name, one) for one in weights)


register_weights(
    of_megvii('nano', 25.8),
    of_megvii('tiny', 32.8, 'f99294c4cf6df2a384f956371ec31cf4d06fa3a4a859899df0e410a6045904c9'),
    of_megvii('s', 40.5),
    of_megvii('m', 46.9),
    of_megvii('l', 49.7),
    of_megvii('x', 51.1),
    of_megvii('darknet53', 47.7),
    of_mmyolo(
        'yolox_tiny_8xb8-300e_coco_20220919_090908-0e40a6fc', 32.7, config='yolox_tiny_fast_8xb8-300e_coco'
    ),
    of_mmyolo('yolox_tiny_fast_8xb32-300e-rtmdet-hyp_coco_20230210_143637-4c338102', 34.3),
    of_mmyolo('yolox_s_fast_8xb8-300e_coco_20230213_142600-2b224d8b', 40.7),
    of_mmyolo('yolox_s_fast_8xb32-300e-rtmdet-hyp_coco_20230210_134645-3a8dfbd7', 41.9),
    of_mmyolo('yolox_m_fast_8xb8-300e_coco_20230213_160218-a71a6b25', 46.9),
    of_mmyolo('yolox_m_fast_8xb32-300e-rtmdet-hyp_coco_20230210_144328-e657e182', 47.5),
    of_mmyolo('yolox_l_fast_8xb8-300e_coco_20230213_160715-c731eb1c', 50.1),
    of_mmyolo('yolox_x_fast_8xb8-300e_coco_20230215_133950-1d509fab', 51.4),
)


def published_weights() -> Mapping[str, PublishedWeights]:
    """All published weights by name: ours and those of all extensions that are installed."""
    load_extensions()
    return _WEIGHTS


def weights_for(family: str, size: str) -> PublishedWeights | None:
    """The first published weights of a model, else those of the plain detector of its size, if there are any.

    Args:
        family: As in :class:`~mmyolox.checkpoints.recognise.Architecture`.
        size: Its ``name``.
    """
    known = published_weights().values()
    models = (f'{family}-{size}', f'YOLOX-{size}')
    return next((one for model in models for one in known if one.model == model), None)


def fetch_weights(weights: PublishedWeights) -> Path:
    """Downloads published weights, unless they are in the cache.

    Returns:
        The file.

    Raises:
        UserError: As :func:`~mmyolox.checkpoints.download.download`, or the mirror's address is none.
    """
    path, url = weights.path, weights.url
    mirror = os.environ.get(MIRROR)
    if mirror and not path.is_file():
        if not mirror.startswith((*WEB, 'file://')):
            raise UserError(
                f'{MIRROR}={mirror} in the environment must begin with http://, https:// or file://'
            )
        url = f'{mirror.rstrip("/")}/{path.name}'
    download(url, path, weights.sha256, f'weights {weights.name}: {weights.describe()}; ')
    return path


def fetch_address(url: str) -> Path:
    """Downloads a file of any address to a folder of its own in the cache, unless it is there.

    Returns:
        The file.

    Raises:
        UserError: As :func:`~mmyolox.checkpoints.download.download`.
    """
    name = re.sub(r'[^\w.-]', '_', unquote(urlparse(url).path).rpartition('/')[2])[-100:]
    folder = hashlib.sha256(url.encode()).hexdigest()[:12]
    path = cache_folder() / 'weights' / folder / (name or 'checkpoint')
    download(url, path)
    return path


def checkpoint_file(source: str | Path) -> Path:
    """Finds the file that is meant where a checkpoint is asked for, and downloads it if need be.

    Args:
        source: A file, which goes before all else; a web address; or the name of published weights.

    Returns:
        The file; what was downloaded stays in the folder ``weights`` of
        :func:`~mmyolox.files.cache_folder`.

    Raises:
        UserError: It is nothing of these, or cannot be downloaded.
    """
    text, path = str(source), Path(source).expanduser()
    if os.path.isfile(path):  # unlike Path.is_file, this takes any text
        return path
    if text.startswith(WEB):
        return fetch_address(text)
    is_name = path.name == text
    if is_name and text in published_weights():
        return fetch_weights(published_weights()[text])
    if os.path.isdir(path):
        raise UserError(f'checkpoint {path} is a folder; name the file in it')
    hint = ''
    if is_name:
        hint = f', nor are weights of this name published{did_you_mean(path.stem, published_weights())}'
        hint += '; mmyolox weights lists the names'
    raise UserError(f'checkpoint {path} does not exist{hint}')
