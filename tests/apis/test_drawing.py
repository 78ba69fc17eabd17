"""mmyolox/visualization.py: pictures, result entries, and MMDetection's hook."""

import json
from types import SimpleNamespace

import cv2
import mmengine
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from pycocotools.coco import COCO

from mmyolox.apis import drawing as visualization
from mmyolox.apis.draw import class_colour, draw_boxes
from mmyolox.apis.drawing import YOLOXVisualizer, build_visualizer
from mmyolox.registry import VISUALIZERS

CLASSES = ('cat', 'dog')


def instances(scores=True, count=2):
    found = InstanceData(
        bboxes=torch.tensor([[10.0, 30.0, 40.0, 50.0], [30.004, 20.0, 60.0, 55.5]])[:count],
        labels=torch.tensor([1, 0])[:count],
    )
    if scores:
        found.scores = torch.tensor([0.9, 0.25])[:count]
    return found


def visualizer(**meta):
    made = YOLOXVisualizer()
    made.dataset_meta = dict(classes=CLASSES, **meta)
    return made


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)


@pytest.mark.parametrize('count', [0, 1, 2])
@pytest.mark.parametrize('scores', [True, False])
def test_boxes_are_drawn_with_the_names_and_the_scores(image, count, scores):
    found = instances(scores, count)
    expected = draw_boxes(image, found.bboxes, found.labels, CLASSES, found.get('scores'))
    before = image.copy()
    np.testing.assert_array_equal(visualizer().draw(image, found), expected)
    np.testing.assert_array_equal(image, before)


def test_ignored_regions_lie_beneath_the_truth_and_have_a_colour_of_their_own(image):
    bbox = [[10.0, 30.0, 40.0, 50.0], [50.0, 30.0, 80.0, 60.0]]
    picture = visualizer().draw_truth(image, instances(scores=False, count=1), bbox)
    assert tuple(picture[40, 10]) == class_colour(1)
    assert tuple(picture[45, 79]) == class_colour(2)
    nothing = visualizer().draw_truth(image, instances(scores=False, count=0), [])
    np.testing.assert_array_equal(nothing, image)


def test_entries_are_in_terms_of_coco():
    assert visualizer().entries(instances()) == [
        dict(label=1, class_name='dog', category_id=2, bbox=[10.0, 30.0, 30.0, 20.0], score=0.9),
        dict(label=0, class_name='cat', category_id=1, bbox=[30.0, 20.0, 30.0, 35.5], score=0.25),
    ]
    assert visualizer().entries(instances(count=0)) == []


def test_entries_have_the_categories_of_the_data_set_and_load_in_pycocotools():
    entries = visualizer(cat_ids=[7, 3]).entries(instances())
    truth = COCO()
    truth.dataset = dict(images=[dict(id=0)], annotations=[], categories=[dict(id=7), dict(id=3)])
    truth.createIndex()
    loaded = truth.loadRes(json.loads(json.dumps([dict(image_id=0, **entry) for entry in entries])))
    assert [loaded.anns[key]['category_id'] for key in (1, 2)] == [3, 7]
    assert [loaded.anns[key]['area'] for key in (1, 2)] == [600, pytest.approx(1065)]


# --- MMEngine's interface --------------------------------------------------------------------------------


def sample(**parts):
    made = DetDataSample(metainfo=dict(img_path='a.png'))
    for name, part in parts.items():
        setattr(made, name, part)
    return made


FULL = dict(gt_instances=instances(scores=False), pred_instances=instances())


def written(tmp_path, image, data_sample, **options):
    path = tmp_path / 'new' / 'out.png'
    rgb = np.ascontiguousarray(image[..., ::-1])
    visualizer().add_datasample('x', rgb, data_sample, out_file=str(path), **options)
    return cv2.imread(str(path))


def test_truth_and_predictions_side_by_side_in_the_right_colours(tmp_path, image):
    picture = written(tmp_path, image, sample(**FULL))
    assert picture.shape == (70, 180, 3)
    np.testing.assert_array_equal(picture[:, :90], visualizer().draw(image, FULL['gt_instances']))
    np.testing.assert_array_equal(picture[:, 90:], visualizer().draw(image, instances(count=1)))


def test_crowds_are_part_of_the_truth(tmp_path, image):
    crowd = instances(scores=False, count=1)
    truth = instances(scores=False, count=0)
    picture = written(tmp_path, image, sample(gt_instances=truth, ignored_instances=crowd))
    assert tuple(picture[40, 10]) == class_colour(2)


@pytest.mark.parametrize(
    ('parts', 'options', 'width'),
    [
        (FULL, dict(draw_gt=False), 90),
        (FULL, dict(draw_pred=False), 90),
        (dict(pred_instances=instances()), {}, 90),
        ({}, {}, 90),
    ],
)
def test_what_is_not_there_or_not_wanted_is_left_out(tmp_path, image, parts, options, width):
    assert written(tmp_path, image, sample(**parts), **options).shape == (70, width, 3)


def test_no_sample_at_all(tmp_path, image):
    np.testing.assert_array_equal(written(tmp_path, image, None), image)


@pytest.mark.parametrize(('threshold', 'count'), [(0.25, 2), (0.3, 1), (0.95, 0)])
def test_predictions_from_the_threshold_on(tmp_path, image, threshold, count):
    picture = written(tmp_path, image, sample(pred_instances=instances()), pred_score_thr=threshold)
    np.testing.assert_array_equal(picture, visualizer().draw(image, instances(count=count)))


def test_backends_and_windows_get_rgb(tmp_path, image, monkeypatch):
    made = YOLOXVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    made.dataset_meta = dict(classes=CLASSES)
    shown = []
    monkeypatch.setattr(made, 'show', lambda picture, **options: shown.append((picture, options)))
    rgb = np.ascontiguousarray(image[..., ::-1])
    made.add_datasample('pic', rgb, sample(pred_instances=instances()), show=True, wait_time=2, step=7)
    expected = made.draw(image, instances(count=1))
    kept = cv2.imread(str(tmp_path / 'vis_data/vis_image/pic_7.png'))
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(shown[0][0], expected[..., ::-1])
    assert shown[0][1] == dict(win_name='pic', wait_time=2)


def test_the_hook_of_mmdet_writes_pictures(tmp_path, image):
    from mmdet.engine.hooks import DetVisualizationHook

    made = VISUALIZERS.build(dict(type='YOLOXVisualizer', name='of the hook'))
    made.dataset_meta = dict(classes=CLASSES)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    data_sample = sample(**FULL)
    data_sample.set_metainfo(dict(img_path=str(tmp_path / 'a.png')))
    hook = DetVisualizationHook(draw=True, test_out_dir=str(tmp_path / 'out'))
    hook.after_test_iter(SimpleNamespace(work_dir=str(tmp_path), timestamp='t'), 0, {}, [data_sample])
    picture = cv2.imread(str(tmp_path / 'out/a.png'))
    np.testing.assert_array_equal(picture[:, :90], made.draw(image, FULL['gt_instances']))


# --- the visualizer of a config --------------------------------------------------------------------------


@VISUALIZERS.register_module()
class LoudVisualizer(YOLOXVisualizer):
    def __init__(self, name='visualizer', volume=1, **kwargs):
        super().__init__(name, **kwargs)
        self.volume = volume


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(visualization, 'print_log', lambda line, *_: lines.append(line))
    return lines


def test_the_visualizer_of_a_config_without_its_backends(tmp_path, warnings):
    settings = dict(type='LoudVisualizer', volume=3, name='v', vis_backends=[dict(type='LocalVisBackend')])
    cfg = Config(dict(visualizer=dict(settings, save_dir=str(tmp_path))))
    one = build_visualizer(cfg, dict(classes=CLASSES))
    other = build_visualizer(cfg, dict(classes=('owl',)))
    assert (type(one), one.volume, one.dataset_meta['classes']) == (LoudVisualizer, 3, CLASSES)
    assert other.dataset_meta['classes'] == ('owl',)
    assert not one._vis_backends
    assert cfg.visualizer.vis_backends
    assert not list(tmp_path.iterdir())
    assert not warnings


@pytest.mark.parametrize('kind', ['Visualizer', 'mmdet.DetLocalVisualizer', 'AbsentVisualizer'])
def test_one_that_makes_no_entries_is_replaced_with_a_warning(kind, warnings):
    cfg = Config(dict(visualizer=dict(type=kind, name='v', strange=3)))
    made = build_visualizer(cfg, dict(classes=CLASSES))
    assert type(made) is YOLOXVisualizer
    assert warnings == [f'visualizer.type={kind} makes no result entries; YOLOXVisualizer takes its place']


def test_a_config_without_one(warnings):
    assert type(build_visualizer(Config(dict()), dict(classes=CLASSES))) is YOLOXVisualizer
    assert not warnings


def test_curves_go_where_they_went(tmp_path):
    """In a training the visualizer does what MMEngine's own does."""
    for kind in (Visualizer, YOLOXVisualizer):
        made = kind(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path / kind.__name__))
        made.add_scalars(dict(loss=0.5), step=3)
        made.close()
    one, other = (
        (tmp_path / name / 'vis_data/scalars.json').read_text() for name in ('Visualizer', 'YOLOXVisualizer')
    )
    assert one == other != ''
    assert mmengine.load(tmp_path / 'YOLOXVisualizer/vis_data/scalars.json', file_format='json')['step'] == 3
