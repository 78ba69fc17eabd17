"""k-fold: trainings in processes of their own, one of which does not see a class."""

import json
import re

from tests.integration.runs import run_tool, succeed
from tests.integration.test_exports import CONFIG, SMALL, flat_voc


def test_two_folds_of_an_export_are_trained(shapes, tmp_path):
    root, folder = tmp_path / 'my data', tmp_path / 'k fold'
    flat_voc(shapes, root)
    first, *_ = kept = sorted(root.glob('*.xml'))[:5]
    for path in set(root.iterdir()) - {*kept, *(path.with_suffix('.jpg') for path in kept)}:
        path.unlink()
    first.write_text(re.sub('<name>.*?</name>', '<name>rare</name>', first.read_text(), count=1))
    args = ['misc/kfold.py', CONFIG, '--folds', 2, '--work-dir', folder]
    printed = succeed(run_tool(*args, '--cfg-options', f'data_root={root}', *SMALL)).splitlines()
    assert printed[0] == f'5 images in 2 folds, seed 0; to {folder}'
    content = json.loads((folder / 'kfold.json').read_text())
    assert [one['images'] for one in content['folds']] == [3, 2]
    assert content['classes']['rare']['folds'] == 1
    lists = [(folder / f'fold_{number}/split_val.txt').read_text().split() for number in (1, 2)]
    assert sorted(lists[0] + lists[1]) == [path.with_suffix('.jpg').name for path in kept]
    began = [printed.index(f'fold {number} of 2') for number in (1, 2)]
    warned = [
        number
        for number, line in enumerate(printed)
        if 'nothing is learnt of them' in line and 'rare' in line
    ]
    blind = next(number for number in (0, 1) if first.with_suffix('.jpg').name in lists[number])
    assert [began[1] < number for number in warned] == [bool(blind)]
    figures = re.findall(r'^epoch 1/1  AP (\S+)  AP50 (\S+)', '\n'.join(printed), re.MULTILINE)
    assert [
        tuple(f'{one["figures"][name]:.3f}' for name in ('AP', 'AP50')) for one in content['folds']
    ] == figures
