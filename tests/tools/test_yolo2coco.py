import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets.canvas.images import read_image
from mmyolox.datasets.layouts import recognise
from mmyolox.errors import UserError
from tests.tools.small_files import write_image, write_text
from tests.tools.tool_loading import load_tool

yolo2coco = load_tool('dataset_converters/yolo2coco.py')

LABEL = '1 0.5 0.5 0.25 0.5\n'  # of a 40 x 20 image: [15, 5, 10, 10]


@pytest.fixture
def root(tmp_path):
    """``images/train/a.jpg`` and ``images/val/b.jpg`` with one object each, and two names."""
    root = tmp_path / 'yolo'
    for split, name in (('train', 'a'), ('val', 'b')):
        write_image(root / 'images' / split / f'{name}.jpg')
        write_text(root / 'labels' / split / f'{name}.txt', LABEL)
    write_text(root / 'classes.txt', 'cat\ndog\n')
    return root


@pytest.fixture
def convert(run, root, tmp_path):
    """Converts ``root`` with some options: what was printed."""
    return lambda *options: run(yolo2coco, root, tmp_path / 'out', *options)


@pytest.fixture
def load(tmp_path):
    return lambda split: json.loads((tmp_path / 'out' / 'annotations' / f'{split}.json').read_text())


def boxes(coco):
    return [annotation['bbox'] for annotation in coco['annotations']]


def names(coco):
    return [image['file_name'] for image in coco['images']]


def test_whole_file(convert, load):
    assert convert().splitlines() == [
        'train.json: 1 image, 1 box (cat 0, dog 1)',
        'val.json: 1 image, 1 box (cat 0, dog 1)',
    ]
    coco = load('train')
    assert [category['name'] for category in coco['categories']] == ['cat', 'dog']
    assert coco['images'] == [dict(id=1, file_name='train/a.jpg', width=40, height=20)]
    assert coco['annotations'] == [
        dict(id=1, image_id=1, category_id=2, bbox=[15, 5, 10, 10], area=100, iscrowd=0)
    ]


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('0 0.5 0.5 1 1', [0, 0, 40, 20]),
        ('0 0.0125 0.025 0.025 0.05', [0, 0, 1, 1]),
        ('0.0 0.5 0.5 0.1 0.1', [18, 9, 4, 2]),
        ('0 0.5123456 0.5 0.1 0.1', [18.494, 9, 4, 2]),
        # Six decimals put the border of a third 1e-6 outside: that is no clipping worth a word.
        ('0 0.166666 0.5 0.333333 1', [0, 0, 13.333, 20]),
        ('0 0.5 0.5 1.0000001 1', [0, 0, 40, 20]),
    ],
)
def test_boxes_in_pixels(root, convert, load, line, expected):
    write_text(root / 'labels/train/a.txt', line)
    assert 'clipped' not in convert()
    assert boxes(load('train')) == [expected]


def test_boxes_across_the_border_are_clipped_and_counted(root, convert, load):
    write_text(root / 'labels/train/a.txt', '0 0.0 0.9 0.5 0.4\n')
    assert 'clipped to it: 1' in convert()
    assert boxes(load('train')) == [[0, 14, 10, 6]]


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('1 0.5 0.5 0.25', '4 values where `class cx cy w h` or a polygon is needed'),
        ('1 0.5 0.5 0.25 0.5 0.9', '6 values where `class cx cy w h` or a polygon is needed'),
        ('1 0.5 half 0.25 0.5', "'1 0.5 half 0.25 0.5' holds something that is no number"),
        ('2 0.5 0.5 0.25 0.5', 'class index 2 is not in 0 to 1'),
        ('-1 0.5 0.5 0.25 0.5', 'class index -1 is not in 0 to 1'),
        ('0.5 0.5 0.5 0.25 0.5', 'class index 0.5 is not in 0 to 1'),
        ('1 20 10 10 10', '20 10 10 10 is not within 0 to 1'),
        ('1 0.5 -0.1 0.25 0.5', '0.5 -0.1 0.25 0.5 is not within 0 to 1'),
        ('1 0.5 0.5 0.25 1.011', '0.5 0.5 0.25 1.011 is not within 0 to 1'),
        ('1 0.5 nan 0.25 0.5', '0.5 nan 0.25 0.5 is not within 0 to 1'),
        ('1 0.5 0.5 1e400 0.5', '0.5 0.5 1e400 0.5 is not within 0 to 1'),
        ('inf 0.5 0.5 0.25 0.5', 'class index inf is not in 0 to 1'),
        ('1 0.5 0.5 0 0.5', 'box (20, 5, 20, 15) has no area'),
    ],
)
def test_malformed_lines_are_named_and_left_out(root, convert, load, line, reason):
    path = root / 'labels/train/a.txt'
    write_text(path, f'{LABEL}\n{line}\n')
    assert f'skipped: {path}:3: {reason}, skipped\n' in convert()
    assert boxes(load('train')) == [[15, 5, 10, 10]]


def test_empty_and_missing_label_files_are_background(root, convert, load):
    write_image(root / 'images/train/empty.jpg')
    write_text(root / 'labels/train/empty.txt', '')
    write_image(root / 'images/train/missing.jpg')
    printed = convert()
    assert names(load('train')) == ['train/a.jpg', 'train/empty.jpg', 'train/missing.jpg']
    assert len(boxes(load('train'))) == 1
    assert f'taken as background: 1 ({root}/labels/train/missing.txt)' in printed


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('gone', path)])
def test_label_files_that_are_none_leave_their_image_out(root, convert, load, make):
    path = root / 'labels/train/c.txt'
    write_image(root / 'images/train/c.jpg')
    make(path)
    printed = convert()
    assert f'skipped: {path}: not a regular file; image skipped\n' in printed
    assert 'background' not in printed
    assert names(load('train')) == ['train/a.jpg']


@pytest.mark.parametrize('name', ['data.yaml', 'classes.txt'])
@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir])
def test_a_special_file_in_the_place_of_the_names(root, convert, name, make):
    (root / 'classes.txt').unlink()
    make(root / name)
    with pytest.raises(UserError, match=f'{name}: not a regular file$'):
        convert()


def test_label_file_without_image_is_noted(root, convert):
    write_text(root / 'labels/train/lost.txt', LABEL)
    write_text(root / 'labels/train/classes.txt', 'cat\ndog\n')
    assert f'belong to no image of a split: 1 ({root}/labels/train/lost.txt)' in convert()


def test_no_label_file_at_all(root, convert):
    (root / 'labels').rename(root / 'txt')
    with pytest.raises(UserError, match='no such label file, nor one for any other image'):
        convert()


def test_no_usable_object_at_all(root, convert, tmp_path):
    for path in root.glob('labels/*/*.txt'):
        write_text(path, '7 0.5 0.5 0.1 0.1\n')
    with pytest.raises(UserError, match=r'no usable object in 2 images \(.*a.txt:1: class index 7'):
        convert()
    assert not (tmp_path / 'out').exists()


def test_an_image_that_is_none_is_named_and_left_out(root, convert, load):
    write_text(root / 'images/train/bad.jpg', 'no image')
    reason = 'no size found in its header'
    assert f'skipped: cannot decode the image {root}/images/train/bad.jpg ({reason})' in convert()
    assert names(load('train')) == ['train/a.jpg']


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_sizes_are_those_that_training_decodes(root, convert, load, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = root / f'images/train/a.{suffix}'
    (root / 'images/train/a.jpg').unlink()
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(path, exif=exif)
    convert()
    image = load('train')['images'][0]
    assert (image['height'], image['width']) == read_image(str(path)).shape[:2]
    if suffix == 'jpg' and orientation in (6, 8):
        assert (image['height'], image['width']) == (40, 20)


@pytest.mark.parametrize(
    'text',
    [
        'names: [cat, dog]\nnc: 2\n',
        'names: {1: dog, 0: cat}\n',
        'names:\n  0: cat\n  1: dog\n',
        'names: {"0": cat, "1": dog}\nnc: "2"\nkpt_shape: null\ntest: ~\n',
    ],
)
def test_names_from_the_yaml_file(root, convert, load, text):
    (root / 'classes.txt').unlink()
    write_text(root / 'data.yaml', text)
    convert()
    assert [category['name'] for category in load('val')['categories']] == ['cat', 'dog']


def test_names_are_the_texts_of_the_yaml_file(root, convert, load):
    write_text(root / 'data.yaml', 'names: [no, 1.10]\n')
    convert()
    assert [category['name'] for category in load('val')['categories']] == ['no', '1.10']


@pytest.mark.parametrize('name', ['data_config.yaml', 'dataset.yml'])
def test_a_yaml_file_of_another_name(root, convert, load, name):
    (root / 'images/train').rename(root / 'images/seen')
    (root / 'labels/train').rename(root / 'labels/seen')
    write_text(root / name, 'TRAIN: images/seen\nval: images/val\nnames: [a, b]\n')
    assert f'no data.yaml, another YAML file taken: 1 ({root}/{name})' in convert()
    assert [category['name'] for category in load('val')['categories']] == ['a', 'b']
    assert names(load('train')) == ['seen/a.jpg']


def test_of_several_yaml_files_none_is_taken(root, convert):
    for name in ('a.yaml', 'b.yaml'):
        write_text(root / name, 'names: [a, b]\ntrain: images/train\n')
    assert 'YAML' not in convert()
    (root / 'classes.txt').unlink()
    with pytest.raises(UserError, match='give them with --classes or --data'):
        convert()


def test_names_from_the_command_line_win(root, convert, load):
    convert('--classes', 'x', 'y', 'z')
    assert [category['name'] for category in load('val')['categories']] == ['x', 'y', 'z']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('names: [cat, dog]\nnc: 3\n', 'nc: 3 but names 2 classes'),
        ('names: {1: dog}\n', 'indices from 0 without gaps'),
        ('names: dog\n', 'indices from 0 without gaps'),
        ('names: [cat\n', 'not a valid YAML file'),
        ('a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\n', r'data.yaml: aliases .* are not read'),
        ('- cat\n', 'must hold keys'),
        ('names: [cat]\nTrain: a\ntrain: b\n', 'keys that only upper and lower case tell apart: train'),
        ('names: {0: cat, 1: dog, 1: bird}\n', 'data.yaml: keys that stand there twice: 1'),
        ('names: [cat, [dog]]\n', 'each must be a text'),
    ],
)
def test_faulty_yaml_file(root, convert, text, message):
    write_text(root / 'data.yaml', text)
    with pytest.raises(UserError, match=message):
        convert()


def test_no_names_at_all(root, convert):
    (root / 'classes.txt').unlink()
    with pytest.raises(UserError, match='give them with --classes'):
        convert()


@pytest.mark.parametrize('where', ['train.txt', 'lists/train.txt'])
@pytest.mark.parametrize('line', ['images/all/b.jpg', './images/all/b.jpg', '{root}/images/all/b.jpg'])
def test_split_by_list(root, convert, load, where, line):
    for name in ('a', 'b', 'c'):
        write_image(root / f'images/all/{name}.jpg')
        write_text(root / f'labels/all/{name}.txt', LABEL)
    write_text(root / where, f'{line.format(root=root)}\n\n{line.format(root=root)}\n')
    convert('--train', where)
    assert names(load('train')) == ['all/b.jpg']
    assert names(load('val')) == ['val/b.jpg']


def test_a_listed_image_that_is_missing_is_named(root, convert, load):
    write_text(root / 'train.txt', 'images/train/a.jpg\nimages/train/gone.jpg\n')
    printed = convert('--train', 'train.txt')
    assert f'skipped: cannot decode the image {root}/gone.jpg (No such file or directory)' in printed.replace(
        'images/train/', ''
    )
    assert names(load('train')) == ['train/a.jpg']


@pytest.mark.parametrize(
    'text',
    [
        'train: ../train/images\nval: ../valid/images\n',
        'train: train/images\nval: [valid/images]\n',
        'path: {root}\ntrain: train/images\nval: valid/images\n',
        'path: ../nowhere\ntrain: train/images\nvalidation: valid/images\n',
        '',
    ],
)
def test_layout_with_images_inside_the_splits(tmp_path, run, load, text):
    root = tmp_path / 'export'
    for split in ('train', 'valid'):
        write_image(root / split / 'images' / f'{split}.jpg')
        write_text(root / split / 'labels' / f'{split}.txt', LABEL)
    write_text(root / 'data.yaml', f'names: [cat, dog]\n{text.format(root=root)}')
    run(yolo2coco, root, tmp_path / 'out')
    assert names(load('train')) == ['train/images/train.jpg']
    assert names(load('val')) == ['valid/images/valid.jpg']
    assert boxes(load('val')) == [[15, 5, 10, 10]]
    assert (tmp_path / 'out/images/valid/images/valid.jpg').is_file()


@pytest.mark.parametrize(
    'path', ['/content/set/images/{}', 'D:\\set\\images\\{}', '.\\images\\{}', '../../set/images/{}']
)
def test_folders_of_another_computer(root, convert, load, path):
    for split in ('train', 'val'):
        for part in ('images', 'labels'):
            (root / part / split).rename(root / part / f'{split}_2')
    lines = (f'{split}: {path.format(f"{split}_2")}\n' for split in ('train', 'val'))
    write_text(root / 'data.yaml', ''.join(lines))
    assert 'note' not in convert()
    assert names(load('train')) == ['train_2/a.jpg']
    assert names(load('val')) == ['val_2/b.jpg']


def test_images_alone_are_not_those_of_a_split(root, convert, tmp_path):
    write_text(root / 'data.yaml', 'train: images/train\nval: images/val\ntest: ../test/images\n')
    assert 'that are not there: 1 (../test/images)' in convert()
    assert not (tmp_path / 'out/annotations/test.json').exists()


@pytest.mark.parametrize(
    ('parts', 'there'),
    [
        (('images', 'images'), ['train', 'val']),
        (('Images', 'Labels'), ['train', 'val']),
        (('.', '.'), ['train', 'val']),
    ],
    ids=['beside', 'capitals', 'no images folder'],
)
def test_label_files_elsewhere(root, convert, load, parts, there):
    for part, new in zip(('images', 'labels'), parts, strict=True):
        for split, name in (('train', 'a'), ('val', 'b')):
            path = root / part / split / f'{name}{".jpg" if part == "images" else ".txt"}'
            (root / new / split).mkdir(parents=True, exist_ok=True)
            path.rename(root / new / split / path.name)
            if new != part:
                path.parent.rmdir()
        if new != part:
            (root / part).rmdir()
    options = [value for split in there for value in (f'--{split}', f'{parts[0]}/{split}')]
    assert 'note' not in convert(*options)
    assert len(boxes(load('train'))) == len(boxes(load('val'))) == 1


def test_a_data_set_below_a_folder_called_images(run, load, tmp_path):
    for name in ('train/a', 'val/b'):
        write_image(tmp_path / f'images/set/{name}.jpg')
        write_text(tmp_path / f'images/set/{name}.txt', LABEL)
    run(yolo2coco, tmp_path / 'images/set', tmp_path / 'out', '--classes', 'cat', 'dog')
    assert names(load('train')) == ['train/a.jpg']
    assert boxes(load('val')) == [[15, 5, 10, 10]]


def test_labels_beside_the_images(tmp_path, run, load):
    write_image(tmp_path / 'set/all/a.jpg')
    write_text(tmp_path / 'set/all/a.txt', LABEL)
    run(
        yolo2coco, tmp_path / 'set', tmp_path / 'out', '--train', 'all', '--val', 'all', '--classes', 'u', 'v'
    )
    assert names(load('train')) == ['a.jpg']
    assert boxes(load('train')) == [[15, 5, 10, 10]]


def test_a_split_that_does_not_exist(convert):
    with pytest.raises(UserError, match='images/nowhere: no such folder or list of images'):
        convert('--train', 'images/nowhere')


def test_no_images(root, convert):
    (root / 'images').rename(root / 'pictures')
    with pytest.raises(UserError, match='name their folders or lists with --train and --val'):
        convert()


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_read(run):
    with pytest.raises(UserError, match=r'out cannot be written: .*; name another folder'):
        run(yolo2coco, 'absent', '/dev/null/out')


def test_not_a_folder(run, tmp_path):
    with pytest.raises(UserError, match='no such folder'):
        run(yolo2coco, tmp_path / 'nowhere', tmp_path / 'out')


def test_missing_val_and_images_in_both(root, convert, load):
    (root / 'images/val').rename(root / 'images/other')
    assert 'a split that training needs: 1 (--val)' in convert()
    assert names(load('train')) == ['train/a.jpg']
    assert f'in val.json: 1 ({root}/images/train/a.jpg)' in convert('--val', 'images/train')


def test_output_into_the_same_folder(root, run):
    for _ in range(2):
        run(yolo2coco, root, root)
    assert not (root / 'images').is_symlink()
    assert names(json.loads((root / 'annotations/train.json').read_text())) == ['train/a.jpg']


def test_a_result_whose_images_are_a_link_to_the_folder_around_is_recognised(run, tmp_path):
    for split in ('train', 'valid'):
        write_image(tmp_path / split / 'images/a.jpg')
        write_text(tmp_path / split / 'labels/a.txt', LABEL)
    write_text(tmp_path / 'data.yaml', 'names: [cat, dog]\n')
    first, again = (run(yolo2coco, tmp_path, tmp_path) for _ in range(2))
    assert first == again
    assert (tmp_path / 'images').samefile(tmp_path)
    splits = recognise(tmp_path).splits
    files = [(splits[split]['ann_file'], splits[split]['data_prefix']['img']) for split in ('train', 'val')]
    assert files == [('annotations/train.json', 'images/'), ('annotations/val.json', 'images/')]


@pytest.mark.parametrize('how', ['link', 'copy'])
def test_images_are_found_from_the_output_folder(convert, tmp_path, how):
    convert('--images', how)
    assert cv2.imread(str(tmp_path / 'out/images/train/a.jpg')).shape == (20, 40, 3)
    assert (tmp_path / 'out' / 'images').is_symlink() == (how == 'link')


def test_a_polygon_becomes_its_box(root, convert, load):
    path = root / 'labels/train/a.txt'
    write_text(path, f'{LABEL}\n0 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n1 0.5 0.5 0.75 0.75 0.25 1\n')
    assert 'skipped' not in convert()
    assert boxes(load('train')) == [[15, 5, 10, 10], [4, 2, 4, 4], [10, 10, 20, 10]]


def test_a_polygon_a_little_outside_the_image_is_clipped(root, convert, load):
    write_text(root / 'labels/train/a.txt', '1 -0.004 0.2 0.5 1.01 0.25 0.5\n')
    assert 'clipped to it: 1' in convert()
    assert boxes(load('train')) == [[0, 4, 20, 16]]


def test_keypoints_are_no_polygons(root, convert):
    write_text(root / 'data.yaml', 'names: [cat, dog]\nkpt_shape: [3, 2]\n')
    with pytest.raises(UserError, match=r'data.yaml: kpt_shape: labels with keypoints are not converted'):
        convert()


def test_a_split_of_the_yaml_file_that_is_not_there(root, convert, load, tmp_path):
    write_text(root / 'data.yaml', 'names: [cat, dog]\nval: /elsewhere/images/gone\ntest: ../test/images\n')
    printed = convert()
    assert 'names and that are not there: 2 (/elsewhere/images/gone, ../test/images)' in printed
    assert f'lists taken in their place: 1 ({root}/images/val)\n' in printed
    assert names(load('val')) == ['val/b.jpg']
    assert not (tmp_path / 'out/annotations/test.json').exists()


def test_a_split_of_the_command_line_that_is_not_there(convert):
    with pytest.raises(UserError, match='no such folder or list of images'):
        convert('--test', 'absent')


@pytest.mark.parametrize('prefix', ['data/', '/content/set/', '../'])
def test_lists_with_folders_that_are_not_here(root, convert, load, prefix):
    """CVAT and Darknet write ``data/``."""
    write_text(root / 'train.txt', f'{prefix}images/train/a.jpg\n')
    (root / 'images/train').rename(root / 'images/other')
    (root / 'labels/train').rename(root / 'labels/other')
    write_text(root / 'train.txt', f'{prefix}images/other/a.jpg\n')
    assert 'folders of their path' not in convert()
    assert names(load('train')) == ['other/a.jpg']
    assert len(boxes(load('train'))) == 1


def test_a_class_name_that_stands_twice_is_one_class(root, convert, load):
    write_text(root / 'classes.txt', 'cat\ndog\ncat\n')
    write_text(root / 'labels/train/a.txt', f'{LABEL}\n2{LABEL[1:]}\n')
    assert 'stand for several indices, taken as one class: 1 (cat)' in convert()
    coco = load('train')
    assert [category['name'] for category in coco['categories']] == ['cat', 'dog']
    assert [annotation['category_id'] for annotation in coco['annotations']] == [2, 1]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_files_in_other_encodings(root, convert, load, encoding):
    for path in (root / 'classes.txt', root / 'labels/train/a.txt'):
        path.write_bytes(path.read_text().replace('cat', 'Kätzchen').encode(encoding))
    convert()
    assert load('train')['categories'][0]['name'] == 'Kätzchen'
    assert len(boxes(load('train'))) == 1


@pytest.mark.parametrize('name', ['/dev/zero', 'x' * 300, 'a\\0b'])
def test_a_list_that_cannot_be_read_is_named(root, convert, name):
    write_text(root / 'data.yaml', f'train: "{name}"\nnames: [cat, dog]\n')
    (root / 'images/train').rename(root / 'images/other')
    if name == '/dev/zero':
        with pytest.raises(UserError, match='/dev/zero: not a regular file'):
            convert()
    else:
        assert 'that the YAML file names and that are not there' in convert()


def test_a_listed_name_that_is_too_long_is_skipped(root, convert):
    write_text(root / 'train.txt', f'{"x" * 300}.jpg\n')
    write_text(root / 'data.yaml', 'train: train.txt\nnames: [cat, dog]\n')
    printed = convert()
    assert f'{"x" * 300}.jpg' in printed
    assert 'splits without a usable image, not written: 1 (train)' in printed
    assert not (root.parent / 'out/annotations/train.json').exists()


@pytest.mark.parametrize('name', ['', '\\ud94d'])
def test_a_class_name_that_cannot_be_written_is_refused(root, convert, name):
    write_text(root / 'data.yaml', f'names: ["{name}", dog]\n')
    with pytest.raises(UserError, match='each must be a text that can be written'):
        convert()


def test_a_file_name_that_is_no_unicode_is_written_in_escapes(root, convert, load):
    name = os.fsdecode(b'\xff.jpg')
    (root / 'images/train/a.jpg').rename(root / 'images/train' / name)
    (root / 'labels/train/a.txt').rename(root / 'labels/train' / name.replace('jpg', 'txt'))
    convert()
    assert names(load('train')) == [f'train/{name}']


@pytest.mark.parametrize('content', [b'cat\n\ndog\n', '车\n船\n'.encode('gbk'), b''])
def test_a_file_of_names_that_cannot_be_told(root, convert, content):
    (root / 'classes.txt').write_bytes(content)
    with pytest.raises(UserError, match=r'classes.txt: each must be a text that can be written, in UTF-8'):
        convert()


def test_names_that_are_alike_are_noted(root, convert):
    write_text(root / 'classes.txt', 'Cat\ncat\n')
    assert "only case, blanks or underscores tell apart: 1 ('Cat', 'cat')" in convert()


def test_lines_taken_for_polygons_are_noted(root, convert):
    write_text(root / 'labels/train/a.txt', '0 .5 .5 .2 .2 .5 .5 1 .55 .5 1\n')
    assert 'the points of a polygon, of which the box was taken: 1 ' in convert()


def test_a_label_file_of_two_images_is_noted(root, convert):
    write_image(root / 'images/train/a.png')
    assert 'label files of several images: 1 ' in convert()


def test_a_label_file_in_upper_case_is_read_unless_there_is_another(root, convert):
    label = root / 'labels/train/a.txt'
    text = label.read_text()
    label.rename(label.with_suffix('.TXT'))
    assert 'train.json: 1 image, 1 box' in convert()
    label.write_text(text)
    assert 'belong to no image of a split: 1 ' in convert()


def test_links_to_folders_are_followed(root, convert, load, tmp_path):
    write_image(tmp_path / 'elsewhere/c.jpg')
    (root / 'images/train/part').symlink_to(tmp_path / 'elsewhere')
    convert()
    assert names(load('train')) == ['train/a.jpg', 'train/part/c.jpg']


def test_images_without_splits_are_for_training(run, load, tmp_path):
    root = tmp_path / 'flat'
    write_image(root / 'images/a photo.jpg')
    write_text(root / 'labels/a photo.txt', LABEL)
    write_text(root / 'classes.txt', 'cat\ndog\n')
    assert 'all images taken for training: 1 ' in run(yolo2coco, root, tmp_path / 'out')
    assert names(load('train')) == ['a photo.jpg']
    assert len(boxes(load('train'))) == 1


@pytest.mark.parametrize('line', ['images\\train\\a.jpg', 'C:\\set\\images\\train\\a.jpg'])
def test_lists_written_on_windows(root, convert, load, line):
    write_text(root / 'list.txt', line)
    convert('--train', 'list.txt')
    assert names(load('train')) == ['train/a.jpg']


def test_a_listed_name_that_is_no_unicode(root, convert, load):
    name = os.fsdecode(b'\xff.jpg')
    (root / 'images/train/a.jpg').rename(root / 'images/train' / name)
    (root / 'list.txt').write_bytes(b'images/train/\xff.jpg')
    convert('--train', 'list.txt')
    assert names(load('train')) == [f'train/{name}']


def test_listed_images_of_which_only_the_name_is_here(root, convert):
    (root / 'images/train/a.jpg').rename(root / 'a.jpg')
    write_text(root / 'a.txt', '0 0.5 0.5 0.5 0.5')
    write_text(root / 'train.txt', '/elsewhere/a.jpg\n')
    assert 'without the folders of their path: 1 (/elsewhere/a.jpg)' in convert('--train', 'train.txt')
