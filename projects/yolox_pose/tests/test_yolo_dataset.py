"""YOLO data sets with keypoints: what the labels and the YAML file become."""

import json

import numpy as np
import pytest

from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS, Skeleton, read_skeleton
from mmyolox.projects.yolox_pose.tests.files import (
    IMAGES,
    NAMES,
    content_of,
    open_pose,
    random_content,
    write_pose,
)
from mmyolox.projects.yolox_pose.yolo_dataset import YOLOXPoseYoloDataset
from mmyolox.registry import DATASETS

YAML = dict(names=['person'], kpt_shape=[5, 3], flip_idx=[0, 2, 1, 4, 3], kpt_names=[NAMES])


def write_yolo(root, content, numbers=3, **changes):
    """Writes what :func:`write_pose` does as a YOLO data set; keypoints of two numbers have no visibility."""
    write_pose(root, content)
    (root / 'labels').mkdir()
    for image in content['images']:
        size = np.array([image['width'], image['height']])
        lines = []
        for ann in content['annotations']:
            if ann['image_id'] == image['id']:
                x, y, w, h = ann['bbox']
                keypoints = np.array(ann['keypoints'], float).reshape(-1, 3)
                keypoints[:, :2] /= size
                box = np.array([x + w / 2, y + h / 2, w, h]) / np.tile(size, 2)
                values = [*box, *keypoints[:, :numbers].reshape(-1)]
                lines.append('0 ' + ' '.join(f'{value:.9f}' for value in values))
        (root / 'labels' / f'{image["id"]}.txt').write_text('\n'.join(lines))
    (root / 'data.yaml').write_text(json.dumps(YAML | dict(kpt_shape=[5, numbers]) | changes))
    return root


def open_yolo(root, **kwargs):
    return YOLOXPoseYoloDataset(data_root=str(root), **kwargs)


@pytest.mark.parametrize('numbers', [3, 2])
def test_entries_are_those_of_the_coco_file(tmp_path, numbers):
    content = random_content(8)
    dataset, coco = open_yolo(write_yolo(tmp_path, content, numbers)), open_pose(tmp_path)
    assert dataset.metainfo['class_keypoints'] == coco.metainfo['class_keypoints']
    assert dataset.skeleton.names == coco.skeleton.names
    assert dataset.skeleton.flip_indices == coco.skeleton.flip_indices
    ids = []
    for index in range(8):
        entry, wanted = dataset.get_data_info(index), coco.get_data_info(index)
        if numbers == 2:
            wanted['keypoints'][..., 2] = np.where(wanted['keypoints'][..., 2] > 0, 2, 0)
        for key in ('bboxes', 'keypoints', 'labels', 'is_crowd'):
            np.testing.assert_allclose(entry[key], wanted[key], atol=2e-3)
        assert entry['keypoints'].dtype == entry['areas'].dtype == np.float32
        sides = entry['bboxes'][:, 2:] - entry['bboxes'][:, :2]
        np.testing.assert_array_equal(entry['areas'], sides.prod(1))
        ids += entry['id']
    assert ids == list(range(1, len(content['annotations']) + 1))


LINE = '0 .5 .5 .5 .5'


@pytest.mark.parametrize(
    ('numbers', 'values', 'expected'),
    [
        (3, '.1 .1 2 .2 .2 1', [[8, 6, 2], [16, 12, 1]]),
        (3, '.1 .1 .7 .2 .2 -1', [[8, 6, 1], [0, 0, 0]]),
        (3, '1.1 .1 2 0 0 2', [[0, 0, 0], [0, 0, 2]]),
        (3, 'nan .1 2 .2 .2 nan', [[0, 0, 0], [0, 0, 0]]),
        (3, '', [[0, 0, 0], [0, 0, 0]]),
        (2, '.1 .1 0 0', [[8, 6, 2], [0, 0, 0]]),
        (2, '0 .1 -.1 .1', [[0, 6, 2], [0, 0, 0]]),
    ],
)
def test_keypoints_of_a_line(tmp_path, numbers, values, expected):
    write_yolo(tmp_path, content_of(IMAGES), kpt_shape=[2, numbers], flip_idx=[], kpt_names=[])
    labelled = ' '.join(['.5'] * (2 * numbers))
    (tmp_path / 'labels/0.txt').write_text(f'{LINE} {labelled}\n{LINE} {values}')
    dataset = open_yolo(tmp_path)
    assert dataset.get_data_info(0)['keypoints'][1].round(3).tolist() == expected


def test_keypoints_stay_with_the_boxes_that_are_kept(tmp_path):
    write_yolo(
        tmp_path, content_of(IMAGES), names=['cat', 'dog'], kpt_shape=[1, 2], flip_idx=[], kpt_names=[]
    )
    lines = (
        f'{label} .5 .5 {width} .5 .{number} .5'
        for number, (label, width) in enumerate([(0, 0.5), (1, 0), (1, 0.25), (0, 0.5), (1, 0.5)], start=1)
    )
    (tmp_path / 'labels/0.txt').write_text('\n'.join(lines))
    dataset = open_yolo(tmp_path, metainfo=dict(classes=('dog',)))
    entry = dataset.get_data_info(0)
    assert entry['bboxes'].tolist() == [[30, 15, 50, 45], [20, 15, 60, 45]]
    np.testing.assert_allclose(entry['keypoints'], [[[24, 30, 2]], [[40, 30, 2]]])
    assert (entry['id'], entry['areas'].tolist()) == ([1, 2], [600, 1200])
    assert dataset.metainfo['class_keypoints'] == [[0]]


def test_keypoints_outside_the_image_are_told(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.annotations.print_log', lambda line, **_: lines.append(line))
    write_yolo(tmp_path, content_of(IMAGES), kpt_shape=[2, 3], flip_idx=[], kpt_names=[])
    (tmp_path / 'labels/0.txt').write_text(f'{LINE} 1.1 .1 2 .2 .2 1')
    what = 'keypoints outside their image count as not labelled'
    monkeypatch.setattr('mmyolox.datasets.annotation_cache.SMALLEST', 0)
    monkeypatch.setattr('mmyolox.datasets.annotation_cache.TICK', 0)
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'home'))
    for is_later in (False, True):  # a later start reads no keypoints
        lines.clear()
        assert open_yolo(tmp_path).report.is_restored == is_later
        assert lines == [f'{tmp_path}/data.yaml: 1 {what}: images/0.png']


COCO_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@pytest.mark.parametrize(
    ('changes', 'names', 'flip'),
    [
        (dict(kpt_names=NAMES), NAMES, [0, 2, 1, 4, 3]),
        (dict(kpt_names={0: NAMES}, flip_idx=None), NAMES, [0, 2, 1, 4, 3]),
        (dict(kpt_names=None), [f'keypoint_{i}' for i in range(5)], [0, 2, 1, 4, 3]),
        (dict(kpt_names=[NAMES, NAMES[::-1]]), [f'keypoint_{i}' for i in range(5)], [0, 2, 1, 4, 3]),
        (
            dict(kpt_names=None, flip_idx=[0, 1, 2, 3, 4]),
            [f'keypoint_{i}' for i in range(5)],
            [0, 1, 2, 3, 4],
        ),
        (dict(kpt_names=None, kpt_shape=[17, 3], flip_idx=COCO_FLIP), list(COCO_SIGMAS), COCO_FLIP),
    ],
)
def test_skeleton_of_the_yaml_file(tmp_path, changes, names, flip):
    path = tmp_path / 'data.yaml'
    path.write_text(json.dumps(YAML | changes))
    skeleton = Skeleton.of(read_skeleton(str(path)))
    assert skeleton.names == tuple(names)
    assert skeleton.flip_indices == tuple(flip)
    assert skeleton.sigmas == tuple(COCO_SIGMAS.get(name, 0.0669) for name in names)


def test_lines_are_cocos_between_keypoints_of_its_names(tmp_path):
    path = tmp_path / 'data.yaml'
    path.write_text(json.dumps(YAML | dict(kpt_names=None, kpt_shape=[17, 3], flip_idx=COCO_FLIP)))
    links = {frozenset(link) for link in read_skeleton(str(path))['links']}
    assert len(links) == 19  # the published numbers, which count from 1
    coco = '16-14 14-12 17-15 15-13 12-13 6-12 7-13 6-7 6-8 7-9 8-10 9-11 2-3 1-2 1-3 2-4 3-5 4-6 5-7'
    names = list(COCO_SIGMAS)
    assert links == {frozenset(names[int(end) - 1] for end in pair.split('-')) for pair in coco.split()}
    path.write_text(json.dumps(YAML | dict(kpt_names=['nose', 'left_eye', 'tail', 'a', 'b'], flip_idx=None)))
    assert read_skeleton(str(path))['links'] == [['nose', 'left_eye']]


def test_darknets_description_has_no_keypoints(tmp_path):
    (tmp_path / 'obj.data').write_text('train = train.txt\n')
    with pytest.raises(
        UserError, match=r'obj\.data: there is no kpt_shape, .*; use the config of a detector'
    ):
        read_skeleton(str(tmp_path / 'obj.data'))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(kpt_shape=None), r'data\.yaml: there is no kpt_shape'),
        (dict(flip_idx=[0, 1]), r'flip_idx: .* does not have each of 0 to 4 once'),
        (dict(flip_idx=[0, 1, 2, 3, 'x']), r'flip_idx: .* does not have each of 0 to 4 once'),
        (dict(flip_idx=[1, 2, 0, 3, 4]), r'flip_idx: .* is not its own inverse'),
        (dict(kpt_names=['a', 'b']), r'kpt_names: a, b: kpt_shape asks for 5 names'),
        (dict(kpt_names=['a'] * 5), r'kpt_names: .* kpt_shape asks for 5 names, each once'),
        (dict(kpt_names={0: 'a'}), 'kpt_shape asks for 5 names'),
    ],
)
def test_a_yaml_file_at_fault(tmp_path, changes, message):
    write_yolo(tmp_path, random_content(2), **changes)
    with pytest.raises(UserError, match=message):
        open_yolo(tmp_path)


def test_another_skeleton_than_that_of_the_labels(tmp_path):
    write_yolo(tmp_path, random_content(2))
    with pytest.raises(UserError, match='kpt_shape has 5 keypoints, but the skeleton 1'):
        open_yolo(tmp_path, metainfo=dict(skeleton=dict(keypoints=['a'])))


def test_no_labelled_keypoint_at_all(tmp_path):
    write_yolo(tmp_path, content_of(IMAGES))
    (tmp_path / 'labels/0.txt').write_text(LINE)
    with pytest.raises(UserError, match='none of the 1 objects has a labelled keypoint'):
        open_yolo(tmp_path)


def test_the_ground_truth_has_the_keypoints_and_background_images(tmp_path):
    write_yolo(tmp_path, random_content(8))
    (tmp_path / 'labels/1.txt').write_text('')
    dataset = open_yolo(tmp_path)
    truth = dataset.ground_truth()
    entries = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert any(not len(entry['labels']) for entry in entries)
    assert len(truth['images']) == len(entries)
    wanted = np.concatenate([entry['keypoints'].reshape(-1, 15) for entry in entries])
    np.testing.assert_array_equal([entry['keypoints'] for entry in truth['annotations']], wanted)


def test_built_by_name():
    assert DATASETS.get('YOLOXPoseYoloDataset') is YOLOXPoseYoloDataset
