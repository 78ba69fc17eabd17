"""Skeletons from COCO files and from MMPose's metainfo files, and files that are of no use."""

import json
from pathlib import Path

import pytest

from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import Skeleton, default_sigma, read_metainfo, read_skeleton

METAINFO = """
dataset_info = dict(
    dataset_name='animal',
    keypoint_info={
        0: dict(name='nose', id=0, color=[51, 153, 255], type='upper', swap=''),
        1: dict(name='l_ear', id=1, color=[0, 255, 0], type='upper', swap='r_ear'),
        2: dict(name='r_ear', id=2, color=[255, 128, 0], type='', swap='l_ear')},
    skeleton_info={0: dict(link=('nose', 'r_ear'), id=0, color=[0, 255, 0])},
    joint_weights=[1.] * 3,
    sigmas=[0.1, 0.2, 0.3])
"""


@pytest.fixture
def coco_file(tmp_path):
    def write(*categories):
        path = tmp_path / 'train.json'
        named = [dict(name=f'class{number}', id=number) | more for number, more in enumerate(categories)]
        path.write_text(json.dumps(dict(categories=named)))
        return str(path)

    return write


# --- COCO files ---------------------------------------------------------------------------------------


def test_a_coco_file_without_pairs_and_sigmas(coco_file, notices):
    path = coco_file(dict(keypoints=['nose', 'left_eye', 'right_eye'], skeleton=[[1, 2], [3, 1]]))
    assert read_skeleton(path) == dict(
        keypoints=['nose', 'left_eye', 'right_eye'],
        flip_pairs=[['left_eye', 'right_eye']],
        links=[['nose', 'left_eye'], ['right_eye', 'nose']],
        sigmas=[0.026, 0.025, 0.025],
    )
    assert len(notices) == 1
    assert path in notices[0]


def test_a_coco_file_that_says_all(coco_file, notices):
    category = dict(keypoints=['a', 'b', 'c'], skeleton=[[1, 3]], flip_pairs=[['b', 'c']], sigmas=[1, 2, 2])
    expected = dict(keypoints=['a', 'b', 'c'], flip_pairs=[['b', 'c']], links=[['a', 'c']], sigmas=[1, 2, 2])
    assert read_skeleton(coco_file(category)) == expected
    assert not notices


def test_categories_share_keypoints_by_name(coco_file, notices):
    path = coco_file(
        dict(keypoints=['head', 'left', 'right'], skeleton=[[1, 2]], sigmas=[0.1, 0.2, 0.3]),
        dict(),
        dict(keypoints=['tail', 'head'], skeleton=[[1, 2]], flip_pairs=[], sigmas=[0.4, 0.1]),
        dict(keypoints=['left', 'head'], skeleton=[[1, 2]], flip_pairs=[]),
    )
    assert read_skeleton(path) == dict(
        keypoints=['head', 'left', 'right', 'tail'],
        flip_pairs=[['left', 'right']],
        links=[['left', 'head'], ['tail', 'head']],
        sigmas=[0.1, 0.2, 0.3, 0.4],
    )


def test_the_keypoint_file_beside_a_detection_file_is_named(coco_file):
    path = Path(coco_file(dict()))
    detection = path.rename(path.with_name('instances_train.json'))
    poses = path.with_name('person_keypoints_train.json')
    poses.touch()
    with pytest.raises(UserError, match=f'json\\), {poses}, by train_ann_file and val_ann_file$'):
        read_skeleton(str(detection))


def test_sigmas_that_only_some_categories_have(coco_file, notices):
    path = coco_file(dict(keypoints=['a'], sigmas=[0.5], flip_pairs=[]), dict(keypoints=['a', 'nose', 'b']))
    assert read_skeleton(path)['sigmas'] == [0.5, 0.026, default_sigma('b')]
    assert len(notices) == 1
    assert notices[0].endswith('for b')


@pytest.mark.parametrize(
    ('categories', 'message'),
    [
        ([dict(), dict(keypoints=[])], 'detection file; take .* person_keypoints_'),
        ([dict(keypoints=['a', 'a'])], 'keypoints names a more than once'),
        (
            [dict(keypoints=['a', 'b'], skeleton=[[0, 1]])],
            r'skeleton of category class0: \[0, 1\] is no pair',
        ),
        (
            [dict(keypoints=['a', 'b'], skeleton=[[2, 3]])],
            r'\[2, 3\] is no pair of numbers of its 2 keypoints',
        ),
        ([dict(keypoints=['a', 'b'], skeleton=[['a', 'b']])], 'is no pair of numbers'),
        ([dict(keypoints=['a', 'b'], flip_pairs=[['a', 'c']])], "flip_pairs names 'c'"),
        ([dict(keypoints=['a', 'b'], sigmas=[1])], '1 sigmas for 2 keypoints'),
        (
            [dict(keypoints=['a'], sigmas=[1]), dict(keypoints=['b', 'a'], sigmas=[1, 2])],
            'a has sigma 1 in one category and 2 in another',
        ),
        (
            [dict(keypoints=list('ab'), flip_pairs=['ab']), dict(keypoints=list('ac'), flip_pairs=['ac'])],
            "flip_pairs has 'ab'",
        ),
        (
            [
                dict(keypoints=list('ab'), flip_pairs=[list('ab')]),
                dict(keypoints=list('ac'), flip_pairs=[list('ac')]),
            ],
            'flip_pairs has a in more than one pair',
        ),
    ],
)
def test_coco_files_that_cannot_be_used(coco_file, notices, categories, message):
    path = coco_file(*categories)
    with pytest.raises(UserError, match=message) as caught:
        read_skeleton(path)
    assert path in str(caught.value)
    assert '\n' not in str(caught.value)


def test_an_annotation_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match='not found; say where the data lie'):
        read_skeleton(str(tmp_path / 'absent.json'))


# --- metainfo files -----------------------------------------------------------------------------------


def test_a_metainfo_file(tmp_path, notices):
    path = tmp_path / 'animal.py'
    path.write_text(METAINFO)
    expected = Skeleton(('nose', 'l_ear', 'r_ear'), (0, 2, 1), ((0, 2),), (0.1, 0.2, 0.3))
    assert Skeleton.of(dict(from_file=str(path))) == expected
    assert Skeleton.of(dict(from_file=str(path), sigmas=[1, 2, 3])).sigmas == (1, 2, 3)
    assert not notices


def test_a_coco_file_and_what_it_leaves_open(coco_file, notices):
    path = coco_file(dict(keypoints=['a', 'b']))
    spec = dict(from_file=path, flip_pairs=[['a', 'b']], sigmas=[1, 2])
    assert Skeleton.of(spec) == Skeleton(('a', 'b'), (1, 0), (), (1, 2))
    assert not notices
    with pytest.raises(UserError, match=rf'^{path}: skeleton: 1 sigmas for 2'):
        Skeleton.of(spec | dict(sigmas=[1]))


@pytest.mark.parametrize('with_sigmas', [True, False])
def test_a_metainfo_file_of_an_installed_mmpose(tmp_path, monkeypatch, notices, with_sigmas):
    folder = tmp_path / 'mmpose/.mim/configs/_base_/datasets'
    folder.mkdir(parents=True)
    (tmp_path / 'mmpose/__init__.py').write_text('raise ImportError')  # as where its dependencies lack
    text = METAINFO if with_sigmas else METAINFO.replace('    sigmas=[0.1, 0.2, 0.3])', ')')
    (folder / 'animal.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    spec = read_metainfo('configs/_base_/datasets/animal.py')
    assert spec['keypoints'] == ['nose', 'l_ear', 'r_ear']
    assert spec.get('sigmas') == ([0.1, 0.2, 0.3] if with_sigmas else None)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, r'animal\.py does not exist, nor one of that name in an installed mmpose'),
        ('x = 1', r'animal\.py holds no dataset_info'),
        ('dataset_info = dict(dataset_name="a")', r"holds no dataset_info of MMPose 1.x: 'keypoint_info'"),
        ('1 / 0', r'animal\.py holds no dataset_info'),
        (METAINFO.replace("swap='l_ear'", "swap='nose'"), 'l_ear swaps with r_ear, but r_ear not with l_ear'),
        (METAINFO.replace("swap='l_ear'", "swap=''"), 'l_ear swaps with r_ear, but r_ear not with l_ear'),
        (METAINFO.replace('sigmas=[0.1, ', 'sigmas=['), r'animal\.py: skeleton: 2 sigmas for 3'),
    ],
)
def test_metainfo_files_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / 'animal.py'
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        Skeleton.of(dict(from_file=str(path)))
    assert '\n' not in str(caught.value)
