"""What a training leaves in its work dir for its report: a record of each of its runs, detections kept.

A run's record is ``run.json`` in its folder of logs, so that those of a training that was resumed lie side by
side. The detections are those of the best validation, else of the last one, in COCO's result format:
``validation/detections.bbox.json``, and of a pose model ``detections.keypoints.json``; beside them
``detections.json`` says which validation it was. That note is there only while the files are those of one
validation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mmyolox.files import atomic_write, read_text

RECORD, FOLDER, NOTE = 'run.json', 'validation', 'detections.json'

Record = TypeVar('Record', 'RunRecord', 'KeptValidation')


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run of a training, from its begin to where it ended or was stopped.

    Attributes:
        began: The local date and time.
        first_epoch: How many epochs were done when it began; 0 for a training that begins.
        facts: What the first lines on the terminal say, as pairs of a name and a text.
        environment: The versions of packages, and the machine.
        epoch: How many epochs are done.
        iteration: How many iterations are done.
        seconds: How long it took up to there.
    """

    began: str
    first_epoch: int = 0
    facts: Sequence[Sequence[str]] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0
    iteration: int = 0
    seconds: float = 0.0

    def write(self, folder: str | Path) -> None:
        """Writes it into the folder of the run's logs."""
        _write(Path(folder, RECORD), asdict(self))


def read_runs(work_dir: str | Path) -> list[RunRecord]:
    """The records of a training's runs, the oldest first; those before one that began anew are left out."""
    runs: list[RunRecord] = []
    for path in sorted(Path(work_dir).glob(f'*/{RECORD}')):
        run = _read(path, RunRecord)
        if run is not None:
            runs = [*runs, run] if run.first_epoch else [run]
    return runs


@dataclass(frozen=True)
class KeptValidation:
    """The validation whose detections are kept.

    Attributes:
        unit: What a training counts: ``epoch`` or ``iteration``.
        number: After how many of them it was.
        checkpoint: The name of the best checkpoint's file, if the detections are of that; else empty.
    """

    unit: str
    number: int
    checkpoint: str = ''

    def __str__(self) -> str:
        """Which one it is, in words."""
        return f'the validation after {self.unit} {self.number}'


def kept_prefix(work_dir: str | Path) -> Path:
    """The beginning of the names of the kept files; ``.bbox.json`` is what follows."""
    return Path(work_dir, FOLDER, NOTE).with_suffix('')


def kept_file(work_dir: str | Path) -> Path:
    """The kept detections, boxes only."""
    return kept_prefix(work_dir).with_suffix('.bbox.json')


def read_kept(work_dir: str | Path) -> KeptValidation | None:
    """Which validation's detections a work dir has; None if they are not there or not whole."""
    kept = _read(Path(work_dir, FOLDER, NOTE), KeptValidation)
    return kept if kept_file(work_dir).is_file() else None


def forget_kept(work_dir: str | Path) -> None:
    """Removes the note, so that the files count no more."""
    Path(work_dir, FOLDER, NOTE).unlink(missing_ok=True)


def note_kept(work_dir: str | Path, kept: KeptValidation) -> None:
    """Notes which validation the files are of, when they are written."""
    _write(Path(work_dir, FOLDER, NOTE), asdict(kept))


def best_checkpoint_file(work_dir: str | Path) -> Path | None:
    """The newest of the best checkpoints in a work dir, else of all; None where there is none."""
    folder = Path(work_dir)
    found = [*folder.glob('best_*.pth')] or [*folder.glob('*.pth')]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as part:
        part.write_text(json.dumps(values, indent=1), encoding='utf-8')


def _read(path: Path, kind: type[Record]) -> Record | None:
    """The content of a file; None where it is absent, or is not what this version writes."""
    if not path.is_file():
        return None
    try:
        return kind(**json.loads(read_text(path)))
    except (TypeError, ValueError, RecursionError):
        return None
