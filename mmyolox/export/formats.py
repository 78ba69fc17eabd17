"""Exporting to a format of :data:`mmyolox.deploy.formats.FORMATS`; nothing heavy is imported here."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from mmyolox.deploy.formats import FORMATS, Format, format_of
from mmyolox.errors import UserError, did_you_mean
from mmyolox.extensions import load_extensions
from mmyolox.files import advice_on, check_target, remove

from .options import ExportOptions, calibration_files

if TYPE_CHECKING:
    from mmyolox.models import YOLODetector


def find_format(name: str) -> Format:
    """The format of that name, ours or an extension's; extensions are imported only for a name not of ours.

    Raises:
        UserError: There is none.
    """
    if name not in FORMATS:
        load_extensions()
    if name not in FORMATS:
        raise UserError(f'format {name}{did_you_mean(name, FORMATS)} (known: {", ".join(FORMATS)})')
    return FORMATS[name]


def export_model(format: Format, model: YOLODetector, dst: Path, options: ExportOptions) -> Path:
    """Writes a detector.

    Args:
        format: The format of the file.
        model: The model that :func:`mmyolox.apis.init_detector` returns, in float32. It is not changed.
        dst: The file, see :func:`target_path`; its folder is made.
        options: The options, which say what is to be in it.

    Returns:
        The file.

    Raises:
        UserError: As of :func:`check_options` and :func:`target_path`, or the options do not fit the model.
    """
    check_options(format, options)
    dst = target_path(format, dst)
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
        resolve_name(format.writer)(model, dst, options)
    except OSError as error:
        raise UserError(f'{dst} cannot be written: {error.strerror or error}{advice_on(error)}') from error
    return dst


def check_options(format: Format, options: ExportOptions) -> None:
    """Refuses what a format cannot be, or cannot be on this machine; loads no model.

    Raises:
        UserError: With the reason.
    """
    for key, value, known in (
        ('precision', options.precision.name, format.precisions),
        ('form', options.form, format.forms),
        ('focus', options.focus, format.focuses),
    ):
        if value not in known:
            raise UserError(
                f'format {format.name}: {key} {value} cannot be had; choose one of {", ".join(known)}'
            )
    if options.preprocess and not format.has_preprocessing:
        raise UserError(f'format {format.name} has no preprocessing in the graph; leave preprocess out')
    if (options.dynamic_batch or options.dynamic_size) and not format.is_flexible:
        raise UserError(f'format {format.name} has fixed shapes; leave dynamic batch and dynamic size out')
    if options.batch > 1 and not format.has_batches:
        raise UserError(f'format {format.name} takes one image at a time, not batch {options.batch}')
    if options.precision.name == 'int8':
        calibration_files(options.precision)
    reason = unavailable(format, options.precision.name)
    if reason:
        raise UserError(reason)


def unavailable(format: Format, precision: str = 'fp32') -> str | None:
    """Why a format cannot be written on this machine, in one line, or None if it can."""
    if format.systems and platform.system() not in format.systems:
        systems = ' or '.join(format.systems)
        return f'format {format.name} cannot be had on {platform.system()}, only on {systems}'
    packages = (*format.packages, 'nncf') if precision == 'int8' else format.packages
    if any(importlib.util.find_spec(package.replace('-', '_')) is None for package in packages):
        return f'format {format.name} needs packages that are not installed: pip install {" ".join(packages)}'
    if format.needs_gpu and shutil.which('nvidia-smi') is None:
        return f'format {format.name} needs an NVIDIA GPU with its driver, and there is none'
    return None


def target_path(format: Format, dst: Path) -> Path:
    """The file to write: the path with the format's suffix, which is added where it has none.

    Raises:
        UserError: It is a folder, has the suffix of another format, or its folder cannot be written to.
    """
    others = {known.suffix: f'for that add --format {known.name}' for known in FORMATS.values()}
    others |= dict.fromkeys(('.pth', '.pt'), 'name another file')
    if dst.suffix != format.suffix and dst.suffix in others:
        raise UserError(f'{dst}: format {format.name} writes {format.suffix}; {others[dst.suffix]}')
    path = dst if dst.suffix == format.suffix else dst.with_name(dst.name + format.suffix)
    for folder in (dst, path):
        if folder.is_dir():
            raise UserError(f'{folder}: this is a folder; name a file, or remove it')
    check_target(path)
    return path


def remove_export(path: Path) -> None:
    """Removes an exported file and those beside it that belong to it."""
    format = format_of(path)
    for part in (path, *(path.with_suffix(suffix) for suffix in (format.companions if format else ()))):
        remove(part)
