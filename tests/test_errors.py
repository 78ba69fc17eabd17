"""What messages of errors share."""

import pytest
from torch._utils import ExceptionWrapper

from mmyolox.errors import ReadingReport, UserError, alike, did_you_mean, first_few, one_line


@pytest.mark.parametrize(
    ('names', 'text'),
    [([], ''), ('ab', 'a, b'), ('abc', 'a, b, c'), ('abcd', 'a, b, c, ...'), ((1, 2), '1, 2')],
)
def test_first_few(names, text):
    assert first_few(names) == text


def test_names_that_are_alike():
    names = ['traffic light', 'Cat', 'traffic_light ', 'dog', 'cat', 'dog']
    assert alike(names) == ["'traffic light', 'traffic_light '", "'Cat', 'cat'"]
    assert alike(['a', 'b']) == []


def test_first_few_takes_no_more_than_it_needs():
    assert first_few(iter(range(10**9)), 2) == '0, 1, ...'


@pytest.mark.parametrize(
    ('word', 'hint'),
    [
        ('Person', '; did you mean person?'),
        ('zebra', ''),
        ('RBCs', '; did you mean RBC?'),
        ('size', '; did you mean sine or side?'),
    ],
)
def test_the_nearest_words_are_suggested(word, hint):
    assert did_you_mean(word, ['person', 'RBC', 'side', 'sine']) == hint


def test_suggestions_have_the_prefix():
    assert did_you_mean('Adem', ['Adam'], 'torch.') == '; did you mean torch.Adam?'


def test_what_is_not_like_enough_is_no_suggestion():
    assert did_you_mean('steps', ['stops'], cutoff=0.85) == ''


def test_a_message_is_one_line_whatever_it_repeats():
    assert str(UserError("no class 'a\nb\x1b[1m\u2028\x85' in \u732b \udcff")) == (
        "no class 'a\\nb\\x1b[1m\\u2028\\x85' in \u732b \\udcff"
    )


def test_what_turns_a_text_is_escaped_and_what_marks_its_direction_stays():
    assert one_line('a\u202egnp.exe\u2066b') == r'a\u202egnp.exe\u2066b'
    assert one_line('\u05d0\u200f 1') == '\u05d0\u200f 1'


def test_a_long_message_loses_its_middle():
    message = str(UserError('option ' + 'x' * 5000 + ' is too long'))
    assert len(message) < 2100
    assert message.startswith('option xx')
    assert message.endswith('xx is too long')


class OtherError(UserError):
    pass


@pytest.mark.parametrize('kind', [UserError, OtherError])
def test_an_error_of_a_data_worker_keeps_its_line(kind):
    """A DataLoader makes one of the same class of the text of its traceback."""
    try:
        raise kind('the image a.png: 4 channels, 3 are needed')
    except UserError:
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(kind) as caught:
        wrapped.reraise()
    assert str(caught.value) == 'the image a.png: 4 channels, 3 are needed'


def test_a_report_of_reading():
    report = ReadingReport()
    report.skip('a.txt:3', 'is odd')
    report.note('nothing', [])
    report.note('things', 'ab')
    report.note('things', [3, 4])
    assert report.skipped == ['a.txt:3: is odd, skipped']
    assert report.note_lines(shown=3) == ['things: 4 (a, b, 3, ...)']
