"""The page of the docs and the checks say the same."""

import re
from pathlib import Path

from mmyolox.doctor.checks import CHECKS

PAGE = Path(__file__).parents[2] / 'docs' / 'doctor.md'


def test_the_table_has_all_checks_as_they_are():
    rows = re.findall(r'^\| `([\w-]+)` \| (\w+) \| (.*) \|$', PAGE.read_text(encoding='utf-8'), re.MULTILINE)
    assert rows == [(name, check.severity.value, check.what) for name, check in CHECKS.items()]
