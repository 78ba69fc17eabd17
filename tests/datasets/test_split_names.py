"""mmyolox/datasets/split_names.py: which split a name means."""

import pytest

from mmyolox.datasets.split_names import split_named, usual_split, without_split


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
