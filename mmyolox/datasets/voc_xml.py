"""Reading of one Pascal VOC annotation file. Needs the standard library and numpy only."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


@dataclass(frozen=True)
class VocImage:
    """What a Pascal VOC annotation file says about its image, M objects.

    Attributes:
        filename: The ``<filename>`` entry, ``''`` where the file has none.
        width: Pixels, 0 where the file does not say.
        height: Pixels, 0 where the file does not say.
        names: M class names, in the file's order.
        bboxes: (M, 4) float32 xyxy in pixels of the image, as written: degenerate boxes are kept.
        difficult: (M,) bool, the objects flagged ``difficult``.
    """

    filename: str
    width: int
    height: int
    names: tuple[str, ...]
    bboxes: NDArray[np.float32]
    difficult: NDArray[np.bool_]


def read_voc_xml(path: str | Path, *, one_based: bool = True) -> VocImage:
    """Reads one Pascal VOC annotation file.

    Args:
        path: The XML file.
        one_based: Subtract 1 from every coordinate. Pascal VOC counts pixels from 1; mmdet's
            ``XMLDataset`` (3.x) subtracts 1 from all four corners too, so that boxes agree with it.

    Returns:
        The objects of the image. Coordinates keep their fraction if they have one (mmdet cuts it off).

    Raises:
        UserError: The file is missing, is not XML, or an object lacks its name or a corner, or holds
            something that is no number.
    """
    root = _parse(Path(path))
    objects = root.findall('object')
    boxes = [[_number(obj, f'bndbox/{corner}', path) for corner in _CORNERS] for obj in objects]
    return VocImage(
        filename=(root.findtext('filename') or '').strip(),
        width=_pixels(root, 'size/width', path),
        height=_pixels(root, 'size/height', path),
        names=tuple(_name(obj, path) for obj in objects),
        bboxes=np.array(boxes, np.float32).reshape(-1, 4) - np.float32(one_based),
        difficult=np.array([_number(obj, 'difficult', path, default=0) != 0 for obj in objects], np.bool_),
    )


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise UserError(f'{path}: annotation file not found') from None
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: an odd encoding
        raise UserError(f'{path}: not a valid XML file ({error})') from None


def _name(obj: ElementTree.Element, path: str | Path) -> str:
    name = (obj.findtext('name') or '').strip()
    if not name:
        raise UserError(f'{path}: an <object> has no <name>')
    return name


def _pixels(root: ElementTree.Element, tag: str, path: str | Path) -> int:
    value = _number(root, tag, path, default=0)
    if not math.isfinite(value):
        raise UserError(f'{path}: <{tag}> holds {value}, a number of pixels is needed')
    return int(value)


def _number(element: ElementTree.Element, tag: str, path: str | Path, default: float | None = None) -> float:
    text = (element.findtext(tag) or '').strip()
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{path}: <{tag}> of <{element.tag}> holds {text!r}, a number is needed') from None
