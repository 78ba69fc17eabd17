"""Whether a zip archive, which most files of PyTorch's are, is what was written."""

import os
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from .info import DeployError

_CHUNK = 1 << 20
_MAX_UNPACKED = 256 << 20
"""Bytes that the records of an archive may have beyond its own size: compressed is only the code in it."""

_faults: dict[tuple[object, ...], str | None] = {}
"""What was found, by the path, time, size and number of a file, so that each is read once."""


def archive_fault(path: Path) -> str | None:
    """Compares the records of a zip archive with their checksums, which PyTorch does not on loading.

    It takes about a second a GB. An unchanged file is read once a process.

    Args:
        path: The file.

    Returns:
        What is wrong, in a few words that name the record; None if nothing is, or if the archive has no
        checksums (``torch.serialization.set_crc32_options(False)``). An archive that would unpack to far more
        than its own size, which PyTorch does not write, is not read at all.
    """
    stat = os.stat(path)
    version = (path.absolute(), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if version in _faults:
        return _faults[version]
    fault: str | None = 'it is cut off, or no zip archive'
    with suppress(Exception):  # the parts of an archive can be wrong in any way
        with ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > stat.st_size + _MAX_UNPACKED:
                fault = f'its {stat.st_size:,} bytes would unpack to {unpacked:,}'
                raise BadZipFile
            has_checksums = any(entry.CRC for entry in archive.infolist())
            for entry in archive.infolist() if has_checksums else ():
                name = ' '.join(entry.filename.split())  # in one line, also if it is damaged
                fault = f'its record {name} is not what was written'
                with archive.open(entry) as content:
                    while content.read(_CHUNK):
                        pass
        fault = None
    _faults[version] = fault
    return fault


def check_archive(path: Path) -> None:
    """Refuses a file whose records are not what their checksums say; see :func:`archive_fault`.

    Raises:
        DeployError: It is damaged.
    """
    fault = archive_fault(path)
    if fault:
        raise DeployError(f'{path} is damaged: {fault}; take another copy')
