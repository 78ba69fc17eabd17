"""The progress bar."""

import pytest

from mmyolox.utils.progress import with_progress


@pytest.mark.parametrize('expected', [3, 0])
def test_items_pass(capsys, expected):
    assert list(with_progress(iter('abc'), expected)) == ['a', 'b', 'c']
    captured = capsys.readouterr()
    assert captured.out == ''
    assert f'3/{expected}' in captured.err or 'completed: 3' in captured.err


def test_an_error_gets_its_own_line(capsys):
    def broken():
        yield 1
        raise ValueError('no more')

    with pytest.raises(ValueError, match='no more'):
        list(with_progress(broken(), 2))
    assert capsys.readouterr().err.endswith('\n')
