"""Errors by type: ours beside tidecv 1.0.1's and hotcoco's.

    benchmarks/make_env.sh tidecv     # once
    python benchmarks/analysis_parity.py --truth instances_val2017.json --results found.bbox.json

Prints the AP50, what each type of error costs and how many there are. Without ``--results`` random cases of
``tests/analysis`` are compared. tidecv gets the detections that count in COCO's evaluation: the first 100 of
a class in an image, and none in crowds. Exits with 1 where a cost differs from tidecv's by 0.1 points or
more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from side_by_side import add_peer, check_peers, table

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name('analysis_parity_peer.py')
NAMES = dict(
    zip(
        ('class', 'place', 'both', 'duplicate', 'background', 'missed'),
        ('Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss'),
        strict=True,
    )
)
ALLOWED = 0.1


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='errors by type, beside tidecv and hotcoco')
    parser.add_argument('--truth', type=Path, help='COCO annotations')
    parser.add_argument('--results', type=Path, help="detections in COCO's result format")
    parser.add_argument('--seeds', type=int, default=3, help='random cases (default: %(default)s)')
    add_peer(parser, 'tidecv')
    args = parser.parse_args()
    check_peers(parser, args, 'tidecv')
    return args


def cases(args: argparse.Namespace) -> dict[str, Any]:
    """The cases to compare, by name."""
    if args.results:
        from mmyolox.analysis import Case, GroundTruth
        from mmyolox.datasets.coco_file import read_coco

        truth = GroundTruth.of_annotations(read_coco(str(args.truth)))
        return {args.results.name: Case.of_results(truth, args.results)}
    sys.path.insert(0, str(ROOT))
    from tests.analysis.random_cases import random_case

    return {
        f'seed {seed}, crowds {crowds}': random_case(seed, crowds=crowds)[0]
        for crowds in (0.0, 0.2)
        for seed in range(args.seeds)
    }


def of_tidecv(python: Path, case: Any, is_counted: Any) -> dict[str, Any]:
    """What tidecv makes of a case."""
    truth, found = case.truth, case.detections

    def entries(mask: Any) -> list[Any]:
        columns = truth.images[mask], truth.labels[mask], xywh(truth.bboxes[mask])
        return [list(one) for one in zip(*(column.tolist() for column in columns), strict=True)]

    columns = found.images, found.labels, found.scores, xywh(found.bboxes)
    detections = zip(*(column[is_counted].tolist() for column in columns), strict=True)
    content = dict(
        images=list(range(len(truth.image_ids))),
        objects=entries(~truth.is_crowd),
        crowds=entries(truth.is_crowd),
        detections=[list(one) for one in detections],
    )
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(content, file)
        file.flush()
        done = subprocess.run([python, PEER, file.name], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def xywh(bboxes: Any) -> Any:
    import numpy as np

    return np.concatenate([bboxes[:, :2], bboxes[:, 2:] - bboxes[:, :2]], 1)


def compare(name: str, case: Any, python: Path) -> float:
    """Prints the table of a case, and returns the largest difference of a cost from tidecv's, in points."""
    from mmyolox.analysis import analyse
    from mmyolox.analysis.coco_figures import evaluated

    ours = analyse(case)
    tidecv = of_tidecv(python, case, ours.matching.is_counted)
    hotcoco = evaluated(case).tide_errors()
    errors = ours.errors
    rows = [('AP50', 100 * errors.ap50, tidecv['ap'], 100 * hotcoco['ap_base'], '', '', '')]
    for number, (own, theirs) in enumerate(NAMES.items()):
        counts = int(errors.counts[number]), tidecv['counts'][theirs], hotcoco['counts'][theirs]
        costs = 100 * errors.cost_of[own], tidecv['costs'][theirs], 100 * hotcoco['delta_ap'][theirs]
        rows.append((own, *costs, *counts))
    for own, short, theirs in (('false_positives', 'FalsePos', 'FP'), ('false_negatives', 'FalseNeg', 'FN')):
        costs = 100 * getattr(errors, own), tidecv['costs'][short], 100 * hotcoco['delta_ap'][theirs]
        rows.append((own.replace('_', ' '), *costs, '', '', ''))
    print(f'\n{name}: {len(case.truth.labels)} objects, {len(case.detections)} detections\n')
    heads = ('cost in points', 'ours', 'tidecv', 'hotcoco', 'count', 'tidecv', 'hotcoco')
    texts = [[f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    print(table(heads, texts))
    return max(abs(row[1] - row[2]) for row in rows)


def main() -> None:
    args = parse_args()
    largest = max(compare(name, case, args.tidecv) for name, case in cases(args).items())
    print(f'\nlargest difference from tidecv: {largest:.4f} points (allowed: {ALLOWED})')
    sys.exit(largest >= ALLOWED)


if __name__ == '__main__':
    main()
