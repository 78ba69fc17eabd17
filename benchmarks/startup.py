"""What passes before a training does anything: ours beside MMYOLO 0.6.0.

    benchmarks/make_env.sh mmyolo     # once
    python benchmarks/startup.py

From the start of the process to its end for ``tools/train.py -h`` and the import of the models, and to the
line of the first iteration in the log for a training: YOLOX-nano, 416 pixels, batch 8, 2 workers, on 64 made
pictures with three classes, from random weights on the CPU. The training is stopped then. Runs take turns;
the first of each, which finds no file in the system's cache, is not counted. ``--profile`` instead prints
which packages our training imports until then, and how long they take.
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

from side_by_side import add_peer, check_peers, table, take_turns

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name('startup_peer.py')
FIRST = re.compile(r'Epoch\(train\) +\[1\]\[ *1/')

OUR_CONFIG = """
_base_ = '{root}/configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'
data_root = '{data}'
"""
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
LOG_EVERY = ['--cfg-options', 'default_hooks.logger.interval=1']


def make_data(folder: Path) -> Path:
    """Makes the data set."""
    tool = str(ROOT / 'tools/dataset_converters/make_shapes.py')
    options = ['--train', '64', '--val', '8', '--size', '416']
    subprocess.run([sys.executable, tool, str(folder), *options], check=True, stdout=subprocess.DEVNULL)
    return folder


def write_configs(folder: Path, mmyolo: Path) -> tuple[Path, Path]:
    """Writes our config and MMYOLO's for the same data."""
    data = make_data(folder / 'data')
    configs = subprocess.run([mmyolo, PEER, 'configs'], check=True, capture_output=True, text=True).stdout
    ours, theirs = folder / 'ours.py', folder / 'mmyolo.py'
    ours.write_text(OUR_CONFIG.format(root=ROOT, data=data))
    # MMYOLO asks for the classes once more; ours reads them from the file.
    classes = ('circle', 'square', 'triangle')
    theirs.write_text(MMYOLO_CONFIG.format(configs=configs.strip(), data=data, classes=classes))
    return ours, theirs


def seconds_until(command: Sequence[str | Path], pattern: re.Pattern[str] | None = None) -> float:
    """Seconds from the start of a process to a line that it prints, or to its end.

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
        printed.append(line)
        if pattern and pattern.search(line):
            seconds = time.perf_counter() - start
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return seconds
    if process.wait() or pattern:
        raise RuntimeError(f'{command} failed:\n{"".join(printed[-20:])}')
    return time.perf_counter() - start


def compare(mmyolo: Path, repeats: int) -> str:
    """The table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = write_configs(folder, mmyolo)
        train = [sys.executable, ROOT / 'tools/train.py']
        options = [ours, '--verbose', '--work-dir', folder / 'ours', *LOG_EVERY]
        peer_options = [theirs, '--work-dir', folder / 'theirs', *LOG_EVERY]
        commands = {
            '`tools/train.py -h`': ([*train, '-h'], [mmyolo, PEER, 'train', '-h'], None),
            'import the models': (
                [sys.executable, '-c', 'import mmyolox.models'],
                [mmyolo, PEER, 'models'],
                None,
            ),
            'first iteration': ([*train, *options], [mmyolo, PEER, 'train', *peer_options], FIRST),
        }
        runs = {
            (what, side): lambda command=pair[side], until=pair[2]: seconds_until(command, until)
            for what, pair in commands.items()
            for side in (0, 1)
        }
        times = {key: median(values) for key, values in take_turns(runs, repeats).items()}
    rows = [
        (what, f'{times[what, 0]:.2f}', f'{times[what, 1]:.2f}', f'{times[what, 1] / times[what, 0]:.1f}x')
        for what in commands
    ]
    return table(('seconds until', 'ours', 'MMYOLO', 'ratio'), rows)


def profile_imports() -> str:
    """A table of the packages that our training imports until its end, the slowest first."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name, 'ours.py')
        config.write_text(OUR_CONFIG.format(root=ROOT, data=make_data(Path(name, 'data'))))
        command = [sys.executable, '-X', 'importtime', str(ROOT / 'tools/train.py'), str(config)]
        options = ['--work-dir', name, '--cfg-options', 'max_epochs=1', 'num_last_epochs=0']
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
