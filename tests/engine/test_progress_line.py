"""How far something is, on terminals and in files."""

import io
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from rich.console import Console

from mmyolox.engine import progress_line
from mmyolox.engine.progress_line import format_time, with_progress
from mmyolox.engine.terminal import Terminal, attach


@pytest.fixture
def show(monkeypatch):
    """Passes items on, each of which takes some seconds; returns what is shown of it."""

    def show(items, expected, seconds, is_live=False, **options):
        MMLogger._instance_dict.clear()
        now = [0.0]
        console = Console(file=io.StringIO(), force_terminal=is_live, width=70, color_system=None)
        attach(Terminal(console=console, **options), MMLogger.get_instance('mmengine'))
        monkeypatch.setattr(progress_line, 'time', SimpleNamespace(monotonic=lambda: now[0]))

        def slowly():
            for item in items:
                now[0] += seconds
                yield item

        assert list(with_progress(slowly(), expected)) == list(items)
        return console.file.getvalue()

    return show


def test_a_file_gets_a_line_now_and_then(show):
    assert show('abcdef', 6, 4).splitlines() == [
        'images 3/6  ETA 0:00:12  0.2 images/s',
        'images 6/6  ETA 0:00:00  0.2 images/s',
    ]
    assert show('abcdef', 6, 1) == ''


@pytest.mark.parametrize('expected', [0, 2])
def test_an_end_that_nobody_knows_has_no_time_left(show, expected):
    assert show('abc', expected, 4) == 'images 3  0.2 images/s\n'


def test_a_terminal_has_a_line_that_lives_and_goes(show):
    text = show('ab', 2, 0.25, is_live=True)
    assert 'images 1/2  ETA 0:00:00  4.0 images/s' in text
    assert '\u2501' in text  # the bar
    assert text.endswith('\x1b[2K')
    assert '\u2501' not in show('ab', 0, 0.25, is_live=True)


def test_nothing_between_the_lines_of_the_whole_log(show):
    assert show('ab', 2, 99, verbose=True) == ''


def test_without_a_terminal_of_ours_nothing_is_printed(capsys):
    MMLogger._instance_dict.clear()
    assert list(with_progress(iter('abc'), 3)) == ['a', 'b', 'c']
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_line(error):
    def broken():
        yield 1
        raise error('no more')

    console = Console(file=io.StringIO(), force_terminal=True, width=70)
    MMLogger._instance_dict.clear()
    terminal = Terminal(console=console)
    attach(terminal, MMLogger.get_instance('mmengine'))
    with pytest.raises(error, match='no more'):
        [terminal.draw('1/2') for _ in with_progress(broken(), 2)]
    assert console.file.getvalue().endswith('\x1b[2K')


def test_times():
    assert [format_time(one) for one in (None, 0.4, 3723.0)] == ['?', '0:00:00', '1:02:03']
