"""Shows the whole way on the CPU, in a few minutes: data, training, evaluation, pictures, curves.

    mmyolox demo        (what ``make demo`` calls; ``make demo-pose`` does the same with keypoints)

Everything is written to ``demo/`` in the current folder. Each step is one of the tools, with the command line
that is printed. Ends with status 1 if the trained model's figure is below the least (AP50 0.90).
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.files import atomic_write, list_images, writing
from mmyolox.utils.cli import run_tool

ROOT = Path(__file__).resolve().parents[1]
TRAIN = 'tools/train.py'

_START = time.monotonic()

_TRAIN = re.compile(r'Epoch\(train\) +\[(\d+)\]\[ *(\d+)/(\d+)\].* eta: (.+?)  .* loss: (\S+)')
_VAL = r'Epoch\(val\).* coco/{iou_type}_mAP: (\S+) +coco/{iou_type}_mAP_50: (\S+)'
_OBJECTS = dict(bbox='', keypoints='keypoint ')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--config', default='yolox_w025_fast_1xb16-44e_shapes', help='of the training')
    parser.add_argument('--metric', default='bbox_mAP_50', help='the figure that --least is about')
    parser.add_argument('--least', type=float, default=0.90, help='status 1 if the figure is below it')
    parser.add_argument('--out', type=Path, default=Path('demo'), help='folder of the results')
    parser.add_argument('--images', type=int, default=400, help='number of training images')
    parser.add_argument('--pictures', type=int, default=16, help='number of pictures on the sheet')
    parser.add_argument(
        '--next', default='yolox_s_fast_1xb8-50e_custom', help='the config to tell of, for own data'
    )
    return parser.parse_args(argv)


def announce(step: str) -> None:
    """Begins a step on the screen, with the time since the start."""
    print(f'\n==> [{time.monotonic() - _START:3.0f} s] {step}', flush=True)


def shown_path(tool: str) -> str:
    """The path of one of the tools, seen from the current folder."""
    return os.path.relpath(ROOT / tool)


def run(tool: str, *args: object) -> Iterator[str]:
    """Runs one of the tools and yields the lines that it prints, as they come.

    Raises:
        UserError: It fails; its last lines are printed before.
    """
    words = [shown_path(tool), *map(str, args)]
    print('    python', shlex.join(words), flush=True)
    last: deque[str] = deque(maxlen=15)
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            yield last[-1]
    if process.returncode:
        print(*last, sep='\n', file=sys.stderr)
        raise UserError(f'{tool} ended with status {process.returncode}; its last lines are above')


def progress(line: str, iou_type: str = 'bbox') -> str | None:
    """A line of the training's log in short; None for one that tells no progress.

    Args:
        line: A line of the log.
        iou_type: What the average precision is of: ``bbox`` or ``keypoints``.
    """
    if match := _TRAIN.search(line):
        epoch, iteration, iterations, eta, loss = match.groups()
        return f'    epoch {epoch:>2}, {iteration:>2}/{iterations}: loss {float(loss):6.3f}, {eta} left'
    if match := re.search(_VAL.format(iou_type=iou_type), line):
        title = short_title(f'{iou_type}_mAP')
        return f'    validation: {title} {float(match[1]):.3f}, AP50 {float(match[2]):.3f}'
    return None


def short_title(metric: str) -> str:
    """A metric's name in short: ``AP50`` for ``bbox_mAP_50``, ``keypoint AP`` for ``keypoints_mAP``."""
    iou_type, _, threshold = metric.partition('_mAP')
    return f'{_OBJECTS.get(iou_type, f"{iou_type} ")}AP{threshold.removeprefix("_")}'


def clear(out: Path) -> None:
    """Makes the folder of the results, and removes those of an earlier demo.

    Raises:
        UserError: The folder has files, and none of a demo.
    """
    mark = out / '.demo'
    if out.is_dir() and any(out.iterdir()) and not mark.exists():
        raise UserError(f'--out {out}: what this folder holds is not from a demo; name another, or remove it')
    for folder in ('data', 'work', 'test', 'predictions'):
        shutil.rmtree(out / folder, ignore_errors=True)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        mark.touch()


def make_data(folder: Path, images: int) -> None:
    """Makes the data set, with so many training images."""
    tool = 'tools/dataset_converters/make_shapes.py'
    counts = ['--train', images, '--val', 100]
    looks = ['--size', 160, '--shapes', 1, 3, '--radius', 0.13, 0.24, '--max-rotation', 15]
    for line in run(tool, folder, *counts, *looks):
        print(f'    {line}')


def train(config: str, data: Path, work_dir: Path, iou_type: str) -> Path:
    """Trains, and returns the last checkpoint."""
    options = ('--verbose', '--work-dir', work_dir, '--cfg-options', f'data_root={data}/')
    for line in run(TRAIN, config, *options):
        if short := progress(line, iou_type):
            print(short, flush=True)
    return Path((work_dir / 'last_checkpoint').read_text().strip())


def evaluate(
    config: str, checkpoint: Path, data: Path, work_dir: Path, iou_type: str
) -> tuple[dict[str, float], str]:
    """Evaluates a checkpoint.

    Returns:
        The metrics by name, and a table of the APs, overall and of each class.
    """
    data_and_classes = (f'data_root={data}/', 'test_evaluator.classwise=True')
    options = ('--verbose', '--work-dir', work_dir, '--cfg-options', *data_and_classes)
    lines = run('tools/test.py', config, checkpoint, *options)
    by_class = [line for line in lines if line.startswith(('+', '|'))]
    record = max(work_dir.glob('*/*.json'))
    metrics = {key.rpartition('/')[2]: value for key, value in json.loads(record.read_text()).items()}
    names = [f'{iou_type}_mAP{threshold}' for threshold in ('', '_50', '_75')]
    width = max(map(len, names)) + 1
    return metrics, '\n'.join([*(f'{name:{width}} {metrics[name]:.3f}' for name in names), *by_class])


def draw(config: str, checkpoint: Path, images: Path, out_dir: Path, count: int) -> Path:
    """Draws predictions on all images of a folder, and returns a sheet with the first ``count`` of them."""
    from mmyolox.apis.drawing import contact_sheet, write_image
    from mmyolox.datasets.transforms import read_image

    for line in run('tools/image_demo.py', images, config, checkpoint, '--out-dir', out_dir):
        if 'objects in' in line:
            print(f'    {line}')
    pictures = [read_image(str(path)) for path in list_images(out_dir)[:count]]
    sheet = out_dir.with_suffix('.jpg')
    write_image(sheet, contact_sheet(pictures))
    return sheet


def plot(work_dir: Path, out: Path) -> None:
    """Plots the curves of a training."""
    for line in run('tools/analysis_tools/plot_curves.py', work_dir, '--out', out):
        print(f'    {line}')


NEXT = """
Next, your own images, annotated in COCO's format{converters}:

    my_data/annotations/train.json
    my_data/annotations/val.json
    my_data/images/...

    {command} {config} --cfg-options data_root=my_data
"""
_CONVERTERS = dict(
    bbox=' (tools/dataset_converters has voc2coco.py and yolo2coco.py)', keypoints=', with keypoints'
)


def main() -> None:
    """Does one step after the other, and says what came of it."""
    args = parse_args()
    out, iou_type = args.out, args.metric.partition('_mAP')[0]
    clear(out)
    announce(f'1/4 Making a data set of {args.images + 100} pictures of shapes')
    make_data(out / 'data', args.images)
    announce('2/4 Training a small YOLOX on it from random weights: a few minutes on two CPU cores')
    checkpoint = train(args.config, out / 'data', out / 'work', iou_type)
    announce('3/4 Evaluating')
    metrics, table = evaluate(args.config, checkpoint, out / 'data', out / 'test', iou_type)
    with atomic_write(out / 'ap.txt') as part:
        part.write_text(table + '\n')
    print(table)
    announce('4/4 Drawing predictions and curves')
    sheet = draw(args.config, checkpoint, out / 'data/images/val', out / 'predictions', args.pictures)
    plot(out / 'work', out / 'curves.png')
    reached = f'{short_title(args.metric)} {metrics[args.metric]:.3f}'
    announce(f'Done: {reached}')
    print(f'    {sheet} (all in {out}/predictions), {out}/curves.png, {out}/ap.txt, {checkpoint}')
    if metrics[args.metric] < args.least:
        raise UserError(f'{reached} is below {args.least}: something does not learn')
    python = Path(sys.executable)
    command = f'{os.path.relpath(python) if python.is_relative_to(ROOT) else python} {shown_path(TRAIN)}'
    print(NEXT.format(command=command, config=args.next, converters=_CONVERTERS[iou_type]))


if __name__ == '__main__':
    run_tool(main)
