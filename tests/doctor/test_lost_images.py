"""Files that may be those of missing images are told in the advice."""

import pytest

from mmyolox.doctor.as_json import as_json
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.files import read_headers
from mmyolox.doctor.lost_images import guess_files
from mmyolox.doctor.reading import file_source, read_sources
from tests.doctor.small_set import diagnosed, write_set

BASE, SUFFIX = 'same base name', 'another suffix'


def advice_of(root):
    """The advice on missing images, and how many there are."""
    findings = {one['name']: one for one in as_json(diagnosed(root))['findings']}
    return findings['image-missing']['advice'], findings['image-missing']['count']


@pytest.mark.parametrize(
    ('written', 'kind', 'example'),
    [
        ('C:\\data\\{}.jpg', BASE, "'train_01.jpg' for 'C:\\\\data\\\\train_01.jpg'"),
        ('/home/other/{}.jpg', BASE, "'train_01.jpg' for '/home/other/train_01.jpg'"),
        ('photos/{}.JPG', BASE, "'train_01.jpg' for 'photos/train_01.JPG'"),
        ('{}', SUFFIX, "'train_01.jpg' for 'train_01'"),
        ('/home/other/{}', SUFFIX, "'train_01.jpg' for '/home/other/train_01'"),
        ('{}.png', SUFFIX, "'train_01.jpg' for 'train_01.png'"),
    ],
)
def test_a_file_of_the_name_is_told(tmp_path, written, kind, example):
    small = write_set(tmp_path)
    with small.annotations() as content:
        for image in content['images']:
            image['file_name'] = written.format(image['file_name'].removesuffix('.jpg'))
    advice, count = advice_of(tmp_path)
    assert count == 24
    assert f'For 24 images there is a file of the {kind}' in advice or f'with {kind}' in advice
    assert f'{example} (in {tmp_path / "images"}/)' in advice
    assert advice.endswith('or take the images out of the annotations.')


def test_files_below_and_names_with_dots_are_told(tmp_path):
    small = write_set(tmp_path)
    (tmp_path / 'images/day').mkdir()
    for number, name in ((1, 'day/train_01.jpg'), (2, 'a.001.jpg')):
        small.image(number=number).rename(tmp_path / 'images' / name)
    with small.annotations() as content:
        content['images'][1]['file_name'] = 'a.001'
    advice, count = advice_of(tmp_path)
    assert count == 2
    assert "'day/train_01.jpg' for 'train_01.jpg'" in advice
    assert "'a.001.jpg' for 'a.001'" in advice
    assert advice.count('For 1 image there is') == 2


def test_a_folder_that_is_not_there_is_searched_from_above(tmp_path):
    small = write_set(tmp_path)
    (tmp_path / 'images').rename(tmp_path / 'photos')
    for split in ('train', 'val'):
        with small.annotations(split) as content:
            for image in content['images']:
                image['file_name'] = image['file_name'].removesuffix('.jpg')
    advice, count = advice_of(tmp_path)
    assert count == 32
    assert "'photos/train_01.jpg' for 'train_01'" in advice


def test_a_folder_far_from_the_annotations_is_not_searched(tmp_path):
    small = write_set(tmp_path / 'set')
    small.image().rename(tmp_path / 'train_01.jpg')
    source = file_source(tmp_path / 'set/annotations/train.json', tmp_path / 'photos')
    raw = read_sources('any', [source])
    assert guess_files(Examined(raw, read_headers(raw.images.paths)), [*range(24)]) == []


@pytest.mark.parametrize('name', ['lost.jpg', 'train_02.png'])
def test_files_of_other_images_are_not_told(tmp_path, name):
    small = write_set(tmp_path)
    with small.annotations() as content:
        content['images'][0]['file_name'] = name
    small.image().unlink()
    advice, count = advice_of(tmp_path)
    assert count == 1
    assert advice.startswith('Training stops at them.')


def test_lists_of_yolo_are_helped_the_same_way(tmp_path):
    small = write_set(tmp_path, 'yolo')
    names = [f'images/train/train_{number:02}' for number in range(1, 25)]
    (tmp_path / 'train.txt').write_text('\n'.join(names))
    (tmp_path / 'data.yaml').write_text('train: train.txt\nval: images/val\nnames: [cat, dog, bird]\n')
    assert small.image().exists()
    advice, count = advice_of(tmp_path)
    assert count == 24
    assert "train_01.jpg' for 'images/train/train_01'" in advice
