"""YOLOXPoseVisualizer: which pixels are painted, and what result files get."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.apis.drawing import YOLOXVisualizer
from mmyolox.projects.yolox_pose.visualizer import YOLOXPoseVisualizer
from mmyolox.registry import VISUALIZERS

SPEC = dict(
    keypoints=['nose', 'left_hand', 'right_hand', 'tail'],
    flip_pairs=[['left_hand', 'right_hand']],
    links=[['nose', 'left_hand'], ['nose', 'right_hand'], ['left_hand', 'right_hand'], ['nose', 'tail']],
    sigmas=[0.05] * 4,
)
POINTS = [[50.5, 10.5], [20.5, 40.5], [80.5, 40.5], [50.5, 80.5]]
LEFT, RIGHT, MIDDLE = (0, 255, 0), (0, 128, 255), (255, 153, 51)  # BGR
NOSE, LEFT_HAND, RIGHT_HAND, TAIL = POINTS
TIES = dict(left=(35, 25), right=(65, 25), across=(35, 40), spine=(50, 60))
"""Pixels in the middle of each line."""


def visualizer(meta=(), **options):
    made = YOLOXPoseVisualizer(**options)
    made.dataset_meta = dict(classes=('cat', 'ball'), skeleton=SPEC) | dict(meta)
    return made


def blank():
    return np.full((100, 100, 3), 40, np.uint8)


def predicted(scores=(1.0, 1.0, 1.0, 1.0), points=POINTS, label=0):
    return InstanceData(
        bboxes=torch.tensor([[2.0, 2.0, 98.0, 98.0]]),
        labels=torch.tensor([label]),
        scores=torch.tensor([0.9]),
        keypoints=torch.tensor([points]),
        keypoint_scores=torch.tensor([scores]),
    )


def annotated(visibility, label=0):
    rows = np.column_stack([POINTS, visibility]) * np.array(visibility, bool)[:, None]
    return InstanceData(
        bboxes=torch.tensor([[2.0, 2.0, 98.0, 98.0]]),
        labels=torch.tensor([label]),
        keypoints=torch.from_numpy(rows[None].astype(np.float32)),
    )


def poses(instances, meta=(), **options):
    """What is drawn beside the boxes: (H, W) whether it is painted, and the picture."""
    made = visualizer(meta, **options)
    picture = made.draw(blank(), instances)
    boxes = YOLOXVisualizer.draw(made, blank(), instances)
    return (picture != boxes).any(axis=2), picture


def painted(mask, places):
    return {name for name, (x, y) in places.items() if mask[y, x]}


def near(mask, point, reach=3):
    x, y = (int(value) for value in point)
    return bool(mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].any())


def test_every_line_and_point_is_drawn():
    mask, picture = poses(predicted())
    assert painted(mask, TIES) == set(TIES)
    for (x, y), colour in zip(POINTS, (MIDDLE, LEFT, RIGHT, MIDDLE), strict=True):
        assert tuple(picture[int(y), int(x)]) == colour
    assert not mask[60, 20:45].any()
    assert not mask[60, 56:].any()


def test_lines_of_left_right_and_middle_differ_in_colour():
    ends = ('left_hand', 'left_foot', 'right_hand', 'right_foot', 'nose', 'tail')
    spec = dict(keypoints=ends, flip_pairs=[], links=[ends[:2], ends[2:4], ends[4:]], sigmas=[1] * 6)
    points = [[float(x), y] for x in (20, 80, 50) for y in (20.0, 80.0)]
    _, picture = poses(predicted([1.0] * 6, points), dict(skeleton=spec))
    # Smoothed lines do not quite reach their colours.
    np.testing.assert_allclose(picture[60, [20, 80, 50]].astype(int), [LEFT, RIGHT, MIDDLE], atol=40)


@pytest.mark.parametrize(
    ('missing', 'lines'),
    [(0, {'across'}), (1, {'right', 'spine'}), (2, {'left', 'spine'}), (3, {'left', 'right', 'across'})],
)
@pytest.mark.parametrize('kind', ['predicted', 'annotated'])
def test_below_the_threshold_or_unlabelled_neither_point_nor_lines(missing, lines, kind):
    values = np.full(4, 0.9)
    values[missing] = 0.29
    instances = predicted(values.tolist()) if kind == 'predicted' else annotated(2 * (values > 0.5))
    mask, _ = poses(instances)
    assert painted(mask, TIES) == lines
    assert not near(mask, POINTS[missing])
    # An unlabelled keypoint's zeros are no place.
    assert not near(mask, (0, 0), 9)


@pytest.mark.parametrize(('threshold', 'drawn'), [(0.5, True), (0.51, False)])
def test_the_threshold_of_keypoints_is_an_option(threshold, drawn):
    mask, _ = poses(predicted([0.5] * 4), keypoint_score_thr=threshold)
    assert mask.any() == drawn


def test_annotated_keypoints_that_are_hidden_are_rings():
    mask, picture = poses(annotated([1, 2, 2, 2]))
    x, y = (int(value) for value in NOSE)
    assert tuple(picture[y, x]) == (255, 255, 255)
    assert near((picture == MIDDLE).all(axis=2), NOSE)
    assert painted(mask, TIES) == set(TIES)


CLASS_KEYPOINTS = dict(class_keypoints=[[0, 1, 2], [3, 0]])


@pytest.mark.parametrize(
    ('label', 'lines', 'absent'), [(0, {'left', 'right', 'across'}, [3]), (1, {'spine'}, [1, 2])]
)
@pytest.mark.parametrize('make', [predicted, annotated])
def test_only_keypoints_that_the_class_has(label, lines, absent, make):
    mask, _ = poses(make([2] * 4, label=label), CLASS_KEYPOINTS)
    assert painted(mask, TIES) == lines
    assert not any(near(mask, POINTS[index]) for index in absent)


def test_a_class_without_keypoints_is_a_box():
    mask, _ = poses(predicted(label=1), dict(class_keypoints=[[0, 1, 2, 3], []]))
    assert not mask.any()


def test_the_image_is_left_as_it_is_and_nothing_is_drawn_for_nothing():
    image = blank()
    np.testing.assert_array_equal(visualizer().draw(image, predicted()[:0]), blank())
    visualizer().draw(image, predicted())
    np.testing.assert_array_equal(image, blank())


def test_objects_without_keypoints_are_drawn_as_boxes():
    instances = predicted()
    del instances.keypoints
    assert not poses(instances)[0].any()


def test_points_outside_the_image_do_no_harm_and_their_lines_are_seen():
    points = [[50.5, 10.5], [-400.0, 10.5], [1e6, 10.5], [50.5, -9.0]]
    mask, _ = poses(predicted(points=points))
    assert mask[10, 5]
    assert mask[10, 95]
    assert not mask[40:].any()


def test_the_best_object_is_on_top():
    both = InstanceData.cat([predicted(), predicted(points=[NOSE, RIGHT_HAND, LEFT_HAND, TAIL])])
    both.scores = torch.tensor([0.9, 0.3])
    _, picture = poses(both)
    assert tuple(picture[40, 20]) == LEFT
    both.scores = torch.tensor([0.3, 0.9])
    _, picture = poses(both)
    assert tuple(picture[40, 20]) == RIGHT


def test_lines_are_wider_in_large_images():
    shares = []
    for scale in (1, 8):
        instances = predicted(points=(scale * np.array(POINTS, np.float32)).tolist())
        made = visualizer()
        image = np.full((100 * scale, 100 * scale, 3), 40, np.uint8)
        picture = made.draw(image, instances)
        shares.append(
            int(
                (picture[60 * scale] != YOLOXVisualizer.draw(made, image, instances)[60 * scale]).any(1).sum()
            )
        )
    assert shares[1] > shares[0] >= 1


def test_ground_truth_and_predictions_by_the_hook_of_mmdet(tmp_path):
    """MMDetection's hook hands RGB and any sample; crowds have no keypoints to draw."""
    data_sample = DetDataSample()
    data_sample.gt_instances = annotated([2, 2, 0, 2])
    data_sample.ignored_instances = annotated([2, 2, 2, 2])
    data_sample.pred_instances = predicted([0.9, 0.0, 0.9, 0.9])
    path = tmp_path / 'out.png'
    visualizer().add_datasample('x', blank(), data_sample, out_file=str(path))
    truth, found = np.split(cv2.imread(str(path)), 2, axis=1)
    assert near((truth == LEFT).all(axis=2), LEFT_HAND)
    assert not near((truth == RIGHT).all(axis=2), RIGHT_HAND)
    assert near((found == RIGHT).all(axis=2), RIGHT_HAND)
    assert not near((found == LEFT).all(axis=2), LEFT_HAND)


def test_it_is_built_from_a_config():
    built = VISUALIZERS.build(dict(type='YOLOXPoseVisualizer', name='pose', keypoint_score_thr=0.7))
    assert built.keypoint_score_thr == 0.7


# --- result files ----------------------------------------------------------------------------------------


def test_entries_are_those_of_the_boxes_with_keypoints():
    (entry,) = visualizer().entries(predicted([0.91234, 0.5, 0.25, 0.0]))
    assert entry.pop('keypoints') == [50.5, 10.5, 0.9123, 20.5, 40.5, 0.5, 80.5, 40.5, 0.25, 50.5, 80.5, 0.0]
    expected = dict(label=0, class_name='cat', category_id=1, bbox=[2.0, 2.0, 96.0, 96.0], score=0.9)
    assert entry == expected


@pytest.mark.parametrize(
    ('label', 'expected'),
    [(0, [50.5, 10.5, 1.0, 20.5, 40.5, 1.0, 80.5, 40.5, 1.0]), (1, [50.5, 80.5, 1.0, 50.5, 10.5, 1.0])],
)
def test_entries_have_the_keypoints_of_their_class_in_its_order(label, expected):
    (entry,) = visualizer(CLASS_KEYPOINTS).entries(predicted(label=label))
    assert entry['keypoints'] == expected


def test_no_objects_no_entries():
    assert visualizer().entries(predicted()[:0]) == []


def test_entries_load_in_pycocotools_and_are_evaluated():
    found = [dict(entry, image_id=5) for entry in visualizer(dict(cat_ids=[7, 9])).entries(predicted())]
    points = np.column_stack([POINTS, [2] * 4]).ravel().tolist()
    person = dict(id=1, image_id=5, category_id=7, keypoints=points, num_keypoints=4, area=900, iscrowd=0)
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=5)],
        annotations=[dict(person, bbox=[2, 2, 96, 96])],
        categories=[dict(id=7, name='cat', keypoints=SPEC['keypoints'], skeleton=[])],
    )
    truth.createIndex()
    loaded = truth.loadRes(json.loads(json.dumps(found)))
    evaluation = COCOeval(truth, loaded, 'keypoints')
    evaluation.params.kpt_oks_sigmas = np.array(SPEC['sigmas'])
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
