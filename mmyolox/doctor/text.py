"""A diagnosis as text for a terminal: a table of what was found, then each finding with its worst cases."""

import textwrap
from collections import Counter
from collections.abc import Iterator

from mmyolox.errors import counted, one_line

from .check import Severity
from .diagnosis import Diagnosis, Finding

_CLASSES = 8
"""How many classes are named with their counts."""


def describe(diagnosis: Diagnosis, shown: int = 3, width: int = 100) -> str:
    """A diagnosis in lines.

    Args:
        diagnosis: The diagnosis.
        shown: How many of the worst cases are told of each finding.
        width: How many characters a line of prose has at most.
    """
    lines = [*_data_lines(diagnosis), '', summary(diagnosis)]
    if diagnosis.findings:
        lines += ['', *_table(diagnosis)]
    for finding in diagnosis.findings:
        lines += ['', *_finding_lines(finding, shown, width)]
    return '\n'.join(lines)


def summary(diagnosis: Diagnosis) -> str:
    """What was found, in a line: ``2 errors, 1 warning; 60 checks made``."""
    counts = [(len(diagnosis.of(severity)), severity.value) for severity in Severity]
    found = ', '.join(counted(count, noun) for count, noun in counts if count) or 'nothing found'
    made = counted(len(diagnosis.checked), 'check')
    lacking = Counter(diagnosis.left_out.values())
    left_out = [f'{count} left out for want of {what}' for what, count in lacking.items()]
    failed = [f'{name} failed, by a fault of the doctor' for name in diagnosis.failed]
    return '; '.join([found, ', '.join([f'{made} made', *left_out]), *failed])


def _data_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """What was looked at."""
    data = diagnosis.data
    yield one_line(f'data      {data.raw.source}')
    for split in data.raw.splits:
        images, boxes = counted(len(split.images), 'image'), counted(len(split.boxes), 'box')
        yield one_line(f'{split.name:<10}{images}, {boxes}  ({split.format}: {split.source})')
    counts = [0] * len(data.raw.classes)
    for label in data.raw.boxes.labels.tolist():
        counts[label] += 1
    ranked = sorted(zip(counts, data.raw.classes, strict=True), key=lambda pair: -pair[0])
    names = ', '.join(f'{name} {count}' for count, name in ranked[:_CLASSES])
    yield one_line(f'classes   {len(ranked)}: {names}{", ..." * (len(ranked) > _CLASSES)}')
    width, height = data.plan.img_scale
    yield f'input     {width} x {height}'
    for note in data.raw.notes:
        yield one_line(f'note      {note}')


def _table(diagnosis: Diagnosis) -> Iterator[str]:
    """A line for each finding."""
    longest = max(len(finding.check.name) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        found = finding.found
        share = f'{found.share:.1%}'
        name = finding.check.name.ljust(longest)
        yield f'{finding.check.severity.value:<8} {name}  {found.count:>7}  {share:>6}  {finding.check.what}'


def _finding_lines(finding: Finding, shown: int, width: int) -> Iterator[str]:
    """A finding with its worst cases and the advice."""
    check, found = finding.check, finding.found
    yield f'{check.severity.value} {check.name}: {check.what}'
    splits = ', '.join(f'{name} {count}' for name, count in found.splits.items())
    yield f'  {found.describe()}{splits and f" ({splits})"}'
    for example in found.examples[:shown]:
        yield f'    {one_line(str(example))}'
    if found.count > shown:
        yield '    ...'
    yield from textwrap.wrap(
        found.advice or check.advice, width, initial_indent='  -> ', subsequent_indent='     '
    )
