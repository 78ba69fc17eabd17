"""Whether a long training and a long service keep their memory, files, threads and processes.

    python benchmarks/soak.py

Trains 2,000 iterations of a nano with multi-scale on generated pictures (``tools/train.py``, two workers, a
validation every 25 epochs), then detects 20,000 times in pictures of changing sizes, one a call, with the
checkpoint in PyTorch and with its export in ONNX Runtime. After a warm-up (the first third) nothing may grow:
the memory of the last third may be above that of the second by 32 MiB or 3%, the rest by nothing. Compared is
what is held at half of the looks or more: a validation, a checkpoint and the switch to the last epochs take
more while they last. Prints that and the highest of each third, and exits with 1 where something grew. Needs
Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RECIPE = 'yolox_nano_fast_1xb8-50e_custom'
PICTURES, BATCH, SIDE = 80, 4, 96
SLACK_MIB, SLACK_SHARE = 32, 0.03
PAUSE = 0.5  # seconds between two looks at a training


class Usage(NamedTuple):
    """What a process and those below it hold.

    Attributes:
        mib: Resident memory, MiB; pages that processes share count for each of them.
        files: Open file descriptors.
        threads: Threads.
        processes: Processes.
        shared: Files in ``/dev/shm``.
    """

    mib: int
    files: int
    threads: int
    processes: int
    shared: int


def usage(pid: int) -> Usage:
    """Looks at a process; what ends meanwhile counts as nothing."""
    mib = files = threads = 0
    pids = [pid]
    for one in pids:  # grows
        folder = Path('/proc', str(one))
        try:
            fields = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
            mib += int(fields.get('VmRSS', '0').split()[0]) >> 10
            threads += int(fields['Threads'])
            files += len(os.listdir(folder / 'fd'))
            for task in (folder / 'task').iterdir():
                pids += map(int, (task / 'children').read_text().split())
        except OSError:
            continue
    ours = (path for path in Path('/dev/shm').glob('*torch*') if path.name.split('_')[1:2] == [str(pid)])
    return Usage(mib, files, threads, len(pids), len(list(ours)))


def make_data(folder: Path) -> None:
    run('dataset_converters/make_shapes.py', folder, '--train', PICTURES, '--val', 8, '--size', 128)


def run(tool: str, *args: object) -> None:
    subprocess.run([sys.executable, ROOT / 'tools' / tool, *map(str, args)], check=True)


def train(folder: Path, iterations: int) -> list[Usage]:
    """Trains, and returns looks at the training from its first iteration on."""
    epochs = max(iterations * BATCH // PICTURES, 3)
    options = [f'data_root={folder / "data"}', f'img_scale=({SIDE},{SIDE})', f'max_epochs={epochs}']
    options += [f'train_batch_size_per_gpu={BATCH}', 'train_num_workers=2', 'val_num_workers=1']
    options += ['val_interval=25', 'default_hooks.checkpoint.interval=25', 'num_last_epochs=2']
    options += [
        f'{loader}_dataloader.dataset.img_scale=({SIDE},{SIDE})' for loader in ('train', 'val', 'test')
    ]
    command = [sys.executable, ROOT / 'tools/train.py', RECIPE, '--verbose', '--work-dir', folder / 'run']
    looks: list[Usage] = []
    with (
        (folder / 'log').open('w') as log,
        subprocess.Popen(
            [*map(str, command), '--cfg-options', *options], stdout=log, stderr=subprocess.STDOUT
        ) as training,
    ):
        while training.poll() is None:
            if list((folder / 'run').glob('epoch_*.pth')) or 'Epoch(train)' in (folder / 'log').read_text():
                looks.append(usage(training.pid))
            time.sleep(PAUSE)
    if training.returncode:
        raise SystemExit((folder / 'log').read_text()[-2000:])
    return looks


def serve(file: Path, calls: int) -> list[Usage]:
    """Detects in this process, and returns looks at it."""
    import numpy as np

    from mmyolox.apis import detect, open_detector

    detector, rng, looks = open_detector(file), np.random.default_rng(0), []
    pictures = [
        rng.integers(0, 256, (int(height), int(width), 3), dtype=np.uint8)
        for height, width in rng.integers(20, 300, (50, 2))
    ]
    for call in range(calls):
        (sample,) = detect(detector, [pictures[call % len(pictures)]])
        assert len(sample.pred_instances.bboxes) == len(sample.pred_instances.scores)
        if call % max(calls // 100, 1) == 0:
            looks.append(usage(os.getpid()))
    return looks


def report(what: str, looks: Sequence[Usage]) -> bool:
    """Prints the highest of each third, and returns whether something grew after the first."""
    third = len(looks) // 3
    parts = (looks[:third], looks[third : 2 * third], looks[2 * third :])
    grown = []
    for index, name in enumerate(Usage._fields):
        thirds = [[look[index] for look in part] for part in parts]
        held = [median_low(values) for values in thirds]
        slack = max(SLACK_MIB, held[1] * SLACK_SHARE) if name == 'mib' else 0
        grown += [name] if held[2] > held[1] + slack else []
        shown = ' | '.join(f'{typical} ({max(values)})' for typical, values in zip(held, thirds, strict=True))
        print(f'| {what} | {name} | {shown} | {"GREW" if name in grown else "flat"} |')
    return bool(grown)


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Looks for what grows in a long training and a long service.'
    )
    parser.add_argument('--iterations', type=int, default=2000, help='of the training (default: %(default)s)')
    parser.add_argument('--calls', type=int, default=20_000, help='of detect (default: %(default)s)')
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder / 'data')
        print(f'{args.iterations} iterations ...', flush=True)
        outcomes = {f'{args.iterations} iterations': train(folder, args.iterations)}
        checkpoint = sorted((folder / 'run').glob('epoch_*.pth'))[-1]
        run('deployment/export.py', checkpoint, '--out', folder / 'nano.onnx')
        for kind, file in (('PyTorch', checkpoint), ('ONNX Runtime', folder / 'nano.onnx')):
            print(f'{args.calls} calls of detect, {kind} ...', flush=True)
            outcomes[f'{args.calls} calls of detect, {kind}'] = serve(file, args.calls)
    print('| what | | first third | second | last | |\n|---|---|---|---|---|---|')
    grown = [what for what, looks in outcomes.items() if report(what, looks)]
    return int(bool(grown))


if __name__ == '__main__':
    sys.exit(main())
