"""The long fuzz: ``python -m tests.fuzz --cases 100000``.

Each target runs in a process of its own, which may take 2 GiB of memory more than it starts with, and whose
cases may take 5 seconds. Prints the progress and a table at the end; exits with 1 if there was a fault, whose
first case stands below the table.
"""

import argparse
import faulthandler
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

TURN = 500
"""Cases between two lines of progress; hypothesis keeps what it knows of all of them."""
LAST_PATIENCE = 30
"""Seconds after which a process ends in a case that code in C keeps from being stopped earlier."""
MEMORY, ADDRESSES = 2 << 30, 8 << 30
"""Bytes that a process may use beside those after its first cases, and may ask for."""
HEAD = ('target', 'cases', 'refused', 'accepted', 'faults', 'slowest (s)', 'peak memory (MiB)')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Feeds every reader with odd and damaged files.')
    parser.add_argument('--cases', type=int, default=100_000, help='of all targets (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=1, help='other cases (default: %(default)s)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='processes (default: one a core)')
    parser.add_argument('--only', nargs='+', metavar='TARGET', help='these targets alone')
    parser.add_argument('--worker', metavar='TARGET', help=argparse.SUPPRESS)
    return parser.parse_args()


def guarded(run: Callable[..., object]) -> Callable[..., None]:
    """Ends the process when a case takes ``LAST_PATIENCE``."""

    def one(case: Any, folder: Path) -> None:
        faulthandler.dump_traceback_later(LAST_PATIENCE, exit=True)
        try:
            run(case, folder)
        finally:
            faulthandler.cancel_dump_traceback_later()

    return one


def work(name: str, cases: int, seed: int) -> None:
    """Runs the cases of a target, and prints what became of them as JSON after every turn."""
    from tests.fuzz.checks import Tally, fuzz, peak_memory, quiet
    from tests.fuzz.targets import TARGETS

    quiet()
    target = replace(TARGETS[name], run=guarded(TARGETS[name].run))
    fuzz(target, 10, 0, Tally())
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, used + ADDRESSES))
    at_start, tally, turn = peak_memory(), Tally(), 0
    while tally.cases < cases and turn < 2 * cases:
        fuzz(target, min(TURN, cases - tally.cases), seed * 10_000 + turn, tally)
        turn += 1
        memory = peak_memory() - at_start
        if memory > MEMORY:
            tally.faults[f'over {MEMORY >> 30} GiB of memory'] = 1
        print(tally.as_json(dict(memory=memory)), flush=True)


def run_target(name: str, cases: int, seed: int) -> dict[str, Any]:
    """Runs a target in a process, and returns what it said last."""
    command = [
        sys.executable,
        '-m',
        'tests.fuzz',
        '--worker',
        name,
        '--cases',
        str(cases),
        '--seed',
        str(seed),
    ]
    environment = dict(os.environ, OMP_NUM_THREADS='1', OPENCV_LOG_LEVEL='SILENT', PYTHONWARNINGS='ignore')
    outcome: dict[str, Any] = dict(cases=0, refused=0, slowest=0.0, faults={}, examples={}, memory=0)
    with (
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors='replace',
            env=environment,
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        errors = reader.submit(process.stderr.read)
        for line in process.stdout:
            if line.startswith('{'):
                outcome = json.loads(line)
                print(f'{name}: {outcome["cases"]} of {cases}', flush=True)
    if process.returncode:
        outcome['faults']['the process died'] = 1
        outcome['examples']['the process died'] = f'status {process.returncode}: {errors.result()[-3000:]}'
    return outcome


def table(outcomes: Mapping[str, dict[str, Any]]) -> str:
    """The outcomes of the targets, a row each, and their sum."""
    rows = [
        (name, o['cases'], o['refused'], o['cases'] - o['refused'], sum(o['faults'].values()))
        + (round(o['slowest'], 2), o['memory'] >> 20)
        for name, o in outcomes.items()
    ]
    columns = list(zip(*rows, strict=True))
    rows.append(('all', *map(sum, columns[1:5]), *map(max, columns[5:])))
    lines = [HEAD, tuple('---' for _ in HEAD), *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def main() -> int:
    args = parse_args()
    if args.worker:
        work(args.worker, args.cases, args.seed)
        return 0
    from tests.fuzz.targets import TARGETS

    chosen = {name: target for name, target in TARGETS.items() if name in (args.only or TARGETS)}
    total, begin = sum(target.share for target in chosen.values()), time.monotonic()
    counts = {name: round(args.cases * target.share / total) for name, target in chosen.items()}
    with ThreadPoolExecutor(args.jobs) as pool:
        done = pool.map(lambda name: run_target(name, counts[name], args.seed), chosen)
        outcomes = dict(zip(chosen, done, strict=True))
    print(table(outcomes))
    print(f'{time.monotonic() - begin:.0f} s')
    for name, outcome in outcomes.items():
        for fault, count in outcome['faults'].items():
            print(f'\n{name}: {fault}: {count} cases, such as\n{outcome["examples"].get(fault)}')
    return int(any(outcome['faults'] for outcome in outcomes.values()))


if __name__ == '__main__':
    sys.exit(main())
