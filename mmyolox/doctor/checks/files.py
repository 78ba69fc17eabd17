"""Checks of image files: whether they are there, can be read, and are what the annotations say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import Severity, check, needed_pixels
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.file_types import has_usual_suffix
from mmyolox.doctor.files import FileState
from mmyolox.doctor.found import Found
from mmyolox.doctor.lost_images import guess_files, hints
from mmyolox.errors import one_line

_USUAL_BITS = 8
_FORMS = {1: 'grey', 2: 'grey with alpha', 3: 'colour', 4: 'colour with alpha'}


def _in_state(data: Examined, state: FileState) -> Found:
    """The images whose file is in a state, with the reason that was found."""
    return data.found_images(data.files.states == state, detail=lambda image: data.files.faults[image])


_WHEN_MISSING = (
    'Training stops at them. Copy the files there, correct the folder (data_prefix) or the paths, which are '
    'those below it, or take the images out of the annotations.'
)


@check(Severity.ERROR, _WHEN_MISSING)
def image_missing(data: Examined) -> Found:
    """Images without a file."""
    found = _in_state(data, FileState.ABSENT)
    hint = hints(guess_files(data, np.flatnonzero(data.files.states == FileState.ABSENT).tolist()))
    return found.with_advice(f'{hint} {_WHEN_MISSING}') if hint else found


@check(Severity.ERROR, 'Copy the files anew, or take the images out of the annotations.')
def image_empty(data: Examined) -> Found:
    """Image files of no bytes."""
    return _in_state(data, FileState.EMPTY)


@check(
    Severity.ERROR,
    'Copy or save the files anew as JPEG or PNG, or take the images out of the annotations.',
)
def image_undecodable(data: Examined) -> Found:
    """Files that cannot be read, or hold no image."""
    reasons, mask = [*data.files.faults], data.files.states == FileState.UNREADABLE
    if data.pixels is not None:
        mask |= data.files.is_readable & ~data.pixels.is_decoded & ~data.pixels.is_cut_off
        reasons = [one or other for one, other in zip(reasons, data.pixels.faults, strict=True)]

    def detail(image: int) -> str:
        name = data.files.types[image]
        return one_line(f'{reasons[image]}{name and f"; it is a {name} by its content"}')

    return data.found_images(mask, detail=detail)


@check(
    Severity.ERROR,
    'Copy the files anew: training stops at them, or sees grey where nothing is left of the image.',
)
def image_truncated(data: Examined) -> Found:
    """Image files that end before their image does."""
    pixels = needed_pixels(data)
    return data.found_images(
        pixels.is_cut_off, detail=lambda image: pixels.faults[image], among=data.files.is_readable
    )


@check(
    Severity.ERROR,
    'They are not read, lest they fill the memory. Cut them into tiles or make them smaller; or, if they may '
    'be so large, set the variable that is named.',
)
def image_too_large(data: Examined) -> Found:
    """Images of more pixels than are read."""
    return _in_state(data, FileState.TOO_LARGE)


def _differs(sizes: NDArray[np.int64], annotated: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(I,) whether sizes differ by more than a pixel, which is rounding."""
    return (np.abs(sizes - annotated) > 1).any(1)


class _Sizes(NamedTuple):
    """The sizes of files against the annotated ones, each (I,) bool.

    Attributes:
        is_comparable: Both are known.
        is_swapped: Width and height are annotated the other way round.
        is_other: The size is another one.
    """

    is_comparable: NDArray[np.bool_]
    is_swapped: NDArray[np.bool_]
    is_other: NDArray[np.bool_]

    @classmethod
    def of(cls, data: Examined) -> '_Sizes':
        files, annotated = data.files, data.raw.images.sizes
        is_comparable = files.is_readable & (annotated > 0).all(1)
        differs = is_comparable & _differs(files.stored, annotated) & _differs(files.upright, annotated)
        is_swapped = differs & ~_differs(files.upright[:, ::-1], annotated)
        return cls(is_comparable, is_swapped, differs & ~is_swapped)


def _size_detail(data: Examined, image: int) -> str:
    width, height = data.files.upright[image].tolist()
    annotated_width, annotated_height = data.raw.images.sizes[image].tolist()
    return f'{width} x {height} pixels, annotated {annotated_width} x {annotated_height}'


@check(
    Severity.ERROR,
    'Their boxes lie wrong. Were the images resized after they were annotated? Scale the boxes with them, or '
    'put the former images back.',
)
def size_differs(data: Examined) -> Found:
    """Images of another size than annotated."""
    sizes = _Sizes.of(data)
    ratios = np.abs(np.log(data.files.upright / data.raw.images.sizes)).max(1)
    return data.found_images(
        sizes.is_other, ratios, lambda image: _size_detail(data, image), sizes.is_comparable
    )


@check(
    Severity.ERROR,
    'If only width and height changed places in the annotations, correct them there. If the images were '
    'turned after they were annotated, their boxes lie wrong: turn them back.',
)
def size_swapped(data: Examined) -> Found:
    """Images whose width and height are annotated the other way round."""
    sizes = _Sizes.of(data)
    return data.found_images(
        sizes.is_swapped, None, lambda image: _size_detail(data, image), sizes.is_comparable
    )


@check(
    Severity.NOTE,
    'Training follows the annotated size; other programs may turn such images, or not. Look at some with '
    '`mmyolox browse`, or save them upright before they are annotated.',
)
def image_turned(data: Examined) -> Found:
    """Images that EXIF turns when they are shown."""
    files, annotated = data.files, data.raw.images.sizes

    def detail(image: int) -> str:
        orientation = f'EXIF orientation {files.orientations[image]}'
        if not (annotated[image] > 0).all():
            return f'{orientation}, no size annotated: boxes are those of the upright image'
        if (files.stored[image] == files.upright[image]).all():
            return orientation
        is_stored = not _differs(files.stored, annotated)[image]
        return f'{orientation}, annotated {"as stored" if is_stored else "upright"}'

    return data.found_images(files.is_readable & (files.orientations > 1), detail=detail)


@check(
    Severity.NOTE,
    'Training reads what the content says; some other programs go by the name. Rename the files, and where '
    'they are listed.',
)
def suffix_differs(data: Examined) -> Found:
    """Image files whose suffix is that of another format."""
    types, paths = data.files.types, data.raw.images.paths
    is_unusual = np.array(
        [not has_usual_suffix(path, name) for path, name in zip(paths, types, strict=True)], np.bool_
    )
    return data.found_images(
        data.files.is_readable & is_unusual, detail=lambda image: f'it is a {types[image]} by its content'
    )


@check(
    Severity.NOTE,
    'Training makes colour of grey. If pictures to be predicted on are all of one kind, train on that kind.',
)
def colours_mixed(data: Examined) -> Found:
    """The rarer ones of grey and colour images."""
    channels = data.files.channels
    is_grey, is_colour = np.isin(channels, (1, 2)), np.isin(channels, (3, 4))
    rarer = is_grey if is_grey.sum() <= is_colour.sum() else is_colour
    return data.found_images(
        rarer if (is_grey.any() and is_colour.any()) else np.zeros(len(channels), np.bool_),
        detail=lambda image: _FORMS[int(channels[image])],
        among=channels > 0,
    )


@check(
    Severity.NOTE,
    'Training drops the alpha channel, and shows what lies under transparent pixels. Paint them over a '
    'background if that matters.',
)
def alpha_channel(data: Examined) -> Found:
    """Images with an alpha channel."""
    channels = data.files.channels
    return data.found_images(
        np.isin(channels, (2, 4)),
        detail=lambda image: _FORMS[int(channels[image])],
        among=channels > 0,
    )


@check(
    Severity.NOTE,
    'Training reads the upper 8 bits of each value. If images become dark or flat by that, stretch their '
    'values and save them in 8 bits.',
)
def deep_colours(data: Examined) -> Found:
    """Images of more than 8 bits a channel."""
    bits = data.files.bits
    return data.found_images(
        bits > _USUAL_BITS, detail=lambda image: f'{bits[image]} bits a channel', among=bits > 0
    )


@check(Severity.WARNING, 'Look at them: nothing can be learned from an image of one colour.')
def image_blank(data: Examined) -> Found:
    """Images of one colour."""
    pixels = needed_pixels(data)
    return data.found_images(
        pixels.is_blank,
        detail=lambda image: f'grey level {pixels.thumbs[image].mean():.0f} of 255',
        among=pixels.is_decoded,
    )
