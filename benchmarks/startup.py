"""What passes before a training does anything: ours beside MMYOLO 0.6.0.

    benchmarks/make_env.sh mmyolo     # once
    python benchmarks/startup.py

From the start of the process to its end for ``tools/train.py -h`` and the import of the models, and to the
line of the first iteration in the log for a training: YOLOX-nano, 416 pixels, batch 8, 2 workers, on 64 made
pictures with three classes, from random weights on the CPU. The training is stopped then. Runs take turns;
the first of each, which finds no file in the system's cache, is not counted. The last row has the lines that
each prints before its first one of progress, ours without ``--verbose``, as users call it. ``--profile``
instead prints which packages our training imports until then, and how long they take.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from side_by_side import add_peer, check_peers, table, take_turns

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name('startup_peer.py')
FIRST = re.compile(r'Epoch\(train\) +\[1\]\[ *1/')
PROGRESS = re.compile(r'^epoch +\d+/')

MMYOLO_CONFIG = """
_base_ = '{configs}/yolox_nano_fast_8xb8-300e_coco.py'
files = dict(
    data_root='{data}/',
    data_prefix=dict(img='images/'),
    metainfo=dict(classes={classes}),
    filter_cfg=dict(filter_empty_gt=False, min_size=1),
)
train_dataloader = dict(num_workers=2, dataset=dict(ann_file='annotations/train.json', **files))
val_dataloader = dict(dataset=dict(ann_file='annotations/val.json', **files))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='{data}/annotations/val.json')
test_evaluator = val_evaluator
model = dict(bbox_head=dict(head_module=dict(num_classes=3)))
"""
LOG_EVERY = ['--cfg-options', 'default_hooks.logger.interval=1']  # else its first line is the fiftieth


class Start(NamedTuple):
    """How a process began.

    Attributes:
        seconds: The time until it was that far.
        lines: What it had printed by then.
    """

    seconds: float
    lines: int


def make_data(folder: Path) -> Path:
    """Makes the data set."""
    tool = str(ROOT / 'tools/dataset_converters/make_shapes.py')
    options = ['--train', '64', '--val', '8', '--size', '416']
    subprocess.run([sys.executable, tool, str(folder), *options], check=True, stdout=subprocess.DEVNULL)
    return folder


def write_peer_config(folder: Path, data: Path, mmyolo: Path) -> Path:
    """Writes MMYOLO's config for the data, whose classes it asks for once more."""
    configs = subprocess.run([mmyolo, PEER, 'configs'], check=True, capture_output=True, text=True).stdout
    path = folder / 'mmyolo.py'
    classes = ('circle', 'square', 'triangle')
    path.write_text(MMYOLO_CONFIG.format(configs=configs.strip(), data=data, classes=classes))
    return path


def start_until(command: Sequence[str | Path], pattern: re.Pattern[str] | None = None) -> Start:
    """What passes from the start of a process to a line that it prints, or to its end.

    Raises:
        RuntimeError: it ends without the line, or fails; the message is the end of what it printed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # its workers are to end with it
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        if pattern and pattern.search(line):
            seconds = time.perf_counter() - start
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Start(seconds, len(printed))
        printed.append(line)
    if process.wait() or pattern:
        raise RuntimeError(f'{command} failed:\n{"".join(printed[-20:])}')
    return Start(time.perf_counter() - start, len(printed))


def compare(mmyolo: Path, repeats: int) -> str:
    """The table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_data(folder / 'data')
        theirs = write_peer_config(folder, data, mmyolo)
        train = [sys.executable, ROOT / 'tools/train.py']
        ours = [*train, 'yolox_nano', '--work-dir', folder / 'ours']
        data_root = ['--cfg-options', f'data_root={data}']
        peer_train = [mmyolo, PEER, 'train', theirs, '--work-dir', folder / 'theirs', *LOG_EVERY]
        commands = {
            '`tools/train.py -h`': ([*train, '-h'], [mmyolo, PEER, 'train', '-h'], None),
            'import the models': (
                [sys.executable, '-c', 'import mmyolox.models'],
                [mmyolo, PEER, 'models'],
                None,
            ),
            'first iteration': ([*ours, '--verbose', *data_root, LOG_EVERY[1]], peer_train, FIRST),
        }
        runs = {
            (what, side): lambda command=pair[side], until=pair[2]: start_until(command, until)
            for what, pair in commands.items()
            for side in (0, 1)
        }
        starts = take_turns(runs, repeats)
        lines = start_until([*ours, *data_root], PROGRESS).lines
    rows = []
    for what in commands:
        seconds, peer = (median(start.seconds for start in starts[what, side]) for side in (0, 1))
        rows.append((what, f'{seconds:.2f}', f'{peer:.2f}', f'{peer / seconds:.1f}x'))
    rows.append(('lines before that', str(lines), str(starts['first iteration', 1][-1].lines), ''))
    return table(('seconds until', 'ours', 'MMYOLO', 'ratio'), rows)


def profile_imports() -> str:
    """A table of the packages that our training imports until its end, the slowest first."""
    with tempfile.TemporaryDirectory() as name:
        data = make_data(Path(name, 'data'))
        command = [sys.executable, '-X', 'importtime', str(ROOT / 'tools/train.py'), 'yolox_nano']
        options = [
            '--work-dir',
            name,
            '--cfg-options',
            f'data_root={data}',
            'max_epochs=1',
            'num_last_epochs=0',
        ]
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    milliseconds: defaultdict[str, float] = defaultdict(float)
    for own, module in re.findall(r'import time: +(\d+) \| +\d+ \| +(\S+)', done.stderr):
        milliseconds[module.split('.')[0]] += int(own) / 1000
    slowest = sorted(milliseconds.items(), key=lambda item: -item[1])[:20]
    total = ('all', f'{sum(milliseconds.values()):.0f}')
    return table(('package', 'ms'), [total, *((package, f'{time:.0f}') for package, time in slowest)])


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='start-up of ours and of MMYOLO')
    add_peer(parser, 'mmyolo')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--profile', action='store_true', help='only list what our training imports')
    args = parser.parse_args()
    if args.profile:
        print(profile_imports())
        return
    check_peers(parser, args, 'mmyolo')
    print(compare(args.mmyolo, args.repeats))


if __name__ == '__main__':
    main()
