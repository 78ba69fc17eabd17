"""Shows the whole way on the CPU, in a few minutes: data, training, evaluation, pictures, curves.

    python tools/demo.py        (what ``make demo`` calls)

Everything is written to ``demo/``. Each step is one of the tools, with the command line that is printed. Ends
with status 1 if the trained detector's AP50 is below 0.90.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mmyolox.utils.cli import run_tool
from mmyolox.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
OUT = Path('demo')
CONFIG = 'yolox_w025_fast_1xb16-44e_shapes'
LEAST_AP50 = 0.90
PICTURES = 16

_START = time.monotonic()

_TRAIN = re.compile(r'Epoch\(train\) +\[(\d+)\]\[ *(\d+)/(\d+)\].* eta: (.+?)  .* loss: (\S+)')
_VAL = re.compile(r'Epoch\(val\).* coco/bbox_mAP: (\S+) +coco/bbox_mAP_50: (\S+)')


def announce(step: str) -> None:
    """Begins a step on the screen, with the time since the start."""
    print(f'\n==> [{time.monotonic() - _START:3.0f} s] {step}', flush=True)


def run(tool: str, *args: object) -> Iterator[str]:
    """Runs one of the tools and yields the lines that it prints, as they come.

    Raises:
        UserError: It fails; its last lines are printed before.
    """
    words = [tool, *map(str, args)]
    print('    python', shlex.join(words), flush=True)
    last: deque[str] = deque(maxlen=15)
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            yield last[-1]
    if process.returncode:
        print(*last, sep='\n', file=sys.stderr)
        raise UserError(f'{tool} ended with status {process.returncode}; its last lines are above')


def progress(line: str) -> str | None:
    """A line of the training's log in short; None for one that tells no progress."""
    if match := _TRAIN.search(line):
        epoch, iteration, iterations, eta, loss = match.groups()
        return f'    epoch {epoch:>2}, {iteration:>2}/{iterations}: loss {float(loss):6.3f}, {eta} left'
    if match := _VAL.search(line):
        return f'    validation: AP {float(match[1]):.3f}, AP50 {float(match[2]):.3f}'
    return None


def make_data(folder: Path) -> None:
    """Makes the data set."""
    tool = 'tools/dataset_converters/make_shapes.py'
    counts = ['--train', 400, '--val', 100]
    looks = ['--size', 160, '--shapes', 1, 3, '--radius', 0.13, 0.24, '--max-rotation', 15]
    for line in run(tool, folder, *counts, *looks):
        print(f'    {line}')


def train(work_dir: Path) -> Path:
    """Trains, and returns the last checkpoint."""
    for line in run('tools/train.py', CONFIG, '--work-dir', work_dir):
        if short := progress(line):
            print(short, flush=True)
    return Path((ROOT / work_dir / 'last_checkpoint').read_text().strip())


def evaluate(checkpoint: Path, work_dir: Path) -> tuple[dict[str, float], str]:
    """Evaluates a checkpoint.

    Returns:
        The metrics by name, and a table of the APs, overall and of each class.
    """
    options = ('--work-dir', work_dir, '--cfg-options', 'test_evaluator.classwise=True')
    lines = run('tools/test.py', CONFIG, checkpoint, *options)
    by_class = [line for line in lines if line.startswith(('+', '|'))]
    record = max((ROOT / work_dir).glob('*/*.json'))
    metrics = {key.rpartition('/')[2]: value for key, value in json.loads(record.read_text()).items()}
    overall = [f'{name:12} {metrics[name]:.3f}' for name in ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75')]
    return metrics, '\n'.join([*overall, *by_class])


def draw(checkpoint: Path, images: Path, out_dir: Path) -> Path:
    """Draws predictions on all images of a folder, and returns a sheet with the first of them."""
    import cv2

    from mmyolox.utils.dataset_files import list_images
    from mmyolox.utils.draw import contact_sheet

    for line in run('tools/image_demo.py', images, CONFIG, checkpoint, '--out-dir', out_dir):
        if 'objects in' in line:
            print(f'    {line}')
    pictures = [cv2.imread(str(path)) for path in list_images(ROOT / out_dir)[:PICTURES]]
    sheet = out_dir.with_suffix('.jpg')
    cv2.imwrite(str(ROOT / sheet), contact_sheet(pictures))
    return sheet


def plot(work_dir: Path, out: Path) -> None:
    """Plots the curves of a training."""
    for line in run('tools/analysis_tools/plot_curves.py', work_dir, '--out', out):
        print(f'    {line}')


NEXT = """
Next, your own images, annotated in COCO's format (tools/dataset_converters has voc2coco.py and yolo2coco.py):

    my_data/annotations/train.json
    my_data/annotations/val.json
    my_data/images/...

    {python} tools/train.py yolox_s_fast_1xb8-50e_custom --cfg-options data_root=my_data
"""


def main() -> None:
    """Does one step after the other, and says what came of it."""
    work_dir = OUT / 'work'
    for folder in ('data', 'work', 'test', 'predictions'):
        shutil.rmtree(ROOT / OUT / folder, ignore_errors=True)
    announce('1/4 Making a data set of 500 pictures of shapes')
    make_data(OUT / 'data')
    announce('2/4 Training a small YOLOX on it from random weights: a few minutes on two CPU cores')
    checkpoint = train(work_dir)
    announce('3/4 Evaluating')
    metrics, table = evaluate(checkpoint, OUT / 'test')
    (ROOT / OUT / 'ap.txt').write_text(table + '\n')
    print(table)
    announce('4/4 Drawing predictions and curves')
    sheet = draw(checkpoint, OUT / 'data/images/val', OUT / 'predictions')
    plot(work_dir, OUT / 'curves.png')
    announce(f'Done: AP50 {metrics["bbox_mAP_50"]:.3f}')
    print(f'    {sheet} (all in {OUT}/predictions), {OUT}/curves.png, {OUT}/ap.txt, {checkpoint}')
    if metrics['bbox_mAP_50'] < LEAST_AP50:
        raise UserError(f'AP50 {metrics["bbox_mAP_50"]:.3f} is below {LEAST_AP50}: something does not learn')
    python = Path(sys.executable)
    print(NEXT.format(python=python.relative_to(ROOT) if python.is_relative_to(ROOT) else python))


if __name__ == '__main__':
    run_tool(main)
