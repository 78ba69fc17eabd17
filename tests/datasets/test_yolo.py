"""Data sets with YOLO's text labels: in the forms that tools write, against the converter."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets import YOLOXCocoDataset, YOLOXYoloDataset
from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.errors import UserError
from mmyolox.registry import DATASETS
from tests.tools.small_files import write_image, write_text
from tests.tools.tool_loading import load_tool

yolo2coco = load_tool('dataset_converters/yolo2coco.py')

LINE = '1 0.5 0.5 0.25 0.5'  # of a 40 x 20 image: [15, 5, 25, 15]


def write_set(root, images, yaml='names: [cat, dog]\n'):
    """Writes images of 40 x 20 pixels: the label lines by the image's path, where None is no label file."""
    for name, text in images.items():
        write_image(root / name)
        label = name.replace('images', 'labels').rsplit('.', 1)[0] + '.txt'
        if text is not None:
            write_text(root / label, text)
    if yaml is not None:
        write_text(root / 'data.yaml', yaml)
    return root


@pytest.fixture
def root(tmp_path):
    return write_set(tmp_path / 'a set', {'images/train/a.jpg': LINE, 'images/val/b.jpg': LINE})


def load(root, **kwargs):
    return YOLOXYoloDataset(data_root=str(root), **kwargs)


def entries(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def paths(dataset):
    return [entry['img_id'] for entry in entries(dataset)]


def test_entries(root):
    write_image(root / 'images/train/background.jpg')
    dataset = load(root)
    entry, background = entries(dataset)
    assert (entry['img_id'], entry['height'], entry['width']) == ('images/train/a.jpg', 20, 40)
    assert entry['img_path'] == f'{root}/images/train/a.jpg'
    assert entry['bboxes'].tolist() == [[15, 5, 25, 15]]
    assert entry['labels'].tolist() == [1]
    assert entry['is_crowd'].tolist() == [False]
    assert background['bboxes'].shape == (0, 4)
    assert [entry[key].dtype for key in ('bboxes', 'labels', 'is_crowd')] == [np.float32, np.int64, np.bool_]
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert (dataset.report.path, dataset.report.images, dataset.report.boxes) == (f'{root}/data.yaml', 2, 1)


ROBOFLOW = """train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ['cat', 'dog']

roboflow:
  workspace: someone
  project: pets
  version: 1
"""
LAYOUTS = {
    'roboflow': (ROBOFLOW, '{}/images/{}.jpg', {}),
    'ultralytics': (
        'path: ../datasets/pets\ntrain: images/train\nval: images/valid\nnames:\n  0: cat\n  1: dog\n',
        'images/{}/{}.jpg',
        {},
    ),
    'no split named': ('names: [cat, dog]\n', 'images/{}/{}.jpg', {}),
    'lists of darknet': (
        None,
        'obj_{}_data/{}.jpg',
        {
            'obj.names': 'cat\ndog\n',
            'train.txt': 'data/obj_train_data/train.jpg\n',
            'valid.txt': 'data/obj_valid_data/valid.jpg\n',
        },
    ),
    'lists of folders': (
        'train:\n- {root}/images/train\nval: [images/valid]\nnames: [cat, dog]\n',
        'images/{}/{}.jpg',
        {},
    ),
    'darknet export of roboflow': (None, '{}/{}.jpg', {'train/_darknet.labels': 'cat\ndog\n'}),
    'classes.txt': (None, '{}/{}.jpg', {'classes.txt': 'cat\ndog\n'}),
}


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_give_what_the_converter_makes_of_them(tmp_path, layout):
    yaml, form, files = layout
    lines = f'{LINE}\n0 .1 .2 .333333 .123456\n\n0 0.1 0.1 0.2 0.1 0.2 0.3\n0 0 0.9 0.5 0.4\n1 1 1 1'
    root = tmp_path / 'a set'
    images = {form.format(split, split): lines for split in ('train', 'valid')}
    write_set(root, images, yaml and yaml.replace('{root}', str(root)))
    for name, text in files.items():
        write_text(root / name, text)
    options = yolo2coco.parse_args([str(root), str(tmp_path)])
    files, base = yolo2coco.convert(options, yolo2coco.ConversionReport())
    for split, folder in (('train', 'train'), ('val', 'valid')):
        dataset = load(root, split=split)
        files[split].write(tmp_path / 'coco.json')
        coco = YOLOXCocoDataset(str(tmp_path / 'coco.json'), data_prefix=dict(img=str(base)))
        assert dataset.metainfo['classes'] == coco.metainfo['classes'] == ('cat', 'dog')
        assert paths(dataset) == [form.format(folder, folder)]
        for entry, wanted in zip(entries(dataset), entries(coco), strict=True):
            assert len(entry['bboxes']) == 4
            for key in ('img_path', 'height', 'width'):
                assert entry[key] == wanted[key]
            for key in ('bboxes', 'labels', 'is_crowd'):
                np.testing.assert_array_equal(entry[key], wanted[key])


def test_what_was_left_out_is_reported(root, monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.annotations.print_log', lambda line, **_: lines.append(line))
    write_text(root / 'labels/train/a.txt', f'{LINE}\n1 2 3\n1 .5 .5 0 .5\n0 .1 .1 .2 .1 .2 .3\n1 0 .9 .5 .4')
    write_text(root / 'images/train/bad.jpg', 'no image')
    (root / 'images/train/folder.jpg').mkdir()
    dataset = load(root)
    path = f'{root}/labels/train/a.txt'
    assert lines == [
        f'{root}/data.yaml: 3 boxes kept; 1 without area (dropped): images/train/a.jpg; '
        '1 over the image border (clipped): images/train/a.jpg; '
        f'1 polygons (their boxes taken): {path}:4; '
        f'3 lines or files at fault (left out): {path}:2: 3 values where `class cx cy w h` or a polygon is '
        f'needed, cannot decode the image {root}/images/train/bad.jpg (no size found in its header), '
        f'cannot decode the image {root}/images/train/folder.jpg (not a regular file)'
    ]
    assert paths(dataset) == ['images/train/a.jpg']


@pytest.mark.parametrize('test_mode', [False, True])
def test_what_else_was_found_is_told_in_training(root, monkeypatch, test_mode):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.yolo.print_log', lambda line, *_: lines.append(line))
    text = (root / 'data.yaml').read_text()
    (root / 'data.yaml').rename(root / 'set.yml').write_text(f'{text}\ntrain: images/train\n')
    write_image(root / 'images/train/b.jpg')
    load(root, test_mode=test_mode)
    line = (
        f'{root}/set.yml: no data.yaml, another YAML file taken: 1 ({root}/set.yml); '
        f'images without a label file, taken as background: 1 ({root}/labels/train/b.txt)'
    )
    assert lines == ([] if test_mode else [line])


@pytest.mark.parametrize(
    'text', ['a: &b {c: 1}\nd: *b\n', '- a', '{{ a }}: {% b', 'lr0: 1\nnames: [x, y]\n', None]
)
@pytest.mark.parametrize('has_other', [False, True])
def test_a_yaml_file_that_describes_no_data_set_is_passed_over(root, text, has_other):
    names = (root / 'data.yaml').read_text()
    (root / 'data.yaml').unlink()
    if text is None:
        (root / 'stray.yml').mkdir()
    else:
        write_text(root / 'stray.yml', text)
    if has_other:
        write_text(root / 'set.yaml', f'{names}\ntrain: images/train\n')
    else:
        write_text(root / 'classes.txt', 'cat\ndog\n')
    layout = recognise(root)
    assert FORMATS['yolo'].read_classes(layout) == load(root).metainfo['classes'] == ('cat', 'dog')


@pytest.mark.parametrize('kpt_shape', ['[2, 3]', '[3, 2]'])
def test_of_labels_with_keypoints_the_boxes_are_taken(root, kpt_shape):
    write_text(root / 'data.yaml', f'names: [cat, dog]\nkpt_shape: {kpt_shape}\nflip_idx: [1, 0]\n')
    write_text(root / 'labels/train/a.txt', f'{LINE} .1 .2 2 .3 .4 -1\n{LINE}\n{LINE} .1 .2 2 .3\n')
    dataset = load(root)
    assert entries(dataset)[0]['bboxes'].tolist() == [[15, 5, 25, 15]] * 2
    assert dataset.report.faulty.examples == [
        f'{root}/labels/train/a.txt:3: 9 values where `class cx cy w h`, with 6 of keypoints, is needed'
    ]
    assert dataset.report.has_unread_keypoints


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_sizes_are_those_of_the_upright_image(root, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    (root / 'images/train/a.jpg').unlink()
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(root / f'images/train/a.{suffix}', exif=exif)
    (entry,) = entries(load(root))
    shape = cv2.imdecode(np.fromfile(entry['img_path'], np.uint8), cv2.IMREAD_COLOR).shape
    if suffix != 'webp':  # which our reader turns, and OpenCV does not
        assert (entry['height'], entry['width']) == shape[:2]
    if suffix != 'png':
        assert (entry['width'], entry['height']) == ((20, 40) if orientation == 6 else (40, 20))


@pytest.mark.parametrize(
    ('classes', 'labels', 'others'),
    [(('dog', 'cat'), [0, 1], {}), (('dog',), [0], {'cat': 1}), (None, [1, 0], {})],
)
def test_labels_go_by_the_name_of_the_class(root, classes, labels, others):
    write_text(root / 'labels/train/a.txt', f'{LINE}\n0{LINE[1:]}')
    dataset = load(root, metainfo=dict(classes=classes))
    assert entries(dataset)[0]['labels'].tolist() == labels
    assert dataset.report.other_classes == others


def test_configured_classes_are_the_names_where_the_files_have_none(root):
    (root / 'data.yaml').unlink()
    dataset = load(root, metainfo=dict(classes=['mouse', 'rat']))
    assert entries(dataset)[0]['labels'].tolist() == [1]


def test_several_indices_with_one_name_are_one_class(root):
    write_text(root / 'data.yaml', 'names: [cat, dog, cat]\n')
    write_text(root / 'labels/train/a.txt', f'{LINE}\n2{LINE[1:]}\n0{LINE[1:]}')
    dataset = load(root)
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert entries(dataset)[0]['labels'].tolist() == [1, 0, 0]


def test_the_yaml_file_may_lie_elsewhere(root, tmp_path):
    (root / 'data.yaml').rename(tmp_path / 'pets.yaml')
    assert paths(load(root, ann_file=str(tmp_path / 'pets.yaml'))) == ['images/train/a.jpg']


def test_the_folder_of_the_yaml_file_is_the_root_where_none_is_given(root):
    dataset = YOLOXYoloDataset(str(root / 'data.yaml'), split='val')
    assert paths(dataset) == ['images/val/b.jpg']


def test_without_splits_all_images_are_for_training(tmp_path):
    write_set(tmp_path, {'images/a.jpg': LINE, 'images/b.jpg': LINE})
    assert paths(load(tmp_path)) == ['images/a.jpg', 'images/b.jpg']
    with pytest.raises(UserError, match=r"no images in the split 'val' .*splits with images: none"):
        load(tmp_path, split='val')


def test_empty_label_files_alone_are_background(root):
    write_text(root / 'labels/val/b.txt', '')
    assert [len(entry['labels']) for entry in entries(load(root, split='val', test_mode=True))] == [0]


def move(old, new):
    return lambda root: (root / old).rename(root / new)


def write(name, text):
    return lambda root: write_text(root / name, text)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            move('images', 'pictures'),
            r"data\.yaml: no images in the split 'train' \(none in a folder or list of it\)",
        ),
        (move('images/train', 'images/all'), "no images in the split 'train' .*; splits with images: val$"),
        (write('data.yaml', 'train: gone/images\nval: images/val\nnames: [cat, dog]'), None),
        (move('labels', 'texts'), r'labels/train/a\.txt: no such label file, nor one for any other image'),
        (write('data.yaml', 'names: [cat, dog]\nnc: 3'), r'data\.yaml says nc: 3 but names 2 classes'),
        (write('data.yaml', 'names: [cat'), 'not a valid YAML file'),
        (
            write('data.yaml', 'names: {1: cat}'),
            r'names in .*data\.yaml: a list, or indices from 0 without gaps',
        ),
        (write('data.yaml', 'names: [cat, dog]\nkpt_shape: 3'), r'kpt_shape: 3; \[K, 2\] or \[K, 3\]'),
        (write('data.yaml', 'train: images/train'), r'no class names in a data\.yaml or classes\.txt'),
        (
            write('data.yaml', 'names: [cat]'),
            r'data\.yaml: 1 lines of labels have a class index beyond its 1 classes: .*a\.txt:1; correct',
        ),
        (
            write('labels/train/a.txt', '1 2\n-1 .5 .5 .5 .5\n'),
            r'no usable object in 1 images \(.*a\.txt:1: 2 values',
        ),
        (write('train.txt', 'images/train/a.jpg\nimages/train/c.jpg'), None),
    ],
)
def test_what_is_wrong_is_one_line(root, change, message):
    change(root)
    if message is None:  # what stands in for it is there
        assert paths(load(root)) == ['images/train/a.jpg']
        return
    with pytest.raises(UserError, match=message):
        load(root)


def test_listed_images_that_are_absent(root):
    write_text(root / 'data.yaml', 'train: train.txt\nnames: [cat, dog]')
    write_text(root / 'train.txt', 'images/train/a.jpg\nimages/train/gone.jpg')
    with pytest.raises(UserError, match=r"1 of 2 images of the split 'train' are not there: .*gone\.jpg"):
        load(root)


def test_a_folder_that_is_named_and_empty(root):
    (root / 'images/none').mkdir()
    write_text(root / 'data.yaml', 'train: images/none\nval: images/val\nnames: [cat, dog]')
    with pytest.raises(
        UserError, match=r"no images in the split 'train' \(none in .*images/none\); splits with .*: val$"
    ):
        load(root)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(split='vali'), "split='vali' is none of train, val, test; did you mean val"),
        (dict(data_prefix=dict(img='images')), 'does not read data_prefix'),
        (dict(ann_file='set.yaml'), r'set\.yaml: cannot be read \(No such file'),
        (dict(metainfo=dict(classes=['dog', 'cow'])), r"has no class 'cow' \(its classes: cat, dog\)"),
        (dict(metainfo=dict(classes=['dogs'])), "has no class 'dogs'; did you mean dog"),
    ],
)
def test_options_at_fault(root, options, message):
    with pytest.raises(UserError, match=message):
        load(root, **options)


@pytest.mark.parametrize('beside', [True, False])
def test_labels_of_upper_case(tmp_path, beside):
    folder = 'a' if beside else 'images'
    root = write_set(tmp_path, {f'{folder}/A.JPG': LINE, f'{folder}/b.jpg': None})
    label = root / ('a' if beside else 'labels') / 'A.txt'
    label.rename(label.with_suffix('.TXT'))
    assert recognise(root).format == 'yolo'
    dataset = YOLOXYoloDataset(data_root=str(root))
    assert [len(dataset.get_data_info(index)['labels']) for index in range(2)] == [1, 0]


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match='gone: no such folder; correct data_root'):
        load(tmp_path / 'gone')


def test_a_later_start_reads_only_what_has_changed(root, tmp_path, monkeypatch):
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr('mmyolox.datasets.annotation_cache.SMALLEST', 0)
    monkeypatch.setattr('mmyolox.datasets.annotation_cache.TICK', 0)
    lines = []
    for module in ('yolo', 'annotations'):
        monkeypatch.setattr(f'mmyolox.datasets.{module}.print_log', lambda line, *_, **__: lines.append(line))
    path = root / 'labels/train/a.txt'
    write_image(root / 'images/train/background.jpg')
    write_text(path, f'{LINE}\n1 2 3\n0 0 0 1 0 1 1\n')
    first = load(root)
    said = list(lines)
    lines.clear()
    with monkeypatch.context() as patch:
        patch.setattr('mmyolox.datasets.yolo.read_image_size', None)
        later = load(root)
    for entry, wanted in zip(entries(later), entries(first), strict=True):
        assert entry['img_path'] == wanted['img_path']
        np.testing.assert_array_equal(entry['bboxes'], wanted['bboxes'])
    assert later.report.is_restored
    assert lines == said
    for what in ('without a label file', 'a.txt:2: 3 values', '1 polygons'):
        assert sum(what in line for line in said) == 1
    write_text(path, f'{LINE}\n{LINE}\n')
    assert entries(load(root))[0]['labels'].tolist() == [1, 1]
    write_text(root / 'data.yaml', 'names: [cat, dog, bird]\n')
    assert load(root).metainfo['classes'] == ('cat', 'dog', 'bird')


def test_built_by_name():
    assert DATASETS.get('YOLOXYoloDataset') is YOLOXYoloDataset
