"""What messages of errors share."""

import pytest

from mmyolox.errors import did_you_mean, first_few


@pytest.mark.parametrize(
    ('names', 'text'),
    [([], ''), ('ab', 'a, b'), ('abc', 'a, b, c'), ('abcd', 'a, b, c, ...'), ((1, 2), '1, 2')],
)
def test_first_few(names, text):
    assert first_few(names) == text


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
