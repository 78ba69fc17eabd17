"""The lists of a seeded split in the work dir."""

from types import SimpleNamespace

from mmyolox.engine.hooks.split_lists import SplitListsHook
from tests.datasets.small_sets import open_coco, write_coco


def begin(folder, **datasets):
    loops = {f'{split}_loop': None for split in ('train', 'val')} | {
        f'{split}_loop': SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
        for split, dataset in datasets.items()
    }
    SplitListsHook().before_train(SimpleNamespace(work_dir=folder, **loops))
    return {path.name: path.read_text().splitlines() for path in folder.glob('*.txt')}


def test_both_parts_are_listed(tmp_path):
    write_coco(tmp_path / 'data', 7)
    fold = dict(count=3, held_out=False)
    train, val = (
        open_coco(tmp_path / 'data', [], fold=dict(fold, held_out=held_out)) for held_out in (False, True)
    )
    lists = begin(tmp_path, train=train, val=val)
    assert lists.keys() == {'split_train.txt', 'split_val.txt'}
    assert sorted(name for names in lists.values() for name in names) == [
        f'images/{number}.png' for number in range(7)
    ]
    assert len(lists['split_val.txt']) == 3


def test_a_split_of_its_own_has_no_list(tmp_path):
    write_coco(tmp_path / 'data', 2)
    assert begin(tmp_path, train=open_coco(tmp_path / 'data', [])) == {}
