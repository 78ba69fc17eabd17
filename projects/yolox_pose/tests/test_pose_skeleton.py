"""Skeletons: from configs, COCO files and MMPose's metainfo files; what is filled in, and what is refused."""

import json

import numpy as np
import pytest

from mmyolox.projects.yolox_pose import skeleton_defaults
from mmyolox.projects.yolox_pose.mmpose_file import read_metainfo
from mmyolox.projects.yolox_pose.skeleton import Skeleton, mmpose_metainfo, read_skeleton
from mmyolox.projects.yolox_pose.skeleton_defaults import COCO_SIGMAS, default_sigma, side_pairs
from mmyolox.utils import UserError

SPEC = dict(
    keypoints=['head', 'left', 'right', 'tail'],
    flip_pairs=[['left', 'right']],
    links=[['head', 'tail'], ['right', 'tail']],
    sigmas=[0.1, 0.2, 0.2, 0.3],
)
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
def notices(monkeypatch):
    lines = []
    monkeypatch.setattr(skeleton_defaults, 'print_log', lambda line, *_: lines.append(line))
    skeleton_defaults._tell_once.cache_clear()
    return lines


@pytest.fixture
def coco_file(tmp_path):
    def write(*categories):
        path = tmp_path / 'train.json'
        named = [dict(name=f'class{number}', id=number) | more for number, more in enumerate(categories)]
        path.write_text(json.dumps(dict(categories=named)))
        return str(path)

    return write


def test_a_spec_and_its_skeleton(notices):
    skeleton = Skeleton.of(SPEC)
    assert skeleton.names == ('head', 'left', 'right', 'tail')
    assert skeleton.flip_indices == (0, 2, 1, 3)
    assert skeleton.links == ((0, 3), (2, 3))
    assert skeleton.sigmas == (0.1, 0.2, 0.2, 0.3)
    assert skeleton.spec() == SPEC
    assert not notices


def test_empty_parts_are_given_parts(notices):
    skeleton = Skeleton.of(dict(keypoints=['left', 'right'], flip_pairs=[], sigmas=(1, 2)))
    assert skeleton == Skeleton(('left', 'right'), (0, 1), (), (1.0, 2.0))
    assert Skeleton.of(skeleton.spec()) == skeleton
    assert not notices


@pytest.mark.parametrize(
    ('names', 'pairs'),
    [
        (tuple(COCO_SIGMAS), [(f'left_{j}', f'right_{j}') for j in ('eye', 'ear', 'shoulder')]),
        (('l_eye', 'r_eye'), [('l_eye', 'r_eye')]),
        (('paw_R_1', 'nose', 'paw_L_1', 'paw_L_2'), [('paw_R_1', 'paw_L_1')]),
        (('Left Ear', 'Right Ear', 'LEFT', 'RIGHT'), [('Left Ear', 'Right Ear'), ('LEFT', 'RIGHT')]),
        (('left', 'right', 'top'), [('left', 'right')]),
        (('leftover', 'rightover', 'collar', 'corral'), []),
        (('left_only', 'tail'), []),
        (('x',), []),
    ],
)
def test_pairs_by_the_names(names, pairs):
    assert side_pairs(names)[: len(pairs)] == pairs
    assert bool(side_pairs(names)) == bool(pairs)


@pytest.mark.parametrize(
    ('spec', 'told'),
    [
        (dict(keypoints=['nose', 'tail']), ['flip_pairs = left and right in the names (none)', 'for tail']),
        (dict(keypoints=['nose'], flip_pairs=[]), ['sigmas = those of COCO']),
        (dict(keypoints=['left_a', 'right_a'], sigmas=[1, 1]), ['(left_a/right_a)']),
    ],
)
def test_what_is_filled_in_is_told_once(notices, spec, told):
    for _ in range(2):
        Skeleton.of(spec)
    assert len(notices) == 1
    assert '\n' not in notices[0]
    for text in ('skeleton of the config', *told):
        assert text in notices[0]
    assert ('flip_pairs' in notices[0]) == ('flip_pairs' not in spec)
    assert ('sigmas' in notices[0]) == ('sigmas' not in spec)


def test_default_sigmas(notices):
    skeleton = Skeleton.of(dict(keypoints=['left_hip', 'tail'], flip_pairs=[]))
    assert skeleton.sigmas == (0.107, default_sigma('anything'))
    assert default_sigma('tail') == pytest.approx(np.mean(list(COCO_SIGMAS.values())), abs=5e-5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(keypoints=[]), r'keypoints=\[\]: needed is a list with at least one name'),
        (dict(keypoints=None), 'keypoints=None: needed is a list'),
        (dict(keypoints='nose'), "keypoints='nose': needed is a list"),
        (dict(keypoints=['head', 'tail', 'head']), 'keypoints names head more than once'),
        (
            dict(flip_pairs=[['left', 'wing']]),
            "flip_pairs names 'wing', which is none of the keypoints head, left",
        ),
        (dict(flip_pairs=[['tail', 'tail']]), r"flip_pairs has \['tail', 'tail'\]; needed is a pair of two"),
        (dict(flip_pairs=[['left', 'right'], ['head', 'left']]), 'flip_pairs has left in more than one pair'),
        (dict(flip_pairs=[['left', 'right', 'tail']]), 'needed is a pair of two different keypoints'),
        (dict(flip_pairs=['ab']), "flip_pairs has 'ab'; needed is a pair"),
        (dict(links=[['head', 'wing']]), "links names 'wing'"),
        (dict(links=[['head', 'head']]), 'links has .* needed is a pair of two different keypoints'),
        (dict(sigmas=[0.1, 0.2]), '2 sigmas for 4 keypoints'),
        (dict(sigmas=[0.1, 0.2, 0.2, 0.0]), r'sigmas has 0.0 for tail; needed is a number above 0'),
        (dict(sigmas=[-1, 0.2, 0.2, 0.1]), 'sigmas has -1 for head'),
        (dict(sigmas=[0.1, float('nan'), 0.2, 0.1]), 'sigmas has nan for left'),
        (dict(sigmas=[0.1, 'x', 0.2, 0.1]), "sigmas has 'x' for left"),
        (dict(flip_pair=[]), "no part 'flip_pair'; its parts are keypoints, flip_pairs, links, sigmas"),
    ],
)
def test_contradictions_are_refused(change, message):
    with pytest.raises(UserError, match=message) as caught:
        Skeleton.of(SPEC | change)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('spec', [None, ['head'], 'coco'])
def test_something_else_than_a_dict_is_refused(spec):
    with pytest.raises(UserError, match='skeleton=.*: needed is a dict with keypoints'):
        Skeleton.of(spec)


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
    with pytest.raises(UserError, match='No such file'):
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


def test_metainfo_as_mmpose_parses_it(notices):
    """Expected: ``parse_pose_metainfo`` of MMPose 1.3.2, for its file of COCO cut to five keypoints."""
    names = ['nose', 'left_eye', 'right_eye', 'left_hip', 'right_hip']
    links = [['left_hip', 'right_hip'], ['left_eye', 'right_eye'], ['nose', 'left_eye']]
    meta = mmpose_metainfo(Skeleton.of(dict(keypoints=names, links=links)), 'coco')
    arrays = {key: meta.pop(key) for key in list(meta) if isinstance(meta[key], np.ndarray)}
    assert meta == dict(
        dataset_name='coco',
        num_keypoints=5,
        keypoint_id2name={0: 'nose', 1: 'left_eye', 2: 'right_eye', 3: 'left_hip', 4: 'right_hip'},
        keypoint_name2id={'nose': 0, 'left_eye': 1, 'right_eye': 2, 'left_hip': 3, 'right_hip': 4},
        upper_body_ids=[0, 1, 2],
        lower_body_ids=[3, 4],
        flip_indices=[0, 2, 1, 4, 3],
        flip_pairs=[(2, 1), (1, 2), (4, 3), (3, 4)],
        num_skeleton_links=3,
        skeleton_links=[(3, 4), (1, 2), (0, 1)],
    )
    assert {key: (value.dtype.name, value.shape) for key, value in arrays.items()} == dict(
        keypoint_colors=('uint8', (5, 3)),
        skeleton_link_colors=('uint8', (3, 3)),
        dataset_keypoint_weights=('float32', (5,)),
        sigmas=('float32', (5,)),
    )
    np.testing.assert_array_equal(arrays['sigmas'], np.float32([0.026, 0.025, 0.025, 0.107, 0.107]))
    blue, green, orange = [51, 153, 255], [0, 255, 0], [255, 128, 0]
    assert arrays['keypoint_colors'].tolist() == [blue, green, orange, green, orange]
    assert arrays['skeleton_link_colors'].tolist() == [blue, blue, blue]


def test_metainfo_without_links_and_pairs():
    meta = mmpose_metainfo(Skeleton(('a',), (0,), (), (1.0,)), 'one')
    assert meta['skeleton_link_colors'].shape == (0, 3)
    assert meta['flip_pairs'] == []
