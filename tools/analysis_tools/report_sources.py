"""What `mmyolox report` is given, and what becomes of it: what a model detects, and what is known of it."""

import os.path as osp
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmyolox.analysis import Analysis, Case, Detections, GroundTruth, analyse
from mmyolox.analysis.skeleton import Skeleton
from mmyolox.apis import Detector, TorchDetector, open_detector
from mmyolox.apis.evaluate import evaluate, image_dataset
from mmyolox.checkpoints.convert import state_dict_of
from mmyolox.checkpoints.load import load_checkpoint
from mmyolox.checkpoints.record import read_record
from mmyolox.config import load_config, require
from mmyolox.config.data_layout import GIVEN
from mmyolox.config.find import find_saved_config
from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.datasets.coco_file import read_coco
from mmyolox.deploy.formats import format_of
from mmyolox.errors import SHOWN, UserError, counted, first_few, one_line
from mmyolox.files import from_here
from mmyolox.registry import DATASETS, METRICS
from mmyolox.report.build import image_groups, kept_case, training_run
from mmyolox.report.run import Run
from mmyolox.report.training_records import best_checkpoint_file, read_kept, read_runs

BOXES, POSES = 'yolox_s_fast_1xb8-50e_custom', 'yolox-pose_s_1xb8-50e_custom'
"""The configs of ours that recognise a data set, of which nothing but the data set is read."""
_DATA = (*GIVEN, 'classes')
"""The options that are of data; all others are of the model."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says of all that is reported.

    Attributes:
        config: The config of the data, and of a checkpoint; None for the one that fits.
        options: Values of the config to change.
        split: ``val`` or ``test``.
        group_by: What images are grouped by, see :func:`mmyolox.report.build.image_groups`.
        device: Where checkpoints run; None for the accelerator, if there is one.
        batch_size: Of models.
        allow_unsafe: Whether checkpoints may hold more than weights.
    """

    config: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    split: str = 'val'
    group_by: str = 'folder'
    device: str | None = None
    batch_size: int = 8
    allow_unsafe: bool = False

    @property
    def names_data(self) -> bool:
        """Whether an option says where data are."""
        return not {*_DATA}.isdisjoint(self.options)

    def of_model(self) -> dict[str, Any]:
        """The options that are not of data."""
        return {name: value for name, value in self.options.items() if name not in _DATA}

    def analyse(self, case: Case) -> Analysis:
        """Analyses a case, which may take a while."""
        counts = counted(len(case.detections), 'detection'), counted(len(case.truth.image_ids), 'image')
        say(f'{case.name}: analysing {counts[0]} in {counts[1]}')
        return analyse(case, image_groups(case.truth, self.group_by))


def say(text: str) -> None:
    """Shows a line to whoever waits."""
    MMLogger.get_current_instance().info(one_line(text), extra=SHOWN)


def run_of(source: str, wanted: Wanted) -> Run:
    """What is to be reported of something.

    Args:
        source: The work dir of a training; a checkpoint, its web address, or a name such as ``yolox_s``; an
            exported file; or a JSON file in COCO's result format.
        wanted: What the command line says.

    Raises:
        UserError: It cannot be used, or its data cannot.
    """
    if osp.isdir(source) and format_of(source) is None:
        return run_of_training(source, wanted)
    if source.lower().endswith('.json'):
        if not osp.exists(source):
            raise UserError(f'result file {from_here(source)} not found')
        return run_of_results(source, wanted)
    if source.lower().endswith('.py'):
        raise UserError(f'{source}: a config is given by --config, beside the model or its detections')
    return run_of_model(source, wanted)


def run_of_training(work_dir: str, wanted: Wanted) -> Run:
    """What is to be reported of a training: the detections that it kept, or what its best checkpoint detects.

    Where nothing but the work dir is named, and the data are not at hand, it is a report without an analysis.

    Args:
        work_dir: Its work dir.
        wanted: What the command line says.

    Raises:
        UserError: It is no work dir of a training, or data that are named cannot be used.
    """
    best = best_checkpoint_file(work_dir)
    if best is None and not read_runs(work_dir) and not [*Path(work_dir).glob('*/vis_data/scalars.json')]:
        raise UserError(
            f'{work_dir}: neither checkpoints nor records of a training are in this folder; give a work dir, '
            'a checkpoint, an exported file, or detections (.json)'
        )
    kept = read_kept(work_dir)
    is_best = kept is not None and (
        not best or not best.name.startswith('best_') or kept.checkpoint == best.name
    )
    is_plain = not (wanted.config or wanted.options) and wanted.split == 'val'
    try:
        config = saved_config(work_dir, best, wanted) if is_best and is_plain else None
        if config is not None:
            case = kept_case(work_dir, open_truth(config, wanted, {}))
            return training_run(work_dir, None if case is None else wanted.analyse(case))
        if best is not None:
            return run_of_model(str(best), wanted)
        missing = 'There is no checkpoint, and no detections are kept'
    except UserError as error:
        if not is_plain:
            raise
        missing = f'Nothing is analysed: {error}'
    say(f'{work_dir}: {missing}')
    return training_run(work_dir, None, missing)


def saved_config(work_dir: str | Path, checkpoint: Path | None, wanted: Wanted) -> Path | None:
    """The config that a training saved in its work dir, by the name that its checkpoint records.

    Other Python files may lie there, which are not to be run.

    Args:
        work_dir: The folder.
        checkpoint: A checkpoint in it, if there is one.
        wanted: What the command line says.

    Returns:
        The file; where nothing is recorded, that of the latest run's logs. None where there is none.
    """
    if checkpoint is not None:
        content = load_checkpoint(checkpoint, allow_unsafe=wanted.allow_unsafe)
        recipe = read_record(content, state_dict_of(content, str(checkpoint)), str(checkpoint)).recipe
        if found := find_saved_config(str(checkpoint), recipe):
            return found
    return max(Path(work_dir).glob('*/vis_data/config.py'), default=None)


def run_of_results(path: str, wanted: Wanted) -> Run:
    """What is to be reported of detections that any program wrote.

    Args:
        path: The JSON file, in COCO's result format; of boxes, beside which one of keypoints may lie.
        wanted: What the command line says.

    Raises:
        UserError: It does not fit the data, or nothing says which these are.
    """
    if not wanted.names_data and not wanted.config:
        raise UserError(
            f'{path}: nothing says which data these detections are of; give --ann-file and --img-prefix, or '
            '--cfg-options data_root=..., or the work dir of the training'
        )
    stem = path.removesuffix('.json').removesuffix('.bbox').removesuffix('.keypoints')
    keypoints = f'{stem}.keypoints.json'
    beside = keypoints if osp.isfile(keypoints) and keypoints != path else None
    truth = open_truth(wanted.config or (POSES if beside or has_keypoints(path) else BOXES), wanted, {})
    case = Case.of_results(truth, path, osp.basename(stem), beside)
    return Run(case.name, f'The detections are those of `{one_line(path)}`.', wanted.analyse(case))


def has_keypoints(path: str) -> bool:
    """Whether one of the first detections in a file has keypoints, and not an empty list or null."""
    if not osp.isfile(path):
        return False  # reading it tells
    with open(path, 'rb') as file:
        return re.search(rb'"keypoints"\s*:\s*\[\s*[^\s\]]', file.read(2**14)) is not None


def run_of_model(source: str, wanted: Wanted) -> Run:
    """What is to be reported of a model that is run on the data.

    Args:
        source: A checkpoint, its web address or name, or an exported file.
        wanted: What the command line says.

    Raises:
        UserError: It cannot be used, or the data cannot.
    """
    folder, is_exported = Path(source).parent, format_of(source) is not None
    beside = None
    if Path(source).is_file() and not is_exported and not wanted.config:
        beside = saved_config(folder, Path(source), wanted)
    config = wanted.config or (None if beside is None else str(beside))
    detector = open_detector(
        source,
        None if is_exported else config,
        wanted.device,
        wanted.of_model(),
        wanted.allow_unsafe,
    )
    data, metric = data_of_model(detector, config, wanted, source)
    init_default_scope('mmyolox')
    dataset = image_dataset(data, detector.channels)
    built = METRICS.build(metric)
    say(f'{source}: detecting in {counted(len(dataset), "image")}')
    evaluate(detector, dataset, built, wanted.batch_size)
    truth = GroundTruth.of_dataset(dataset)
    case = Case(truth, Detections.of_images(built.last_results, truth), model_name(source))
    origin = f'The detections are those of `{one_line(source)}` on {truth.path}.'
    analysis = wanted.analyse(case)
    if read_runs(folder):
        return replace(training_run(folder, analysis, origin), name=case.name, weights=source)
    return Run(case.name, origin, analysis, facts_of(detector, source), weights=source)


def model_name(source: str) -> str:
    """What a model is called: the name of its file; of a checkpoint in a work dir, that before it."""
    path = Path(source)
    return f'{path.resolve().parent.name}/{path.stem}' if read_runs(path.parent) else path.stem


def data_of_model(
    detector: Detector, config: str | None, wanted: Wanted, source: str
) -> tuple[ConfigDict, ConfigDict]:
    """The configs of the data set that a model is run on, and of its metric.

    Args:
        detector: The model.
        config: The config that is named, or lies beside a checkpoint.
        wanted: What the command line says.
        source: The model, for messages.

    Raises:
        UserError: Nothing says which data.
    """
    recorded = dict(detector.dataset_meta)
    if isinstance(detector, TorchDetector):
        recorded |= {
            name: value
            for name, value in detector.model.input_record.config_values().items()
            if name == 'trained_fold'
        }
        config = config or (None if wanted.names_data else detector.model.cfg.filename)
    if wanted.names_data and not wanted.config:
        config = POSES if recorded.get('skeleton') or recorded.get('keypoint_id2name') else BOXES
    if config is None:
        raise UserError(
            f'{source}: nothing says which data to run it on; give --cfg-options data_root=..., --config, or '
            '--ann-file and --img-prefix'
        )
    return data_of(config, wanted, recorded)


def data_of(config: str | Path, wanted: Wanted, recorded: Mapping[str, Any]) -> tuple[ConfigDict, ConfigDict]:
    """The configs of a config's data set, and of a metric that keeps the detections.

    Args:
        config: A config file, or the name of one of ours.
        wanted: What the command line says.
        recorded: What a model knows of its data.

    Raises:
        UserError: It has none, or the data cannot be read.
    """
    names = f'{wanted.split}_dataloader', f'{wanted.split}_evaluator'
    cfg = load_config(config, dict(wanted.options), dict(recorded))
    require(cfg, *names)
    init_default_scope(cfg.get('default_scope') or 'mmyolox')
    loader, evaluators = (cfg[name] for name in names)
    listed: Sequence[ConfigDict] = evaluators if isinstance(evaluators, Sequence) else [evaluators]
    ours = (one for one in listed if hasattr(METRICS.get(one.type), 'write_results'))
    return loader.dataset, next(ours, ConfigDict(type='YOLOXCocoMetric'))


def open_truth(config: str | Path, wanted: Wanted, recorded: Mapping[str, Any]) -> GroundTruth:
    """What is to be found in the data set of a config, whose images need not be there if it is COCO's format.

    The arguments, and what it raises, are those of :func:`data_of`.
    """
    data, _ = data_of(config, wanted, recorded)
    try:
        return GroundTruth.of_dataset(DATASETS.build(data))
    except UserError as error:
        dataset = DATASETS.build(dict(data, lazy_init=True))
        if not isinstance(dataset, YOLOXCocoDataset) or dataset.fold is not None:
            raise
        skeleton = Skeleton.of_metainfo(dataset.metainfo)
        file = read_coco(dataset.ann_file, fields=() if skeleton is None else ('keypoints',))
        classes = dataset.metainfo.get('classes')
        truth = GroundTruth.of_annotations(file, classes, dataset.data_prefix.get('img', ''), skeleton)
        say(f'annotations are analysed all the same, but {error}')
        return replace(truth, notes=(*truth.notes, f'the images are not as they should be: {error}'))


def facts_of(detector: Detector, source: str) -> dict[str, str]:
    """What is known of a model that no training of ours made in this place.

    Args:
        detector: The model.
        source: Its file.
    """
    classes = detector.dataset_meta['classes']
    facts = dict(weights=source, classes=f'{len(classes)}: {first_few(classes, 8)}')
    if isinstance(detector, TorchDetector):
        model = detector.model
        size = sum(parameter.numel() for parameter in model.parameters())
        facts |= dict(
            model=f'{type(model).__name__}, {size / 1e6:.2f} M parameters',
            recipe=model.input_record.recipe or 'not recorded',
            config=str(model.cfg.filename),
            input='{} x {}'.format(*model.cfg.test_dataloader.dataset.get('img_scale', ('?', '?'))),
            device=str(next(model.parameters()).device),
        )
    else:
        facts |= dict(format=format_of(source).title)
    return facts
