"""Lists of the images of a training and its validation, and warnings of those in both."""

import os
from types import SimpleNamespace

import pytest

from mmyolox.engine.hooks.splits import SplitsHook, same_files
from tests.datasets.small_sets import open_coco, write_coco

FOLD = dict(count=3, held_out=False)
PARTS = dict(train=FOLD, val=dict(FOLD, held_out=True))


@pytest.fixture
def begin(tmp_path):
    """Begins a training with data sets by split; returns its warnings and the lists in its work dir."""

    def call(resumed_from=None, it=0, **datasets):
        lines = []
        loops = {
            f'{split}_loop': SimpleNamespace(dataloader=SimpleNamespace(dataset=datasets[split]))
            if split in datasets
            else None
            for split in ('train', 'val')
        }
        logger = SimpleNamespace(warning=lines.append)
        options = dict(work_dir=tmp_path, _resume=bool(it), iter=it, _load_from=resumed_from, logger=logger)
        SplitsHook().before_train(SimpleNamespace(**options, **loops))
        return lines, {path.name: path.read_text().splitlines() for path in tmp_path.glob('*.txt')}

    return call


def parts(folder, count, **changes):
    """The two parts of ``count`` images."""
    write_coco(folder, count)
    return {split: open_coco(folder, [], fold=fold | changes) for split, fold in PARTS.items()}


def test_both_parts_are_listed(begin, tmp_path):
    lines, lists = begin(**parts(tmp_path / 'data', 7))
    assert lists.keys() == {'split_train.txt', 'split_val.txt'}
    assert sorted(name for names in lists.values() for name in names) == [
        f'images/{number}.png' for number in range(7)
    ]
    assert len(lists['split_val.txt']) == 3
    assert lines == []


def test_a_split_of_its_own_has_no_list(begin, tmp_path):
    write_coco(tmp_path / 'data', 2)
    assert begin(train=open_coco(tmp_path / 'data', [])) == ([], {})


@pytest.mark.parametrize('form', ['same', 'relative', 'link'])
def test_images_that_are_trained_on_and_validate_are_told(begin, tmp_path, monkeypatch, form):
    data = write_coco(tmp_path / 'data', 5)
    monkeypatch.chdir(data)
    (tmp_path / 'link').symlink_to(data)
    root = dict(same=data, relative='../data', link=tmp_path / 'link')[form]
    lines, _ = begin(train=open_coco(root, []), val=open_coco(data, [], indices=[1, 2]))
    assert lines == [
        '2 of 2 images of the validation are trained on, too, so that the figures will be too good '
        f'({data}/images/1.png, {data}/images/2.png): take them out of one of the two'
    ]
    other = write_coco(tmp_path / 'other', 5)
    assert begin(train=open_coco(root, []), val=open_coco(other, [])) == ([], {})


@pytest.mark.parametrize('link', [os.symlink, os.link])
@pytest.mark.parametrize('linked', ['train', 'val'])
def test_links_to_the_same_images_are_told(begin, tmp_path, link, linked):
    folders = {split: write_coco(tmp_path / split, 5) for split in ('train', 'val')}
    other = {'train': 'val', 'val': 'train'}[linked]
    for name in ('1.png', '4.png'):
        path = folders[linked] / 'images' / name
        path.unlink()
        link(folders[other] / 'images' / name, path)
    (line,), _ = begin(**{split: open_coco(folder, []) for split, folder in folders.items()})
    assert line.startswith('2 of 5 images of the validation are trained on, too')
    images = folders['train'] / 'images'
    assert f'({images / "1.png"}, {images / "4.png"})' in line


def test_links_of_other_names_lead_to_the_same_files(tmp_path):
    for name in ('a', 'b', 'c', 'd'):
        (tmp_path / name).write_text(name)
    (tmp_path / 'soft').symlink_to('a')
    (tmp_path / 'hard').hardlink_to(tmp_path / 'b')
    (tmp_path / 'nowhere').symlink_to('absent')
    files = [(str(tmp_path), name) for name in ('soft', 'hard', 'nowhere', 'c', 'absent', 'd', 'c')]
    others = {str(tmp_path / name) for name in ('a', 'b', 'c', 'gone')}
    same = [str(tmp_path / name) for name in ('soft', 'hard', 'c')]
    assert same_files(files, others) == same
    remote = [('s3://data', 'a.png'), ('s3://data', 'b.png')]
    assert same_files(remote, {'s3://data/b.png'}) == ['s3://data/b.png']


@pytest.mark.parametrize('beside', [True, False])
def test_a_resumed_training_warns_of_images_that_have_become_those_of_the_validation(begin, tmp_path, beside):
    data = tmp_path / 'data'
    _, lists = begin(**parts(data, 20))
    resumed_from = str(tmp_path / 'epoch_1.pth') if beside else None
    assert begin(resumed_from, it=3, **parts(data, 20)) == ([], lists)
    (line,), after = begin(resumed_from, it=3, **parts(data, 21))
    val = parts(data, 21)['val']
    held_out = [val.get_data_info(index)['img_id'] for index in range(len(val))]
    moved = {*lists['split_train.txt']} & {f'images/{number}.png' for number in held_out}
    assert moved
    assert line.startswith(f'{len(moved)} of 7 images of the validation were trained on before')
    assert 'begin anew in another --work-dir' in line
    assert after == lists
    # A training that begins anew, or from the checkpoint of another folder, is told nothing.
    assert begin(str(tmp_path / 'other/epoch_1.pth'), it=3, **parts(data, 21))[0] == []
    lines, anew = begin(**parts(data, 20, seed=1))
    assert lines == []
    assert anew != lists
