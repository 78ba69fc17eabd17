"""The table of entries: what goes in comes out, for any choice among the entries."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from mmyolox.datasets.table import AnnotationTable, IdColumn, TextColumn


def entry(number, count, **more):
    rng = np.random.default_rng(number)
    return dict(
        img_id=number,
        img_path=f'Bilder/Hündin {number}.jpg',
        width=640,
        height=number + 1,
        bboxes=rng.uniform(0, 9, (count, 4)).astype(np.float32),
        labels=rng.integers(0, 5, count),
        is_crowd=rng.random(count) < 0.3,
    ) | dict(more)


def entries(**more):
    return [entry(number, count, **more) for number, count in enumerate((3, 0, 1, 5, 0))]


def is_equal(entry, wanted):
    assert entry.keys() == wanted.keys()
    for key, value in wanted.items():
        assert type(entry[key]) is type(value)
        if isinstance(value, np.ndarray):
            assert (entry[key].dtype, entry[key].shape) == (value.dtype, value.shape)
            assert entry[key].tobytes() == value.tobytes()
        else:
            assert entry[key] == value
    return True


@pytest.mark.parametrize(
    'more',
    [
        {},
        dict(keypoints=np.empty((0, 17, 3))),
        dict(text='Möwe \udcff', note=None, tags=['a', {'b': 1.5}]),
        dict(img_id='seven'),
        dict(width=2**70, flag=True),
    ],
)
def test_entries_come_out_as_they_went_in(more):
    given = entries(**more)
    for one in given:
        if 'keypoints' in one:
            one['keypoints'] = np.ones((len(one['bboxes']), 17, 3))
    given[2]['img_id'] = 'a'  # beside numbers
    table = AnnotationTable.of(given)
    assert len(table) == 5
    assert all(is_equal(table[i], one) for i, one in enumerate(given))
    assert is_equal(table[-2], given[3])
    with pytest.raises(IndexError):
        table[5]


def test_arrays_are_copies():
    table = AnnotationTable.of(entries())
    table[0]['bboxes'][:] = -1
    assert (table[0]['bboxes'] >= 0).all()


@pytest.mark.parametrize('chosen', [[0, 1, 2, 3, 4], [3], [4, 3, 3, 0], [], [1, 4]])
def test_columns_of_a_choice(chosen):
    given = entries()
    table = AnnotationTable.of(given).take(chosen)
    wanted = [given[i] for i in chosen]
    assert all(is_equal(one, given[i]) for one, i in zip(table, chosen, strict=True))
    assert table.counts.tolist() == [len(one['labels']) for one in wanted]
    assert [*table.images('img_path')] == [one['img_path'] for one in wanted]
    assert table.images('height').tolist() == [one['height'] for one in wanted]
    for key in ('bboxes', 'labels', 'is_crowd'):
        empty = given[0][key][:0]
        assert table.instances(key).tolist() == np.concatenate([empty, *(e[key] for e in wanted)]).tolist()
    assert table.objects.tolist() == [int((~one['is_crowd']).sum()) for one in wanted]


@pytest.mark.parametrize('chosen', [[0, 1, 2, 3, 4], [3, 0], [1]])
def test_class_counts_are_of_the_choice(chosen, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.table._BLOCK', 2)
    given = entries()
    counts = AnnotationTable.of(given).take(chosen).class_counts
    labels = np.concatenate([given[i]['labels'][~given[i]['is_crowd']] for i in chosen])
    assert [counts[label] if label < len(counts) else 0 for label in range(5)] == [
        (labels == label).sum() for label in range(5)
    ]


def test_what_was_released_is_read_again():
    table = AnnotationTable.of(entries())
    table.release()
    assert all(is_equal(one, wanted) for one, wanted in zip(table, entries(), strict=True))


@pytest.mark.parametrize('chosen', [None, [4, 3, 0]])
def test_blocks_are_all_entries_in_order(chosen, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.table._BLOCK', 2)
    given, table = entries(), AnnotationTable.of(entries())
    if chosen:
        given, table = [given[i] for i in chosen], table.take(chosen)
    blocks = [*table.blocks()]
    assert [len(block) for block in blocks] == [2] * (len(given) // 2) + [1]
    assert all(map(is_equal, (entry for block in blocks for entry in block), given))


def test_a_walk_through_texts_releases_what_was_read(monkeypatch):
    released = []
    monkeypatch.setattr('mmyolox.datasets.columns.Columns.release', lambda columns: released.append(1))
    paths = AnnotationTable.of(entries()).images('img_path')
    assert [text for block in paths.blocks(2) for text in block] == [one['img_path'] for one in entries()]
    assert len(released) == 3


def test_only_some_keys():
    table = AnnotationTable.of(entries()).take([3, 0]).only('width', 'img_id')
    assert [*table] == [dict(img_id=3, width=640), dict(img_id=0, width=640)]


def test_copies():
    table = AnnotationTable.of(entries())[1:4]
    assert copy.deepcopy(table) is table
    other = pickle.loads(pickle.dumps(table))
    assert all(is_equal(one, wanted) for one, wanted in zip(other, table, strict=True))


def test_no_entries():
    assert [*AnnotationTable.of([])] == []


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (dict(path=Path('a')), 'no PosixPath'),
        (dict(areas=np.zeros(9)), "'areas' must have the length of bboxes"),
    ],
)
def test_entries_without_a_form(more, message):
    with pytest.raises(TypeError, match=message):
        AnnotationTable.of(entries(**more))


def test_entries_with_other_keys():
    with pytest.raises(TypeError, match='the same keys'):
        AnnotationTable.of([*entries(), entry(7, 1, more=1)])


TEXTS = ['', 'a', 'Hündin', '\udcff', 'a/b c', '']


def test_texts():
    column = TextColumn.of(TEXTS)
    assert [*column] == [column[i] for i in range(6)] == column[:] == TEXTS
    assert column[-2] == 'a/b c'
    assert [text for block in column.blocks(2) for text in block] == TEXTS
    assert [*TextColumn.joined([column, TextColumn.of([]), column])] == TEXTS * 2


@pytest.mark.parametrize(
    ('ids', 'known', 'positions'),
    [
        ([3, 1, 9], [9, 3, 5], [1, -1, 0]),
        ([3, '3'], [9, '3', 3], [2, 1]),
        ([3], ['3'], [-1]),
        ([3], [], [-1]),
        ([], [1], []),
    ],
)
def test_ids_are_found_among_others(ids, known, positions):
    assert IdColumn.of(ids).positions_in(IdColumn.of(known)).tolist() == positions


def test_repeated_ids_in_order():
    assert IdColumn.of([5, 9, 1, 9, 5, 5, 2]).repeated() == [5, 9]
    assert IdColumn.of(['1', 1, 'b', 'b', 1]).repeated() == [1, 'b']
    joined = IdColumn.joined([IdColumn.of([1, 2]), IdColumn.of(['1'])])
    assert [*joined] == [joined[i] for i in range(3)] == [1, 2, '1']
    assert [*joined.take(np.array([2, 0]))] == ['1', 1]
    assert json.dumps(joined[:2]) == '[1, 2]'
