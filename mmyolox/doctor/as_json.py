"""A diagnosis as JSON, for other programs."""

from typing import Any

from .diagnosis import Diagnosis, Finding


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis as JSON can hold it.

    Returns:
        A dict of ``data`` (what was looked at), ``img_scale``, ``checked`` (the names of the checks made),
        ``left_out`` (what others lacked, by name), ``failed`` (the names of those that failed by a fault
        of ours), and ``findings``, errors first: each with the ``name``, ``severity``, ``what`` and
        ``advice`` of its check, ``noun``, ``count`` of ``total``, ``splits``, and ``examples``, the worst
        first, each with ``place`` and ``detail``.
    """
    raw = diagnosis.data.raw
    splits = [
        dict(
            name=split.name,
            format=split.format,
            source=split.source,
            images=len(split.images),
            boxes=len(split.boxes),
        )
        for split in raw.splits
    ]
    return dict(
        data=dict(source=raw.source, splits=splits, classes=[*raw.classes], notes=[*raw.notes]),
        img_scale=[*diagnosis.data.plan.img_scale],
        checked=[*diagnosis.checked],
        left_out=dict(diagnosis.left_out),
        failed=[*diagnosis.failed],
        findings=[_finding(finding) for finding in diagnosis.findings],
    )


def _finding(finding: Finding) -> dict[str, Any]:
    check, found = finding.check, finding.found
    return dict(
        name=check.name,
        severity=check.severity.value,
        what=check.what,
        noun=found.noun,
        count=found.count,
        total=found.total,
        splits=dict(found.splits),
        examples=[dict(place=example.place, detail=example.detail) for example in found.examples],
        advice=found.advice or check.advice,
    )
