"""Every check finds the fault that is planted for it, and nothing is found where nothing was planted."""

import pytest

from mmyolox.doctor.checks import CHECKS
from tests.doctor.plants import PLANTS
from tests.doctor.small_set import copy_set, diagnosed, names_found, write_set

KINDS = [('coco', False), ('coco', True), ('yolo', False), ('yolo', True), ('voc', False)]


@pytest.fixture(scope='session')
def clean_sets(tmp_path_factory):
    """The data sets without a fault, by format and keypoints; to be copied, and left as they are."""
    root = tmp_path_factory.mktemp('clean')
    return {kind: write_set(root / f'{kind[0]}_{kind[1]}', *kind) for kind in KINDS}


def test_every_check_has_a_plant():
    assert PLANTS.keys() == CHECKS.keys()


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_is_found_in_a_clean_data_set(clean_sets, kind):
    diagnosis = diagnosed(clean_sets[kind].root)
    shown = {finding.check.name: finding.found.examples for finding in diagnosis.findings}
    assert not shown


@pytest.mark.parametrize('name', PLANTS)
def test_a_planted_fault_is_found_under_its_name(clean_sets, tmp_path, name):
    planted = PLANTS[name]
    small = copy_set(clean_sets[planted.format, planted.keypoints], tmp_path / 'set')
    planted.plant(small)
    diagnosis = diagnosed(small.root, planted.plan)
    assert names_found(diagnosis) == {name, *planted.siblings}
    finding = next(finding for finding in diagnosis.findings if finding.check.name == name)
    assert finding.found.count == planted.count
    assert 0 < len(finding.found.examples) <= finding.found.count
    assert finding.found.count <= finding.found.total
