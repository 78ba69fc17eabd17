"""Every reader takes what it is fed, or refuses it in one line; ``make fuzz`` does so at length."""

import pytest

from tests.fuzz.checks import Tally, fuzz
from tests.fuzz.targets import TARGETS

LENGTHS = dict(options=40, options_of_recipes=10, config_files=40, logs=60)
LENGTHS |= dict.fromkeys(('doctor_coco', 'doctor_voc', 'doctor_yolo'), 40)
NEVER_READ = ('npz',)
# Of COCO's splits that cannot be read the doctor makes a finding; only a longer run breaks all of a set.
NEVER_REFUSED = ('option_values', 'doctor_coco')


@pytest.mark.parametrize('name', TARGETS)
def test_what_is_read_is_right_or_refused_in_a_line(name):
    tally, count = Tally(), LENGTHS.get(name, 120)
    fuzz(TARGETS[name], count, 0, tally)
    assert not tally.faults, tally.examples
    assert tally.cases >= count * 0.9
    assert (tally.refused > 0) == (name not in NEVER_REFUSED)
    assert (tally.refused < tally.cases) == (name not in NEVER_READ)
