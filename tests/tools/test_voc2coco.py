import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets.layouts import recognise
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

voc2coco = load_tool('dataset_converters/voc2coco.py')


def voc_object(name, box, difficult=0):
    corners = ''.join(f'<{k}>{v}</{k}>' for k, v in zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True))
    return f'<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>'


class VocSet:
    """A Pascal VOC data set being written, images of 40 x 30 pixels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (root / folder).mkdir(parents=True)

    def add(self, name, *objects, suffix='.jpg', size=(40, 30)):
        if suffix:
            cv2.imwrite(str(self.root / 'JPEGImages' / f'{name}{suffix}'), np.zeros((30, 40, 3), np.uint8))
        size = f'<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>'
        text = f'<annotation><filename>{name}</filename>{size}{"".join(objects)}</annotation>'
        (self.root / 'Annotations' / f'{name}.xml').write_text(text)

    def split(self, name, *images):
        (self.root / 'ImageSets' / 'Main' / f'{name}.txt').write_text('\n'.join(images) + '\n')


@pytest.fixture
def voc(tmp_path):
    """Two images, ``a`` in train and ``b`` in val."""
    voc = VocSet(tmp_path / 'voc')
    voc.add('a', voc_object('dog', (11, 6, 31, 26)))
    voc.add('b', voc_object('cat', (2, 3, 4, 5)))
    voc.split('train', 'a')
    voc.split('val', 'b')
    return voc


@pytest.fixture
def convert(run, voc, tmp_path):
    """Converts ``voc`` with some options: what was printed."""
    return lambda *options: run(voc2coco, voc.root, tmp_path / 'out', *options)


@pytest.fixture
def load(tmp_path):
    return lambda split: json.loads((tmp_path / 'out' / 'annotations' / f'{split}.json').read_text())


def boxes(coco):
    return [annotation['bbox'] for annotation in coco['annotations']]


def test_whole_file(convert, load):
    assert 'train.json: 1 image, 1 box (cat 0, dog 1)' in convert()
    coco = load('train')
    assert coco.pop('info')
    assert coco == dict(
        licenses=[],
        categories=[dict(id=1, name='cat', supercategory=''), dict(id=2, name='dog', supercategory='')],
        images=[dict(id=1, file_name='a.jpg', width=40, height=30)],
        annotations=[
            dict(id=1, image_id=1, category_id=2, bbox=[10.0, 5.0, 20.0, 20.0], area=400.0, iscrowd=0)
        ],
    )


@pytest.mark.parametrize(
    ('options', 'expected'), [((), [10.0, 5.0, 20.0, 20.0]), (('--zero-based',), [11.0, 6.0, 20.0, 20.0])]
)
def test_coordinates_count_from_1_or_0(convert, load, options, expected):
    convert(*options)
    assert boxes(load('train')) == [expected]


def test_boxes_across_the_border_are_clipped_and_counted(voc, convert, load):
    voc.add('a', voc_object('dog', (-9, 21, 11, 41)), voc_object('dog', (1, 1, 41, 31)))
    printed = convert()
    assert boxes(load('train')) == [[0, 20, 10, 10], [0, 0, 40, 30]]
    assert 'clipped to it: 1' in printed


@pytest.mark.parametrize(
    ('box', 'reason'),
    [
        ((5, 5, 5, 9), 'box (4, 4, 4, 8) has no area'),
        ((5, 9, 7, 5), 'box (4, 8, 6, 4) has no area'),
        ((5, 5, '1e400', 9), 'box (4, 4, inf, 8) with a coordinate that is not finite or beyond 2**31'),
        ((5, 5, '9' * 400, 9), 'box (4, 4, inf, 8) with a coordinate that is not finite or beyond 2**31'),
        ((5, 5, '1e10', 9), 'box (4, 4, 1e+10, 8) with a coordinate that is not finite or beyond 2**31'),
        ((5, 'nan', 9, 9), 'box (4, nan, 8, 8) with a coordinate that is not finite or beyond 2**31'),
        ((51, 5, 61, 9), 'box (50, 4, 60, 8) lies outside the 40x30 image'),
        ((41, 5, 61, 9), 'box (40, 4, 60, 8) lies outside the 40x30 image'),
    ],
)
def test_unusable_boxes_are_named_and_left_out(voc, convert, load, box, reason):
    voc.add('a', voc_object('dog', (11, 6, 31, 26)), voc_object('dog', box))
    assert f'a.xml: object 2 (dog): {reason}, skipped\n' in convert()
    assert len(boxes(load('train'))) == 1


def test_an_unusable_box_is_reported_once_though_in_two_splits(voc, convert):
    voc.add('a', voc_object('dog', (5, 5, 5, 9)))
    voc.split('trainval', 'a', 'b')
    assert convert().count('has no area') == 1


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ([], {'train': ['a'], 'val': ['b'], 'trainval': ['a', 'b'], 'test': ['c']}),
        (['--train', 'trainval', '--val', 'test'], {'train': ['a', 'b'], 'val': ['c']}),
        (['--splits'], {'train': ['a'], 'val': ['b']}),
        (['--splits', 'odd'], {'train': ['a'], 'val': ['b'], 'odd': ['a']}),
    ],
)
def test_splits(voc, convert, load, tmp_path, given, expected):
    voc.add('c', voc_object('dog', (1, 1, 3, 3)))
    voc.split('trainval', 'a', 'b')
    voc.split('test', 'c')
    voc.split('odd', 'a')
    convert(*given)
    assert {path.stem for path in (tmp_path / 'out' / 'annotations').iterdir()} == set(expected)
    for name, images in expected.items():
        assert [image['file_name'] for image in load(name)['images']] == [f'{image}.jpg' for image in images]


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (['--val', 'test'], 'no split test; splits there: train, val; choose with --train and --val'),
        (['--train', 'val', '--val', 'val', '--splits', 'train'], 'train.json already holds'),
    ],
)
def test_impossible_splits(convert, given, message):
    with pytest.raises(UserError, match=message):
        convert(*given)


def test_chosen_classes_and_their_order(voc, convert, load):
    voc.add('a', voc_object('dog', (1, 1, 3, 3)), voc_object('cow', (1, 1, 5, 5)))
    printed = convert('--classes', 'cow', 'cat', 'emu')
    assert [category['name'] for category in load('train')['categories']] == ['cow', 'cat', 'emu']
    assert boxes(load('train')) == [[0, 0, 4, 4]]
    assert 'left out, not in --classes: 1 (dog: 1 objects)' in printed
    assert 'that the data lacks: 1 (emu)' in printed


@pytest.mark.parametrize(
    ('option', 'expected'), [('ignore', [(2, 0), (3, 1)]), ('keep', [(2, 0), (3, 0)]), ('drop', [(2, 0)])]
)
def test_difficult_objects(voc, convert, load, option, expected):
    voc.add('a', voc_object('dog', (1, 1, 3, 3)), voc_object('dog', (1, 1, 4, 4), difficult=1))
    printed = convert('--difficult', option)
    assert [(a['bbox'][2], a['iscrowd']) for a in load('train')['annotations']] == expected
    assert f'(--difficult {option}): 1 (a)' in printed


def test_missing_and_broken_files_are_named_and_the_rest_converted(voc, convert, load):
    voc.add('no_image', suffix='')
    voc.add('broken')
    voc.add('gone')
    voc.add('damaged')
    (voc.root / 'Annotations' / 'broken.xml').write_text('<annotation>')
    (voc.root / 'Annotations' / 'gone.xml').unlink()
    (voc.root / 'JPEGImages' / 'damaged.jpg').write_text('no image')
    voc.split('train', 'no_image', 'a', 'broken', 'gone', 'damaged')
    lines = [line for line in convert().splitlines() if line.startswith('skipped')]
    assert [image['file_name'] for image in load('train')['images']] == ['a.jpg']
    for line, name in zip(lines, ('no_image', 'broken.xml', 'gone.xml', 'damaged.jpg'), strict=True):
        assert name in line


def test_what_the_user_should_know(voc, convert):
    voc.add('a', voc_object('dog', (0, 6, 31, 26)), size=(30, 40))
    voc.add('spare')
    voc.split('train', 'a', 'b', 'a')
    printed = convert()
    for note in (
        'a <size> that is not that of the image, which was taken, so that boxes may lie wrong: '
        '1 (a.xml: 30 x 40, the image 40 x 30)',
        'give --zero-based if this data counts so: 1 (a.xml)',
        'train.txt: 1 (a)',
        'both in train.json and in val.json: 1 (b)',
        'listed in no split: 1 (spare)',
    ):
        assert note in printed


def test_an_image_listed_twice_is_taken_once(voc, convert, load):
    voc.split('train', 'a', 'b', 'a')
    convert()
    assert [image['file_name'] for image in load('train')['images']] == ['a.jpg', 'b.jpg']


def test_nothing_to_note_is_not_noted(convert):
    assert 'note' not in convert()


def test_lists_with_a_flag_per_image_count_as_listed(voc, convert):
    voc.add('c')
    voc.split('dog_test', 'c  1')
    assert 'no split' not in convert()


def test_image_that_is_not_a_jpg(voc, convert, load):
    voc.add('p', suffix='.png')
    voc.split('val', 'b', 'p')
    convert()
    assert [image['file_name'] for image in load('val')['images']] == ['b.jpg', 'p.png']


@pytest.mark.parametrize('how', ['link', 'copy'])
def test_images_are_found_from_the_output_folder_again_and_again(convert, tmp_path, how):
    for _ in range(2):
        convert('--images', how)
        assert cv2.imread(str(tmp_path / 'out' / 'images' / 'a.jpg')).shape == (30, 40, 3)
    assert (tmp_path / 'out' / 'images').is_symlink() == (how == 'link')


def test_images_left_alone(convert, tmp_path):
    convert('--images', 'none')
    assert os.listdir(tmp_path / 'out') == ['annotations']


@pytest.mark.parametrize('how', ['link', 'copy'])
def test_images_of_another_set_are_in_the_way(convert, tmp_path, how):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'images').symlink_to(tmp_path)
    with pytest.raises(UserError, match='already exists and is not a link to'):
        convert('--images', how)
    assert not (tmp_path / 'out' / 'annotations').exists()


@pytest.mark.parametrize('part', ['Annotations', 'JPEGImages'])
def test_not_a_voc_folder(voc, convert, part):
    (voc.root / part).rename(voc.root / 'elsewhere')
    with pytest.raises(UserError, match=f'no folder {part}'):
        convert()


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_read(run):
    with pytest.raises(UserError, match=r'out cannot be written: .*; name another folder'):
        run(voc2coco, 'absent', '/dev/null/out')


def test_the_folder_above_is_recognised(run, voc, tmp_path):
    with pytest.raises(UserError, match=f'do you mean {voc.root}'):
        run(voc2coco, tmp_path, tmp_path / 'out')


def test_no_usable_object_at_all(voc, convert, tmp_path):
    voc.add('a', voc_object('dog', (5, 5, 5, 5)))
    voc.add('b')
    with pytest.raises(UserError, match=r'no usable object in the splits train, val \(.*a.xml: object 1'):
        convert()
    assert not (tmp_path / 'out').exists()


def test_a_system_without_links(convert, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(1, 'Operation not permitted')

    monkeypatch.setattr(Path, 'symlink_to', refuse)
    with pytest.raises(UserError, match=r'cannot make a link \(Operation not permitted\); use --images copy'):
        convert()


@pytest.mark.parametrize(
    ('fault', 'reason'),
    [
        ('<object><name></name></object>', 'an <object> has no <name>'),
        ('<object><name>dog</name><bndbox><xmin>1</xmin></bndbox></object>', '<bndbox/ymin>'),
        (
            '<object><name>dog</name><robndbox><cx>9</cx></robndbox></object>',
            'an <object> (dog) has 0 <bndbox>, 1 is needed; it has <name>, <robndbox>',
        ),
        ('<object><name>dog</name><bndbox/><bndbox/></object>', 'an <object> (dog) has 2 <bndbox>'),
        (voc_object('dog', (1, 2, 'x', 4)), "holds 'x', a number is needed"),
        (voc_object('dog', (1, 2, 3, 4), 'perhaps'), "holds 'perhaps', 0 or 1 is needed"),
    ],
)
def test_an_object_at_fault_is_left_out_and_not_its_image(voc, convert, load, fault, reason):
    voc.add('a', voc_object('dog', (11, 6, 31, 26)), fault)
    printed = convert()
    (line,) = (line for line in printed.splitlines() if line.startswith('skipped'))
    assert 'a.xml' in line
    assert reason in line
    assert line.endswith('; object skipped')
    assert boxes(load('train')) == [[10, 5, 20, 20]]


def test_split_lists_with_file_suffixes(voc, convert, load):
    voc.split('train', 'a.jpg')
    voc.split('val', 'b.JPG')
    assert 'skipped' not in convert()
    assert [image['file_name'] for image in load('train')['images']] == ['a.jpg']
    assert len(boxes(load('val'))) == 1


@pytest.mark.parametrize('line', ['a.xml', 'data/voc/JPEGImages/a.jpg', 'JPEGImages\\a.jpg', 'a  -1'])
def test_split_lists_of_other_tools(voc, convert, load, line):
    voc.split('train', line)
    assert 'skipped' not in convert()
    assert [image['file_name'] for image in load('train')['images']] == ['a.jpg']


@pytest.mark.parametrize(
    ('lists', 'expected'),
    [
        (('Train', 'VAL'), {'train': ['a.jpg'], 'val': ['b.jpg']}),
        (('trainval', 'test'), {'train': ['a.jpg'], 'test': ['b.jpg']}),
        (('default', 'spare'), {'train': ['a.jpg']}),
    ],
)
def test_splits_of_other_names(voc, convert, load, tmp_path, lists, expected):
    for split, name in zip(('train', 'val'), lists, strict=True):
        (voc.root / f'ImageSets/Main/{split}.txt').rename(voc.root / f'ImageSets/Main/{name}.txt')
    convert()
    assert {path.stem for path in (tmp_path / 'out/annotations').iterdir()} == set(expected)
    for split, names in expected.items():
        assert [image['file_name'] for image in load(split)['images']] == names


@pytest.mark.parametrize('annotated', [(40, 30), (30, 40)])
def test_an_image_may_be_annotated_as_it_is_stored_or_turned(voc, convert, load, annotated):
    voc.add('a', voc_object('dog', (11, 6, 21, 26)), size=annotated)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new('RGB', (40, 30)).save(voc.root / 'JPEGImages/a.jpg', exif=exif)
    assert 'lie wrong' not in convert()
    image = load('train')['images'][0]
    assert (image['width'], image['height']) == annotated
    assert boxes(load('train')) == [[10, 5, 10, 20]]


def test_a_name_that_ends_like_an_image(voc, convert, load):
    voc.add('c.jpg', voc_object('dog', (11, 6, 31, 26)))
    voc.split('train', 'c.jpg')
    convert()
    assert [image['file_name'] for image in load('train')['images']] == ['c.jpg.jpg']


def test_images_that_differ_in_their_suffix_only(voc, convert, load):
    cv2.imwrite(str(voc.root / 'JPEGImages/a.png'), np.zeros((30, 40, 3), np.uint8))
    assert 'differ in their suffix only, not taken: 1 (a.png)' in convert()
    assert [image['file_name'] for image in load('train')['images']] == ['a.jpg']


def test_classes_given_twice(convert, load):
    convert('--classes', 'dog', 'cat', 'dog')
    assert [category['name'] for category in load('train')['categories']] == ['dog', 'cat']


def write_flat(root, *names):
    """Writes images with XML files beside them: a dog each, the first two pixels wide."""
    for width, name in enumerate(names, start=2):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8))
        path.with_suffix('.xml').write_text(
            f'<annotation><filename>{path.name}</filename><size><width>40</width><height>30</height></size>'
            f'{voc_object("dog", (1, 1, 1 + width, 5))}</annotation>'
        )


@pytest.mark.parametrize(
    ('lists', 'expected'),
    [
        ({}, {'train': ['a.jpg', 'b.jpg', 'c.png']}),
        (
            {'train.txt': 'a.jpg\nc', 'val.txt': 'b'},
            {'train': ['a.jpg', 'c.png'], 'val': ['b.jpg']},
        ),
        (
            {'ImageSets/Main/train.txt': 'c', 'ImageSets/Main/val.txt': 'a.jpg'},
            {'train': ['c.png'], 'val': ['a.jpg']},
        ),
        ({'ImageSets/train.txt': 'c'}, {'train': ['c.png']}),
    ],
    ids=['no lists', 'lists beside', 'ImageSets', 'no Main'],
)
def test_xml_files_beside_images(run, load, tmp_path, lists, expected):
    write_flat(tmp_path / 'flat', 'a.jpg', 'b.jpg', 'c.png')
    for name, text in lists.items():
        path = tmp_path / 'flat' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    printed = run(voc2coco, tmp_path / 'flat', tmp_path / 'out')
    assert {path.stem for path in (tmp_path / 'out/annotations').iterdir()} == set(expected)
    widths = {'a.jpg': 2, 'b.jpg': 3, 'c.png': 4}
    for split, names in expected.items():
        assert [image['file_name'] for image in load(split)['images']] == names
        assert [box[2] for box in boxes(load(split))] == [widths[name] for name in names]
        assert all((tmp_path / 'out/images' / name).is_file() for name in names)
    assert ('all images taken for training' in printed) == (not lists)
    assert ('that training needs: 1 (--val)' in printed) == ('val' not in expected)


def test_xml_files_beside_images_are_converted_again_in_their_folder(run, tmp_path):
    write_flat(tmp_path, 'a.jpg', 'b.jpg')
    first, again = (run(voc2coco, tmp_path, tmp_path) for _ in range(2))
    assert first == again
    assert recognise(tmp_path).splits['train']['ann_file'] == 'annotations/train.json'
    assert recognise(tmp_path, ['voc']).splits['train']['ann_subdir'] == ''


def test_a_folder_a_split(run, load, tmp_path):
    """The form of Roboflow's exports."""
    write_flat(tmp_path / 'flat', 'train/a.jpg', 'train/b.jpg', 'valid/a.jpg', 'test/c.jpg', 'spare/d.jpg')
    (tmp_path / 'flat/README.dataset.txt').write_text('a set of dogs')
    printed = run(voc2coco, tmp_path / 'flat', tmp_path / 'out')
    for split, names in dict(
        train=['train/a.jpg', 'train/b.jpg'], val=['valid/a.jpg'], test=['test/c.jpg']
    ).items():
        assert [image['file_name'] for image in load(split)['images']] == names
    assert 'both in' not in printed


def test_folders_of_other_names(run, voc, load, tmp_path):
    (voc.root / 'Annotations').rename(voc.root / 'annotations')
    (voc.root / 'JPEGImages').rename(voc.root / 'images')
    run(voc2coco, voc.root, tmp_path / 'out')
    assert boxes(load('train')) == [[10, 5, 20, 20]]


def test_a_set_with_a_list_for_training_only(voc, convert, load, tmp_path):
    (voc.root / 'ImageSets/Main/val.txt').unlink()
    assert 'that training needs: 1 (--val)' in convert()
    assert [path.stem for path in (tmp_path / 'out/annotations').iterdir()] == ['train']


def test_classes_that_are_alike_are_noted(voc, convert):
    voc.add('a', voc_object('Traffic_Light', (11, 6, 31, 26)), voc_object('traffic light', (2, 3, 14, 15)))
    expected = "only case, blanks or underscores tell apart: 1 ('Traffic_Light', 'traffic light')"
    assert expected in convert()


def test_a_file_that_does_not_tell_the_size_is_not_noted(voc, convert):
    voc.add('a', voc_object('dog', (11, 6, 31, 26)), size=('', ''))
    assert '<size>' not in convert()


def test_turned_boxes_are_noted(voc, convert, load):
    attribute = '<attribute><name>rotation</name><value>90.0</value></attribute>'
    text = voc_object('dog', (11, 6, 31, 26)).replace(
        '</object>', f'<attributes>{attribute}</attributes></object>'
    )
    voc.add('a', text.replace('<xmax>31', '<xmax>21'))
    assert 'boxes turned by `rotation`, the upright box around them was taken: 1 (a.xml)' in convert()
    assert boxes(load('train')) == [[5, 10, 20, 10]]
