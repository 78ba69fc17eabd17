"""What is wrong with a config, its data or a checkpoint is told in one line, before training or testing."""

import json
import logging
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmyolox.apis import init_detector
from mmyolox.checkpoints.match import match_weights
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import Skeleton
from mmyolox.registry import MODELS

ROOT = Path(__file__).parents[3]
POSE = 'yolox-pose_nano_1xb8-50e_custom'
COCO = 'yolox-pose_nano_8xb32-300e-rtmdet-hyp_coco'
DETECTOR = 'yolox_nano_fast_1xb8-50e_custom'

CATEGORY = dict(
    id=1,
    name='arrow',
    keypoints=['tip', 'left', 'right'],
    skeleton=[[1, 2], [1, 3]],
    flip_pairs=[['left', 'right']],
    sigmas=[0.1, 0.2, 0.2],
)
ANNOTATION = dict(
    id=1,
    image_id=1,
    category_id=1,
    bbox=[10, 10, 30, 20],
    area=400,
    iscrowd=0,
    keypoints=[12, 12, 2, 20, 15, 1, 0, 0, 0],
    num_keypoints=2,
)
RUN_ALL = """
import json, runpy, sys
for number, words in json.loads(sys.argv[1]):
    print(f'=== {number}', flush=True)
    print(f'=== {number}', file=sys.stderr, flush=True)
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name='__main__')
    except SystemExit as end:
        print(f'status {end.code}', flush=True)
"""


def write_data(folder, category=(), annotation=(), without=(), splits=('train', 'val')):
    """One image with one object; entries of its category and annotation may be changed or left out."""
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    cv2.imwrite(str(folder / 'images/1.png'), np.zeros((48, 64, 3), np.uint8))
    content = dict(
        images=[dict(id=1, file_name='1.png', width=64, height=48)],
        categories=[CATEGORY | dict(category)],
        annotations=[ANNOTATION | dict(annotation)],
    )
    for key in without:
        for entry in (*content['categories'], *content['annotations']):
            entry.pop(key, None)
    for split in splits:
        (folder / f'annotations/{split}.json').write_text(json.dumps(content))
    return folder


def save(path, config, data, **change):
    """A checkpoint of a config with random weights."""
    cfg = load_config(config, dict(data_root=f'{data}/'))
    init_default_scope('mmyolox')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}) | change, path)
    return str(path)


FIVE = dict(keypoints=['tip', 'left', 'right', 'tail', 'end'], sigmas=[0.1] * 5)
DETECTION = dict(without=('keypoints', 'skeleton', 'flip_pairs', 'sigmas', 'num_keypoints'))
OTHER_PAIR = 'skeleton = dict(keypoints=["tip", "left", "right"], flip_pairs=[["left", "rihgt"]])'
TWO_SIGMAS = 'skeleton = dict(keypoints=["tip", "left", "right"], sigmas=[0.1, 0.2])'
OTHER_NAMES = 'skeleton = dict(keypoints=["tip", "tail"], sigmas=[0.1, 0.2])'

# What is done to the data, the config, its options, the parts of the message.
CASES = {
    'too few numbers': (dict(annotation=dict(keypoints=[1, 1, 2])), '', [], ['3 numbers', '9', 'train.json']),
    'pair of a stranger': (
        dict(category=dict(flip_pairs=[['left', 'tail']])),
        '',
        [],
        ["'tail'", 'train.json'],
    ),
    'keypoint in two pairs': (
        dict(category=dict(flip_pairs=[['left', 'right'], ['tip', 'left']])),
        '',
        [],
        ['flip_pairs has left in more than one pair', 'train.json'],
    ),
    'pair of the config': ({}, OTHER_PAIR, [], ["flip_pairs names 'rihgt'", 'tip, left, right']),
    'sigmas of the file': (dict(category=dict(sigmas=[1])), '', [], ['1 sigmas for 3', 'train.json']),
    'sigmas of the config': ({}, TWO_SIGMAS, [], ['2 sigmas for 3 keypoints']),
    'another skeleton': ({}, OTHER_NAMES, [], ['train.json', 'left, right']),
    'detection file': (DETECTION, '', [], ['train.json', 'detection file', 'person_keypoints_']),
    'detection file to validate': (
        DETECTION | dict(splits=['val']),
        '',
        [],
        ['val.json', 'detection file', 'person_keypoints_'],
    ),
    'more keypoints to validate': (
        dict(category=FIVE, annotation=dict(keypoints=[1, 1, 2] * 5), splits=['val']),
        '',
        [],
        ['val.json', 'tail, end'],
    ),
    'number of keypoints': (
        {},
        '',
        ['model.bbox_head.head_module.num_keypoints=5'],
        ['num_keypoints=5', '3'],
    ),
    'form of the similarity': ({}, '', ['model.bbox_head.loss_pose.form=koko'], ['koko', 'diagonal, coco']),
}


@pytest.fixture(scope='module')
def outputs(tmp_path_factory):
    """What the tools print, by case, each from a process-wide run of all: (stdout, stderr)."""
    folder = tmp_path_factory.mktemp('start')
    runs = []
    for number, (change, text, options, _) in enumerate(CASES.values()):
        data = write_data(write_data(folder / str(number)), **change)
        config = folder / f'config{number}.py'
        config.write_text(f"_base_ = 'mmyolox::{POSE}.py'\n{text}\n")
        words = ['tools/train.py', str(config), '--work-dir', str(folder / f'work{number}')]
        options = [f'data_root={data}/', 'train_num_workers=0', 'val_num_workers=0', *options]
        runs.append((number, [*words, '--cfg-options', *options]))
    good = write_data(folder / 'good')
    weights = save(folder / 'detector.pth', DETECTOR, good)
    words = ['tools/test.py', POSE, weights, '--work-dir', str(folder / 'work')]
    runs.append((len(runs), [*words, '--cfg-options', f'data_root={good}/', 'val_num_workers=0']))
    code = [sys.executable, '-c', RUN_ALL, json.dumps(runs)]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return [
        [part.split('\n', 1)[1] for part in stream.split('=== ')[1:]] for stream in (done.stdout, done.stderr)
    ]


def assert_one_line(outputs, number, texts):
    stdout, stderr = (stream[number] for stream in outputs)
    assert 'Traceback' not in stderr
    errors = [line for line in stderr.splitlines() if line.startswith('error:')]
    assert len(errors) == 1
    for text in texts:
        assert text in errors[0]
    assert stdout.endswith('status 1\n')
    assert 'Epoch(' not in stdout


@pytest.mark.parametrize('case', CASES)
def test_training_does_not_begin(outputs, case):
    assert_one_line(outputs, list(CASES).index(case), CASES[case][-1])


def test_a_detector_is_not_tested_as_a_pose_model(outputs):
    texts = ('detector.pth cannot be tested', 'another kind of model, without', 'multi_level_pose_convs')
    assert_one_line(outputs, len(CASES), texts)


# --- checkpoints --------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def model(data):
    init_default_scope('mmyolox')
    return MODELS.build(load_config(POSE, dict(data_root=f'{data}/')).model)


BRANCHES = {
    f'bbox_head.head_module.multi_level_{name}' for name in ('pose_convs', 'conv_offsets', 'conv_vis')
}
BUFFERS = {'bbox_head.loss_pose.sigmas', 'bbox_head.assigner_oks_calculator.sigmas'}


def test_fine_tuning_from_a_detector_misses_the_keypoint_branches_alone(model, data, tmp_path):
    state = torch.load(save(tmp_path / 'w.pth', DETECTOR, data))['state_dict']
    matched, summary = match_weights(model, state, 'w.pth')
    assert all(torch.equal(matched[name], tensor) for name, tensor in state.items())
    assert [*summary.mismatched, *summary.other_classes, *summary.unexpected] == []
    for name in summary.missing:
        assert name in BUFFERS or any(name.startswith(branch) for branch in BRANCHES)
    assert set(summary.absent_parts) == BRANCHES | {name.removesuffix('.sigmas') for name in BUFFERS}
    assert summary.level == logging.INFO  # the header says it
    assert summary.describe() == (
        f'{len(state)} of {len(state) + len(summary.missing)} tensors of the model loaded; '
        f'{len(summary.missing)} missing in the file: the file is of another kind of model, without '
        'multi_level_pose_convs, multi_level_conv_offsets, multi_level_conv_vis, loss_pose, ...'
    )


def test_fine_tuning_from_another_skeleton_leaves_out_its_predictors_alone(model, data, tmp_path):
    category, keypoints = CATEGORY | FIVE, [1, 1, 2] * 5
    other = write_data(tmp_path, category=category, annotation=dict(keypoints=keypoints))
    state = torch.load(save(tmp_path / 'w.pth', POSE, other))['state_dict']
    matched, summary = match_weights(model, state, 'w.pth')
    assert [*summary.missing, *summary.other_classes, *summary.unexpected] == []
    predictors = [
        f'bbox_head.head_module.multi_level_conv_{name}.{level}.{kind}'
        for name in ('offsets', 'vis')
        for level in range(3)
        for kind in ('weight', 'bias')
    ]
    left_out = {name.split(' ')[0] for name in summary.mismatched}
    assert left_out == {*predictors, *BUFFERS}
    own = model.state_dict()
    assert all(torch.equal(matched[name], own[name]) for name in left_out)
    assert all(torch.equal(matched[name], state[name]) for name in own if name not in left_out)
    text = summary.describe()
    assert '6 in bbox_head.head_module.multi_level_conv_offsets' in text
    assert '6 in bbox_head.head_module.multi_level_conv_vis' in text
    assert '(10x64x1x1 -> 6x64x1x1)' in text


def test_the_sigmas_of_the_config_stay(model, data, tmp_path):
    state = deepcopy(model.state_dict())
    for name in BUFFERS:
        state[name] = torch.full((3,), 9.0)
    path = tmp_path / 'w.pth'
    torch.save(dict(state_dict=state), path)
    loaded = init_detector(POSE, path, 'cpu', dict(data_root=f'{data}/'))
    torch.testing.assert_close(loaded.bbox_head.loss_pose.sigmas, torch.tensor([0.1, 0.2, 0.2]))


def test_inference_takes_the_skeleton_from_the_checkpoint(data, tmp_path):
    skeleton = Skeleton.of(load_config(POSE, dict(data_root=f'{data}/')).skeleton)
    recorded = dict(classes=('arrow',), skeleton=skeleton.spec(), sigmas=np.float32(skeleton.sigmas))
    path = save(tmp_path / 'w.pth', POSE, data, meta=dict(dataset_meta=recorded))
    model = init_detector(POSE, path, 'cpu', dict(data_root='absent/'))
    assert model.bbox_head.skeleton == skeleton
    assert model.dataset_meta['skeleton'] == skeleton.spec()
    with pytest.raises(UserError, match=r'data_root=absent .*there is no such folder'):
        init_detector(POSE, save(tmp_path / 'bare.pth', POSE, data), 'cpu', dict(data_root='absent/'))


def test_inference_with_a_detector_is_refused(data, tmp_path):
    path = save(tmp_path / 'w.pth', DETECTOR, data)
    with pytest.raises(UserError, match=r'w\.pth cannot be used with .*without .*multi_level_pose_convs'):
        init_detector(POSE, path, 'cpu', dict(data_root=f'{data}/'))
