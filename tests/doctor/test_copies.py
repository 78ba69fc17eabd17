"""Files of one content are found, and no others, as by comparing all with each other."""

import numpy as np
import pytest

from mmyolox.doctor.copies import first_of_content
from mmyolox.doctor.workers import silent


def by_plain_comparison(contents: list[bytes]) -> list[int]:
    return [contents.index(content) for content in contents]


def found(tmp_path, contents: list[bytes]) -> list[int]:
    paths = [tmp_path / f'{number}.bin' for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return first_of_content([*map(str, paths)], [*map(len, contents)], silent).tolist()


LONG = bytes(range(256)) * 40

CASES = {
    'none': [],
    'one': [b'a'],
    'equal': [b'a', b'a', b'a'],
    'of one length': [b'ab', b'ac', b'bb'],
    'of one end': [b'x' + LONG, b'y' + LONG, b'x' + LONG],
    'two groups': [b'a' + LONG, b'b' + LONG, b'a' + LONG, b'b' + LONG, b'c'],
    'of one beginning': [LONG + b'x', LONG + b'y'],
}


@pytest.mark.parametrize('contents', CASES.values(), ids=CASES)
def test_the_first_file_of_a_content_is_found(tmp_path, contents):
    assert found(tmp_path, contents) == by_plain_comparison(contents)


def test_random_files_agree_with_comparing_all(tmp_path):
    rng = np.random.default_rng(0)
    contents = [
        rng.bytes(1)[:1] * int(rng.choice([3, 5000])) + bytes([int(rng.integers(3))]) for _ in range(200)
    ]
    contents = [bytes([content[0] % 3]) * (len(content) - 1) + content[-1:] for content in contents]
    assert found(tmp_path, contents) == by_plain_comparison(contents)


def test_a_file_that_is_gone_is_no_copy(tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    paths = [str(tmp_path / name) for name in ('a', 'gone', 'gone too')]
    assert first_of_content(paths, [3, 3, 3], silent).tolist() == [0, 1, 2]


def test_files_of_length_zero_are_left_out(tmp_path):
    assert first_of_content([str(tmp_path / 'a'), str(tmp_path / 'b')], [0, 0], silent).tolist() == [0, 1]
