"""mmyolox/datasets/splits.py: which split a name means; seeded splits by image."""

import os.path as osp
import random

import pytest

from mmyolox.datasets.splits import Fold, image_names, split_named, usual_split, without_split
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco

NAMES = [f'photos/{number}.jpg' for number in range(23)]


def names_of(fold, names=NAMES):
    return {names[number] for number in fold.chosen(names)}


def test_the_parts_are_even_and_make_up_the_whole():
    parts = [names_of(Fold(5, index, 0, True)) for index in range(5)]
    assert sorted(map(len, parts)) == [4, 4, 5, 5, 5]
    assert set().union(*parts) == set(NAMES)
    for index, part in enumerate(parts):
        assert names_of(Fold(5, index, 0, False)) == set(NAMES) - part


def test_the_split_is_the_same_on_every_machine_and_in_any_order():
    assert sorted(names_of(Fold(8, 0, 0, True))) == ['photos/11.jpg', 'photos/16.jpg', 'photos/9.jpg']
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    assert names_of(Fold(5, 0, 0, True), shuffled) == names_of(Fold(5, 0, 0, True))
    assert names_of(Fold(5, 0, 1, True)) != names_of(Fold(5, 0, 0, True))


def test_copies_of_an_image_stay_together():
    copies = [f'{n}_jpg.rf.{c * 32}.jpg' for n in range(10) for c in 'ab']
    held_out = names_of(Fold(5, 0, 0, True), copies)
    assert len(held_out) == 4
    assert len({name.partition('.rf.')[0] for name in held_out}) == 2


@pytest.mark.parametrize('held_out', [True, False])
@pytest.mark.parametrize(('count', 'index', 'names'), [(5, 0, ['a']), (5, 3, ['a', 'b', 'c']), (2, 0, [])])
def test_a_part_without_images_is_refused(count, index, names, held_out):
    with pytest.raises(UserError, match='images cannot be split into a part to train on and one of'):
        Fold(count, index, 0, held_out).chosen(names)


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        (dict(count=5, held_out=True, idx=1), r"fold has no 'idx'; did you mean index\?"),
        (dict(count=5), r"lacks 'held_out'"),
        (dict(held_out=True), r"lacks 'count'"),
        (dict(count=5, index=5, held_out=True), 'index be from 0 to 4'),
        (dict(count=1, held_out=True), 'count must be at least 2'),
        (dict(count=2.5, held_out=True), 'must be whole numbers'),
    ],
)
def test_what_is_no_fold(spec, message):
    with pytest.raises(UserError, match=message):
        Fold.of(spec)


def test_names_are_relative_to_the_root():
    assert image_names(['/d/a/b.jpg', '/other/c.jpg'], '/d') == ['a/b.jpg', '/other/c.jpg']
    assert image_names(['a/b.jpg', 'a\\c.jpg'], '') == ['a/b.jpg', 'a/c.jpg']


@pytest.mark.parametrize('root', ['d', './d', 'd/', 'd//', 'e/../d', '{}/d', '{}/e/../d', '{}/./d/'])
def test_names_do_not_depend_on_how_the_root_is_written(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    root = root.format(tmp_path)
    given = [osp.join(root, name) for name in ('a/b.jpg', '../c.jpg', '/other/c.jpg')]
    paths = ['d/a/b.jpg', f'{tmp_path}/d/a/b.jpg', *given]
    assert image_names(paths, root) == 3 * ['a/b.jpg'] + ['../c.jpg', '/other/c.jpg']


@pytest.mark.parametrize('test_mode', [True, False])
def test_a_data_set_has_its_part(tmp_path, test_mode):
    write_coco(tmp_path, 10)
    parts = [
        open_coco(tmp_path, [], test_mode=test_mode, fold=dict(count=5, seed=2, held_out=held_out))
        for held_out in (False, True)
    ]
    ids = [{part.get_data_info(index)['img_id'] for index in range(len(part))} for part in parts]
    assert (len(ids[0]), len(ids[1]), ids[0] | ids[1]) == (8, 2, set(range(10)))
    assert [part.report.images for part in parts] == [8, 2]


@pytest.mark.parametrize(
    ('name', 'split', 'rest'),
    [
        ('instances_val2017', 'val', 'instances 2017'),
        ('trainval', 'train', ''),
        ('myTraining', 'train', 'my'),
        ('dev', 'val', ''),
        ('test-dev', None, ''),
        ('default', None, 'default'),
        ('constraints', None, 'constraints'),
    ],
)
def test_words_of_a_name(name, split, rest):
    assert (split_named(name), without_split(name)) == (split, rest)


@pytest.mark.parametrize(
    ('split', 'there', 'found'),
    [
        ('train', ['trainval', 'Train', 'val'], 'Train'),
        ('train', ['trainval', 'default'], 'trainval'),
        ('train', ['default'], 'default'),
        ('val', ['default', 'dog_val'], None),
        ('val', ['eval', 'VALID'], 'VALID'),
        ('test', ['testing'], 'testing'),
    ],
)
def test_the_likeliest_list_or_folder(split, there, found):
    assert usual_split(split, there) == found
