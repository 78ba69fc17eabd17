"""From what lies in a work dir to what a report is about."""

import json
import os.path as osp
from datetime import timedelta
from pathlib import Path

from mmyolox.analysis import Analysis, Case, GroundTruth
from mmyolox.curves import Curves, read_curves
from mmyolox.errors import UserError, counted, first_few, one_line
from mmyolox.files import read_text

from .run import Run
from .training_records import RunRecord, best_checkpoint_file, kept_file, kept_prefix, read_kept, read_runs


def kept_case(work_dir: str | Path, truth: GroundTruth) -> Case | None:
    """The detections that a training kept, beside what was to be found.

    Args:
        work_dir: Its work dir.
        truth: The data set that it validated on.

    Returns:
        Both; None where no detections are kept.

    Raises:
        UserError: The detections are of other data.
    """
    if read_kept(work_dir) is None:
        return None
    keypoints = kept_prefix(work_dir).with_suffix('.keypoints.json')
    return Case.of_results(
        truth, kept_file(work_dir), name_of(work_dir), keypoints if keypoints.is_file() else None
    )


def training_run(work_dir: str | Path, analysis: Analysis | None, origin: str = '') -> Run:
    """What is to be said of a training.

    Args:
        work_dir: Its work dir.
        analysis: What its model does wrong; None for one that kept no detections.
        origin: Which detections these are, a sentence; by default those that the training kept.
    """
    runs = read_runs(work_dir)
    best = best_checkpoint_file(work_dir)
    return Run(
        name_of(work_dir),
        origin or _origin(work_dir, best),
        analysis,
        _facts(runs),
        runs[-1].environment if runs else {},
        recorded_curves(work_dir),
        '' if best is None else osp.relpath(best),
    )


def image_groups(truth: GroundTruth, field: str) -> list[str] | None:
    """The group of each image of a data set.

    Args:
        truth: The data set.
        field: What they are grouped by: ``folder``, or a field of the images in a file of COCO's format.

    Returns:
        A name for each image; None for their folders.

    Raises:
        UserError: The data set is not in one such file, or none of its images has the field.
    """
    if field == 'folder':
        return None
    option = f'--group-by {field}'
    if not Path(truth.path).is_file() or Path(truth.path).suffix != '.json':
        raise UserError(f"{option}: only a file in COCO's format has fields of images; group them by folder")
    entries = json.loads(read_text(truth.path))['images']
    values = {entry['id']: entry[field] for entry in entries if field in entry}
    if not values:
        known = first_few(sorted({name for entry in entries for name in entry}), 10)
        raise UserError(f'{option}: no image of {truth.path} has this field; they have {known}')
    return [one_line(str(values.get(image_id, 'none'))) for image_id in truth.image_ids]


def name_of(work_dir: str | Path) -> str:
    """What a training is called: the name of its work dir."""
    return Path(work_dir).resolve().name


def recorded_curves(work_dir: str | Path) -> Curves | None:
    """The curves of a training; None where nothing is recorded."""
    try:
        return read_curves(work_dir)
    except UserError:
        return None


def _origin(work_dir: str | Path, best: Path | None) -> str:
    """Which detections are kept, in a sentence."""
    kept = read_kept(work_dir)
    if kept is None:
        return 'No detections of a validation are kept, so that there is nothing to analyse.'
    if kept.checkpoint:
        return f'The detections are those of {kept}, the best one: `{kept.checkpoint}`.'
    is_other = best is not None and best.name.startswith('best_')
    other = f'; those of the best checkpoint, `{best.name}`, are not kept' if best and is_other else ''
    return f'The detections are those of {kept}{other}.'


def _facts(runs: list[RunRecord]) -> dict[str, str]:
    """What the runs of a training record, the last one's facts, by name."""
    if not runs:
        return {}
    last = runs[-1]
    seconds = sum(run.seconds for run in runs)
    facts = dict(
        began=runs[0].began,
        trained=f'{counted(last.epoch, "epoch")}, {counted(last.iteration, "iteration")} '
        f'in {timedelta(seconds=round(seconds))}',
    )
    if len(runs) > 1:
        begins = ', '.join(str(run.first_epoch) for run in runs[1:])
        facts['resumed'] = f'after epoch {begins}'
    for name, text in last.facts:
        facts[name] = f'{facts[name]}; {text}' if name in facts else text
    return facts
