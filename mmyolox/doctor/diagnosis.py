"""Running the checks, and what comes of it."""

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .check import Check, NotExaminedError, Severity
from .examined import Examined
from .found import Found


@dataclass(frozen=True)
class Finding:
    """What a check has found: at least one case."""

    check: Check
    found: Found


@dataclass(frozen=True)
class Diagnosis:
    """What all checks have found.

    Attributes:
        data: What was looked at.
        findings: The findings, errors first, in the order of the checks.
        checked: The names of the checks that were made.
        left_out: What the others lacked, by name: ``'the pixels'``.
        failed: The tracebacks of those that failed, which is a fault of ours, by name.
    """

    data: Examined
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    left_out: Mapping[str, str]
    failed: Mapping[str, str]

    @property
    def has_errors(self) -> bool:
        """Whether an error was found."""
        return any(one.check.severity is Severity.ERROR for one in self.findings)

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of a severity."""
        return [one for one in self.findings if one.check.severity is severity]


def diagnose(data: Examined, checks: Iterable[Check]) -> Diagnosis:
    """Makes checks; one that fails on odd data leaves the others to be made.

    Args:
        data: What to look at.
        checks: The checks.
    """
    findings, checked = [], []
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    for one in checks:
        try:
            with np.errstate(all='ignore'):  # figures at fault become NaN, for which no comparison holds
                found = one.find(data)
        except NotExaminedError as reason:
            left_out[one.name] = str(reason)
        except Exception:  # a report of what the others found is worth more than none
            failed[one.name] = traceback.format_exc()
        else:
            checked.append(one.name)
            if found.count:
                findings.append(Finding(one, found))
    order = [*Severity]
    findings.sort(key=lambda one: order.index(one.check.severity))
    return Diagnosis(data, tuple(findings), tuple(checked), left_out, failed)
