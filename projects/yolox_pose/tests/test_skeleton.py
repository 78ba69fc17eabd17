"""Skeletons of a config's words: what is filled in, what is refused, and what MMPose gets of them."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmyolox.config.find import find_config
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import (
    COCO_SIGMAS,
    Skeleton,
    default_sigma,
    mmpose_metainfo,
    side_pairs,
)
from mmyolox.registry import MODELS

SPEC = dict(
    keypoints=['head', 'left', 'right', 'tail'],
    flip_pairs=[['left', 'right']],
    links=[['head', 'tail'], ['right', 'tail']],
    sigmas=[0.1, 0.2, 0.2, 0.3],
)


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
        (dict(keypoints=['nose'], flip_pairs=[]), ["sigmas = COCO's"]),
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


@pytest.mark.parametrize('spec', [['head'], 'coco'])
def test_something_else_than_a_dict_is_refused(spec):
    with pytest.raises(UserError, match=r'skeleton=.*: needed is a dict with keypoints'):
        Skeleton.of(spec)


def test_a_model_that_waits_for_the_data_says_so():
    cfg = Config.fromfile(find_config('yolox-pose_nano_1xb8-50e_custom'))
    init_default_scope('mmyolox')
    with pytest.raises(UserError, match=r'skeleton is None: this config takes it from the data: load it by'):
        MODELS.build(cfg.model)


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
