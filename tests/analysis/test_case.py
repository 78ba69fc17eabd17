"""Ground truth of files and of data sets, and detections of one file or two beside it."""

import json

import numpy as np
import pytest

from mmyolox.analysis import Case, GroundTruth, analyse
from mmyolox.analysis.skeleton import Skeleton
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError
from tests.analysis.coco_loops import evaluated
from tests.analysis.random_cases import categories, made_case
from tests.datasets.small_sets import open_coco, write_coco

BOX = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20], area=400, iscrowd=0)
FOUND = dict(image_id=1, category_id=1, bbox=[10, 10, 20, 20], score=0.9)
TWO_CLASSES = Skeleton(('top', 'tip'), (0, 1), (0.1, 0.1), (), ((0, 1), ()))


def truth_of(annotations, ids=(1,), skeleton=None, **options):
    images = [dict(id=i, file_name=f'{i}.jpg', width=100, height=80) for i in ids]
    fields = () if skeleton is None else ('keypoints',)
    file = CocoAnnotations.of('truth.json', images, annotations, categories(2), fields)
    return GroundTruth.of_annotations(file, skeleton=skeleton, **options)


def test_images_are_by_id_and_objects_by_image():
    ids = ['b', 10, 'a', 9]
    annotations = [
        BOX | dict(id=number, image_id=ids[number % 4], bbox=[number, 0, 5, 5]) for number in range(8)
    ]
    truth = truth_of(annotations, ids)
    assert truth.image_ids == [9, 10, 'a', 'b']
    assert truth.paths == ['9.jpg', '10.jpg', 'a.jpg', 'b.jpg']
    assert truth.images.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert truth.ids == [3, 7, 1, 5, 2, 6, 0, 4]
    assert truth.bboxes.tolist() == [[number, 0, number + 5, 5] for number in truth.ids]


def test_classes_follow_the_model_and_paths_what_is_given():
    annotations = [BOX, BOX | dict(id=2, category_id=2)]
    truth = truth_of(annotations, classes=('b', 'a'), paths={1: '/photos/one.jpg'})
    assert (truth.category_ids, truth.labels.tolist()) == ((2, 1), [1, 0])
    assert truth.paths == ['/photos/one.jpg']
    assert truth_of(annotations, paths='/photos').paths == ['/photos/1.jpg']


def test_a_class_that_the_file_lacks_is_told():
    with pytest.raises(UserError, match=r'truth\.json'):
        truth_of([BOX], classes=('a', 'z'))


def test_crowds_are_no_objects():
    truth = truth_of([BOX, BOX | dict(id=2, iscrowd=1), BOX | dict(id=3, category_id=2)])
    assert truth.is_object.tolist() == [True, False, True]
    assert truth.object_counts.tolist() == [1, 1]


def test_areas_are_those_annotated_or_of_the_box():
    truth = truth_of([BOX | dict(area=7), BOX | dict(id=2, area=None), BOX | dict(id=3, area=0)])
    assert truth.areas.tolist() == [7, 400, 0]


def test_objects_of_negative_area_are_left_out_as_by_pycocotools():
    reverse = BOX | dict(id=2, bbox=[60, 60, -20, 20])
    truth = truth_of([BOX, reverse | dict(area=None)])
    assert truth.ids == [1]
    assert truth.notes == ('truth.json: 1 box of a negative area left out (annotation ids 2)',)
    ours = analyse(made_case([BOX, reverse | dict(area=None)], [FOUND])).figures.overall['AP50']
    theirs = evaluated([BOX, reverse | dict(area=-400)], [FOUND], 1, 2).stats[1]
    assert (ours, theirs) == pytest.approx((1, 1))


def test_a_data_set_has_what_its_file_has(tmp_path):
    root = write_coco(tmp_path, 5, empty=[2])
    dataset = open_coco(root, [], metainfo=dict(classes=('c', 'a')))
    truth = GroundTruth.of_dataset(dataset)
    content = json.loads((root / 'ann.json').read_text())
    labels = {2: 0, 0: 1}
    own = [one for one in content['annotations'] if one['category_id'] in labels]
    assert truth.classes == ('c', 'a')
    assert [*truth.image_ids] == [*range(5)]
    assert [*truth.paths] == [str(root / 'images' / f'{number}.png') for number in range(5)]
    assert truth.sizes.tolist() == [[one['width'], one['height']] for one in content['images']]
    assert truth.images.tolist() == [one['image_id'] for one in own]
    assert truth.labels.tolist() == [labels[one['category_id']] for one in own]
    np.testing.assert_allclose(
        truth.bboxes, [[x, y, x + width, y + height] for x, y, width, height in (o['bbox'] for o in own)]
    )
    assert not truth.is_crowd.any()
    assert truth.skeleton is None


def pose_files(tmp_path, boxes, poses):
    for name, content in (('found.bbox.json', boxes), ('found.keypoints.json', poses)):
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path / 'found.bbox.json', tmp_path / 'found.keypoints.json'


def test_keypoints_beside_boxes_are_those_of_their_classes(tmp_path):
    other = FOUND | dict(category_id=2, score=0.7)
    poses = [FOUND | dict(keypoints=[11, 12, 0.5, 21, 22, 0.6])]
    boxes, keypoints = pose_files(tmp_path, [other, FOUND], poses)
    found = Case.of_results(truth_of([BOX], skeleton=TWO_CLASSES), boxes, keypoints=keypoints).detections
    assert (found.labels.tolist(), found.scores.tolist()) == ([0, 1], [0.9, 0.7])
    np.testing.assert_array_equal(found.keypoints, [[[11, 12, 0.5], [21, 22, 0.6]], [[0, 0, 0], [0, 0, 0]]])


def test_keypoints_without_a_skeleton_are_passed_over(tmp_path):
    boxes, keypoints = pose_files(tmp_path, [FOUND], [FOUND | dict(keypoints=[1, 2, 3])])
    assert Case.of_results(truth_of([BOX]), boxes, keypoints=keypoints).detections.keypoints is None
    assert Case.of_results(truth_of([BOX]), keypoints).detections.keypoints is None


def test_keypoints_without_a_box_have_the_one_around_them(tmp_path):
    pose = {key: value for key, value in FOUND.items() if key != 'bbox'}
    boxes, _ = pose_files(tmp_path, [pose | dict(keypoints=[30, 12, 1, 10, 42, 0])], [])
    found = Case.of_results(truth_of([BOX], skeleton=TWO_CLASSES), boxes).detections
    assert found.bboxes.tolist() == [[10, 12, 30, 42]]


@pytest.mark.parametrize(
    ('boxes', 'poses', 'message'),
    [
        ([FOUND], [FOUND], r'keypoints\.json: no result has keypoints'),
        ([FOUND], [FOUND | dict(category_id=2, keypoints=[1, 2, 3])], 'of categories without any.*ids: 2'),
        ([FOUND], [FOUND | dict(keypoints=[1, 2, 3])], r'keypoints\.json.*no list of 6 numbers'),
        ([FOUND], [FOUND | dict(keypoints=[1, 2, 3, 4, 5, float('nan')])], 'a keypoint that is no numbers'),
        (
            [FOUND | dict(category_id=2, image_id=5)],
            [FOUND | dict(keypoints=[1] * 6)],
            r'keypoints\.json and .*bbox\.json: 1 of 2 results are of images that truth\.json does not have',
        ),
    ],
)
def test_keypoints_that_do_not_fit_are_refused_in_one_line(tmp_path, boxes, poses, message):
    files = pose_files(tmp_path, boxes, poses)
    with pytest.raises(UserError, match=message) as caught:
        Case.of_results(truth_of([BOX], skeleton=TWO_CLASSES), files[0], keypoints=files[1])
    assert '\n' not in str(caught.value)


def test_no_detection_with_keypoints_is_a_case(tmp_path):
    files = pose_files(tmp_path, [], [])
    case = Case.of_results(truth_of([BOX], skeleton=TWO_CLASSES), files[0], 'pose', files[1])
    assert (len(case.detections), case.name) == (0, 'pose')
    assert case.detections.keypoints.shape == (0, 2, 3)


def test_boxes_of_other_classes_have_no_keypoints_where_no_pose_is_detected(tmp_path):
    boxes, keypoints = pose_files(tmp_path, [FOUND | dict(category_id=2)], [])
    found = Case.of_results(truth_of([BOX], skeleton=TWO_CLASSES), boxes, keypoints=keypoints).detections
    np.testing.assert_array_equal(found.keypoints, np.zeros((1, 2, 3)))
