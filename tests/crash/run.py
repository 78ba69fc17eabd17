"""Kills trainings, restarts them, fills their disks, and looks whether anything is lost: ``make crash``.

    python tests/crash/run.py [--kills 30] [--restarts 10] [--disks all] [--jobs 2]

A training must end with the same checkpoints, by name and by bits, as one that nobody disturbed; a full disk
must leave the last good file and one line. About 15 minutes on two cores. Ends with status 1 if anything was
lost.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.crash.disks import disk_cases  # noqa: E402
from tests.crash.kills import Case, kill_cases  # noqa: E402
from tests.crash.restarts import JOINED, TWO, restart_cases  # noqa: E402
from tests.crash.trainings import RECIPES, LostError, Tool, write_config  # noqa: E402


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Kills trainings and fills disks, and looks whether anything is lost.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--kills', type=int, default=30, help='kill -9, half of them at moments with a name')
    parser.add_argument('--restarts', type=int, default=10, help='trainings that torchrun restarts')
    parser.add_argument('--disks', type=int, default=99, help='full disks, at most all that there are')
    parser.add_argument('--jobs', type=int, default=2, help='kills and disks at the same time')
    parser.add_argument('--seed', default='0', help='which moments are chosen')
    return parser.parse_args(argv)


def attempt(case: Case, folder: Path) -> tuple[str | None, float]:
    """Does what a case says; what was lost, or None, and the seconds that it took."""
    started = time.monotonic()
    try:
        case[1](folder)
    except LostError as failure:
        return str(failure), time.monotonic() - started
    except Exception:  # a case that cannot be done is a failure as well
        return traceback.format_exc(), time.monotonic() - started
    shutil.rmtree(folder, ignore_errors=True)
    return None, time.monotonic() - started


def run_part(part: str, cases: list[Case], folder: Path, jobs: int) -> tuple[str, int, int, float]:
    """Does the cases of a part, prints a line for each, and returns the part's line of the table."""
    started, failed = time.monotonic(), 0
    with ThreadPoolExecutor(jobs) as pool:
        runs = {
            pool.submit(attempt, case, folder / f'{part}-{index}'): case for index, case in enumerate(cases)
        }
        for number, run in enumerate(as_completed(runs), start=1):
            fault, seconds = run.result()
            failed += fault is not None
            print(
                f'{part} {number:>2}/{len(cases)}: {runs[run][0]}: {fault or "ok"} ({seconds:.0f} s)',
                flush=True,
            )
    return part, len(cases), failed, time.monotonic() - started


def main() -> int:
    args = parse_args()
    if args.disks and os.geteuid() and shutil.which('unshare'):  # only root may mount disks, also of its own
        own = ['unshare', '--user', '--map-root-user', '--mount', sys.executable, *sys.argv]
        os.execvp(own[0], own)
    folder = Path(tempfile.mkdtemp(prefix='crash-'))
    print(f'Everything is in {folder}; what went well is removed.', flush=True)
    data = folder / 'data'
    looks = ('--train', 16, '--val', 8, '--size', 64, '--shapes', 1, 3)
    Tool('dataset_converters/make_shapes.py', data, *looks).succeed()
    configs = [write_config(folder, data, recipe) for recipe in RECIPES]
    straight = [folder / f'straight-{index}' for index in range(len(configs))]
    whole = [
        Tool('train.py', config, '--work-dir', path) for config, path in zip(configs, straight, strict=True)
    ]
    for tool in whole:
        tool.succeed()
    table = []
    if args.kills:
        cases: list[Case] = []
        for index, (config, path) in enumerate(zip(configs, straight, strict=True)):
            count = args.kills // 2 + (args.kills % 2 if index == 0 else 0)
            cases += kill_cases(config, path, count // 2, count - count // 2, f'{args.seed} {index}')
        table.append(run_part('kill', cases, folder, args.jobs))
    if args.restarts:
        two = folder / 'straight-two'
        Tool('train.py', configs[1], '--work-dir', two, *JOINED, torchrun=TWO).succeed()
        cases = list(restart_cases(configs[1], two, args.restarts, args.seed))
        table.append(run_part('restart', cases, folder, 1))
    if args.disks:
        cases = disk_cases(configs[1], straight[1], data)[: args.disks]
        table.append(run_part('disk', cases, folder, args.jobs))
    print(f'\n{"":8} {"cases":>6} {"lost":>6} {"seconds":>8}')
    for part, count, failed, seconds in table:
        print(f'{part:8} {count:>6} {failed:>6} {seconds:>8.0f}')
    lost = sum(failed for _, _, failed, _ in table)
    if not lost:
        shutil.rmtree(folder)
    return int(lost > 0)


if __name__ == '__main__':
    sys.exit(main())
