"""mmyolox/apis/drawing.py: pictures, result entries, and MMDetection's hook."""

import json
import os
from types import SimpleNamespace

import cv2
import mmengine
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.visualization import LocalVisBackend, MLflowVisBackend, TensorboardVisBackend, Visualizer
from pycocotools.coco import COCO

from mmyolox.apis import drawing, trackers
from mmyolox.apis.drawing import (
    YOLOXVisualizer,
    build_visualizer,
    contact_sheet,
    draw_boxes,
    draw_text,
    write_image,
)
from mmyolox.config import load_config
from mmyolox.deploy.draw import as_bgr, class_colour, line_width
from mmyolox.errors import UserError
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
    monkeypatch.setattr(drawing, 'print_log', lambda line, *_: lines.append(line))
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


@pytest.mark.parametrize('scope', ['mmyolox', 'mmengine'])
def test_a_config_on_a_base_by_the_name_of_the_package_has_its_visualizer(tmp_path, scope, warnings):
    """MMEngine then gives every part a ``_scope_``."""
    path = tmp_path / 'mine.py'
    base = "_base_ = 'mmyolox::yolox/yolox_nano_fast_8xb8-300e_coco.py'"
    path.write_text(f"{base}\ndefault_scope = '{scope}'\nvisualizer = dict(type='LoudVisualizer')\n")
    made = build_visualizer(load_config(str(path)), dict(classes=CLASSES))
    assert type(made) is LoudVisualizer
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


# --- boxes, text and files ------------------------------------------------------------------------------

NAMES = ('one', 'two', 'three')


def blank(width=200, height=100):
    return np.full((height, width, 3), 50, np.uint8)


def painted(image, label):
    """Where an image has the colour of a class."""
    return (image == class_colour(label)).all(axis=2)


def test_the_outline_is_on_the_border_pixels_of_the_box():
    image = draw_boxes(blank(), [[20, 40, 60, 90]], [1], ['', '', ''])
    found = painted(image, 1)
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert found[40, 20:60].all()
    assert found[89, 20:60].all()
    assert found[40:90, 20].all()
    assert found[40:90, 59].all()
    assert (columns[0], columns[-1], rows[-1]) == (20, 59, 89)
    assert (image[41:89, 21:59] == 50).all()


def test_the_image_given_is_left_as_it_is():
    image = blank()
    assert draw_boxes(image, [[20, 40, 60, 90]], [0], NAMES) is not image
    assert (image == 50).all()


@pytest.mark.parametrize('bboxes', [[], np.zeros((0, 4), np.float32)])
def test_nothing_to_draw(bboxes):
    np.testing.assert_array_equal(draw_boxes(blank(), bboxes, [], NAMES), blank())


@pytest.mark.parametrize(
    'bbox', [[-50, -50, 30, 30], [150, 80, 900, 900], [300, 300, 400, 400], [5, 5, 5, 5], [-9, -9, -5, -5]]
)
def test_boxes_outside_or_without_area_do_no_harm(bbox):
    assert draw_boxes(blank(), [bbox], [2], NAMES).shape == (100, 200, 3)


def test_a_read_only_view_of_a_chw_array_can_be_drawn_on():
    chw = np.full((3, 100, 200), 50, np.uint8)
    chw.flags.writeable = False
    expected = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    np.testing.assert_array_equal(
        draw_boxes(chw.transpose(1, 2, 0), [[20, 40, 60, 90]], [0], NAMES), expected
    )


def test_the_best_score_is_on_top():
    bboxes = [[20, 40, 60, 90], [20, 40, 60, 90]]
    best_first = draw_boxes(blank(), bboxes, [0, 1], ['', ''], scores=[0.9, 0.2])
    assert painted(best_first, 0)[60, 20]
    best_last = draw_boxes(blank(), bboxes, [0, 1], ['', ''], scores=[0.2, 0.9])
    assert painted(best_last, 1)[60, 20]


def test_scores_are_written():
    without = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    ground = [painted(draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES, scores=[s]), 0) for s in (0.1, 0.8)]
    assert ground[0].sum() > painted(without, 0).sum()
    assert (ground[0] != ground[1]).any()


def test_scores_as_many_as_boxes():
    with pytest.raises(ValueError, match='zip'):
        draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES, scores=[0.1, 0.2])


@pytest.mark.parametrize(
    ('corner', 'rows'), [((20, 60), slice(0, 60)), ((20, 3), slice(3, 100)), ((20, -40), slice(0, 100))]
)
def test_text_is_above_its_point_or_below_it_at_the_top_edge(corner, rows):
    image = blank()
    draw_text(image, 'cell', corner, (255, 0, 0))
    changed = (image != 50).any(axis=2)
    assert changed[rows].sum() == changed.sum() > 100


@pytest.mark.parametrize('corner', [(190, 60), (-30, 60), (20, 60)])
def test_text_is_seen_whole(corner):
    at_corner, in_middle = blank(), blank()
    draw_text(at_corner, 'cell', corner, (255, 0, 0))
    draw_text(in_middle, 'cell', (100, 60), (255, 0, 0))
    assert (at_corner != 50).any(axis=2).sum() == (in_middle != 50).any(axis=2).sum()


@pytest.mark.parametrize(('colour', 'ink'), [((200, 255, 255), 0), ((120, 0, 0), 255)])
def test_ink_stands_out_from_its_ground(colour, ink):
    image = np.full((100, 200, 3), colour, np.uint8)
    draw_text(image, 'MMM', (20, 60), colour)
    # Smoothed lines at this size do not quite reach the ink.
    assert np.abs(image.astype(int) - ink).max(axis=2).min() < 60
    assert np.abs(image.astype(int) - np.array(colour)).max() > 60
    assert ((image.astype(int) - colour) * (1 if ink else -1) >= 0).all()


def test_a_name_that_the_font_lacks():
    image, expected = blank(), blank()
    draw_text(image, '猫', (20, 60), (255, 0, 0))
    draw_text(expected, '?', (20, 60), (255, 0, 0))
    np.testing.assert_array_equal(image, expected)


def test_neighbouring_classes_have_colours_far_apart():
    colours = np.array([class_colour(label) for label in range(81)], float)
    assert len(np.unique(colours, axis=0)) == 81
    assert (np.linalg.norm(np.diff(colours, axis=0), axis=1) > 120).all()
    assert class_colour(3) == class_colour(3)


@pytest.mark.parametrize(('size', 'expected'), [((20, 30), 1), ((480, 640), 2), ((1280, 720), 4)])
def test_line_width_follows_the_longer_side(size, expected):
    assert line_width(np.zeros((*size, 3), np.uint8)) == expected


@pytest.mark.parametrize(
    ('count', 'shape'), [(1, (42, 52, 3)), (2, (42, 98, 3)), (5, (78, 144, 3)), (9, (114, 144, 3))]
)
def test_contact_sheet_is_nearly_square(count, shape):
    assert contact_sheet([blank(40, 30)] * count).shape == shape


def test_contact_sheet_places_row_by_row_in_the_middle_and_shrinks_what_is_large():
    images = [np.full((20, 40, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet([*images, np.full((80, 40, 3), 40, np.uint8)], cell=40)
    expected = np.full((98, 98), sheet[0, 0, 0])
    expected[16:36, 6:46], expected[16:36, 52:92], expected[62:82, 6:46] = 10, 20, 30
    expected[52:92, 62:82] = 40
    np.testing.assert_array_equal(sheet, expected[..., None].repeat(3, axis=2))
    assert sheet[0, 0, 0] > 200


@pytest.mark.parametrize('width', [60, 1200])
def test_the_title_of_a_sheet_is_read_whole(width):
    bare, titled = contact_sheet([blank(width)], width), contact_sheet([blank(width)], width, 'one two')
    above = titled.shape[0] - bare.shape[0]
    np.testing.assert_array_equal(titled[above:], bare)
    y, x = np.nonzero((titled[:above] != bare[0, 0]).any(axis=2))
    assert 0 < y.min() < y.max() < above - 1
    assert 2 < x.min() < x.max() < width + 9


@pytest.mark.parametrize('name', ['new/folder/a.png', 'b.PNG', 'c.d.bmp', '\u732b.png'])
def test_write_image_makes_the_folder_and_keeps_the_pixels(tmp_path, name):
    image = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    write_image(tmp_path / name, image)
    written = cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(written, image)


@pytest.mark.parametrize('name', ['photo.xyz', 'photo'])
def test_write_image_needs_a_known_suffix(tmp_path, name):
    with pytest.raises(UserError, match=f'{name}: OpenCV writes no files of this name'):
        write_image(tmp_path / name, blank())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('channels', 'seen'), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (6, [0, 1, 2])]
)
def test_images_of_any_number_of_channels_are_drawn_on(channels, seen):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, channels), np.uint8)
    np.testing.assert_array_equal(as_bgr(image), image[..., seen])
    picture = draw_boxes(image, [[20, 10, 40, 30]], [0], NAMES)
    assert picture.shape == (40, 60, 3)
    np.testing.assert_array_equal(picture[35:], image[35:, :, seen])


@pytest.mark.parametrize('name', [b'\xff.png', b'a.\xff', b'.png', b'a'])
def test_names_that_opencv_cannot_take(image, tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    if path.suffix == '.png':
        write_image(path, image)
        assert path.stat().st_size > 0
    else:
        with pytest.raises(UserError, match='OpenCV writes no files of this name'):
            write_image(path, image)


class Pictures:
    """Keeps what a tracker is given."""

    def __init__(self, save_dir):
        super().__init__(save_dir)
        self.kept = []

    def add_image(self, name, image, step=0):
        self.kept.append((name, image, step))


class Board(Pictures, TensorboardVisBackend):
    pass


class Flow(Pictures, MLflowVisBackend):
    pass


class Local(Pictures, LocalVisBackend):
    pass


def test_trackers_get_a_picture_and_the_work_dir_does_not(tmp_path):
    backends = [kind(str(tmp_path)) for kind in (Board, Flow, Local)]
    visualizer = YOLOXVisualizer(vis_backends=backends)
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200  # blue
    visualizer.track_picture('validation/chart', picture, 12)
    assert visualizer.trackers == ['Board', 'Flow']
    board, flow, local = (backend.kept for backend in backends)
    assert [(name, step) for name, _, step in board] == [('validation/chart', 12)]
    np.testing.assert_array_equal(board[0][1][0, 0], [0, 0, 200])
    assert [name for name, *_ in flow] == ['validation/chart_0012.png']
    assert local == []


def test_a_tracker_is_added_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: name)
    backend = dict(type='LocalVisBackend')
    visualizer = YOLOXVisualizer(vis_backends=[backend], save_dir=str(tmp_path), trackers='tensorboard')
    assert visualizer.trackers == ['TensorboardVisBackend']
    assert YOLOXVisualizer(vis_backends=[backend], save_dir=str(tmp_path)).trackers == []


def test_tools_that_only_draw_have_no_trackers():
    cfg = Config(dict(visualizer=dict(type='YOLOXVisualizer', trackers='wandb')))
    assert build_visualizer(cfg, dict(classes=CLASSES)).trackers == []
