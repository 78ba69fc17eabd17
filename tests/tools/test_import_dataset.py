"""tools/dataset_converters/import_dataset.py: what exports say, and what cannot be read of them."""

import json
import re

import pytest

from mmyolox.datasets.layouts import recognise
from mmyolox.errors import UserError
from tests.tools.small_files import write_image, write_text
from tests.tools.tool_loading import load_tool

tool = load_tool('dataset_converters/import_dataset.py')

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>any</name></task></meta>{}</annotations>"""
BOX = '<box label="cat" xtl="10" ytl="20" xbr="50" ybr="50"/>'
UPRIGHT = [10.0, 20.0, 40.0, 30.0]


def cvat(*shapes, name='a.png', more='width="200" height="100"'):
    return CVAT.format(f'<image id="0" name="{name}" {more}>{"".join(shapes)}</image>')


def region(kind='rectanglelabels', labels=('cat',), **value):
    size = dict(original_width=200, original_height=100, image_rotation=0)
    return dict(size, type=kind, value=dict(value, **{kind: list(labels)}))


def task(*regions, image='/data/upload/7/0a1b2c3d-a.png', **more):
    return dict(id=1, annotations=[dict(result=list(regions), **more)], data=dict(image=image))


def labelme(*shapes, **more):
    content = dict(version='5.0', shapes=list(shapes), imagePath='..\\\\there\\\\a.png')
    return json.dumps(content | dict(imageHeight=100, imageWidth=200) | more)


def shape(kind, *points, label='cat'):
    return dict(label=label, points=points, shape_type=kind)


def open_images(*rows):
    head = 'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf'
    return '\n'.join([head, *rows]) + '\n'


@pytest.fixture
def convert(run, tmp_path):
    """Converts an export beside an image of 200 x 100; returns what was printed."""
    write_image(tmp_path / 'set/pictures/a.png', (200, 100))

    def convert(name, text, *options):
        write_text(tmp_path / 'set' / name, text)
        return run(tool, tmp_path / 'set', tmp_path / 'out', *options)

    return convert


@pytest.fixture
def load(tmp_path):
    """Reads an annotation file; its boxes by class."""

    def load(split='train'):
        content = json.loads((tmp_path / f'out/annotations/{split}.json').read_text(encoding='utf-8'))
        names = {category['id']: category['name'] for category in content['categories']}
        return [(names[one['category_id']], one['bbox']) for one in content['annotations']]

    return load


@pytest.mark.parametrize(
    ('shape', 'box'),
    [
        ('<box label="cat" xtl="10.00" ytl="20.00" xbr="50.00" ybr="50.00"/>', UPRIGHT),
        # Turned about its centre.
        ('<box label="cat" xtl="15" ytl="15" xbr="45" ybr="55" rotation="90.0"/>', UPRIGHT),
        ('<polygon label="cat" points="10.00,50.00;50.00,30.00;20.00,20.00"/>', UPRIGHT),
        ('<ellipse label="cat" cx="30" cy="35" rx="15" ry="20" rotation="90"/>', UPRIGHT),
        ('<mask label="cat" rle="3, 7" left="10" top="20" width="40" height="30"/>', UPRIGHT),
    ],
)
def test_shapes_of_cvat(convert, load, shape, box):
    assert 'train.json: 1 image, 1 box (cat 1)' in convert('annotations.xml', cvat(shape))
    assert load() == [('cat', pytest.approx(box))]


@pytest.mark.parametrize(
    ('region', 'box'),
    [
        (region(x=5, y=20, width=20, height=30, rotation=0), UPRIGHT),
        # Turned about its upper left corner, which is then the lower left one of the upright box.
        (region(x=5, y=50, width=15, height=40, rotation=270), UPRIGHT),
        (region('polygonlabels', points=[[5, 50], [25, 30], [10, 20]], closed=True), UPRIGHT),
        (region('ellipselabels', x=15, y=35, radiusX=10, radiusY=15, rotation=0), UPRIGHT),
    ],
)
def test_regions_of_label_studio(convert, load, region, box):
    convert('project-1.json', json.dumps([task(region)]))
    assert load() == [('cat', pytest.approx(box))]


@pytest.mark.parametrize(
    ('shape', 'box'),
    [
        (shape('rectangle', [50, 50], [10, 20]), UPRIGHT),
        (shape('polygon', [10, 50], [50, 30], [20, 20]), UPRIGHT),
        (shape('rotation', [10, 35], [30, 20], [50, 35], [30, 50]), UPRIGHT),  # of X-AnyLabeling
        (shape('circle', [30, 40], [42, 49]), [15.0, 25.0, 30.0, 30.0]),
    ],
)
def test_shapes_of_labelme(convert, load, shape, box):
    convert('a.json', labelme(shape))
    assert load() == [('cat', pytest.approx(box))]


def test_boxes_of_open_images(convert, load, tmp_path):
    write_text(tmp_path / 'set/class-descriptions-boxable.csv', '/m/01yrx,cat\n/m/0bt9lr,"dog, any"\n')
    rows = ('a,x,/m/01yrx,1,0.05,0.25,0.2,0.5,0,0,0', 'a,x,/m/0bt9lr,1,0,1,0,1,0,0,1')
    report = convert('validation-annotations-bbox.csv', open_images(*rows))
    assert 'val.json: 1 image, 2 boxes (cat 1, dog, any 1)' in report
    assert load('val') == [('cat', UPRIGHT), ('dog, any', [0, 0, 200, 100])]
    content = json.loads((tmp_path / 'out/annotations/val.json').read_text())
    assert [one['iscrowd'] for one in content['annotations']] == [0, 1]


def test_codes_of_open_images_that_nothing_names_are_told(convert, load):
    report = convert('annotations.csv', open_images('a,x,/m/01yrx,1,0.05,0.25,0.2,0.5,0,0,0'))
    assert 'files whose classes are codes, since no CSV file beside them names these: 1' in report
    assert load() == [('/m/01yrx', UPRIGHT)]


def test_what_is_written_is_a_data_set_to_train_on(convert, tmp_path):
    box = '<box label="cat" xtl="10" ytl="20" xbr="50" ybr="50"/>'
    text = cvat(box).replace('</annotations>', '') + (
        '<image id="1" name="elsewhere/b.png" subset="Validation" width="60" height="40"/></annotations>'
    )
    write_image(tmp_path / 'set/pictures/b.png', (60, 40))
    convert('annotations.xml', text, '--images', 'copy')
    layout = recognise(tmp_path / 'out')
    assert (layout.name, layout.splits.keys()) == ('COCO', {'train', 'val'})
    background = json.loads((tmp_path / 'out/annotations/val.json').read_text())
    assert [one['file_name'] for one in background['images']] == ['pictures/b.png']
    assert background['annotations'] == []
    assert (tmp_path / 'out/images/pictures/b.png').is_file()


def test_the_result_may_lie_in_the_export(run, tmp_path):
    write_image(tmp_path / 'a.png', (200, 100))
    write_text(tmp_path / 'annotations.xml', cvat('<box label="cat" xtl="1" ytl="2" xbr="5" ybr="5"/>'))
    first, again = (run(tool, tmp_path, tmp_path / 'coco', '--images', 'copy') for _ in range(2))
    assert first == again
    assert first.splitlines() == [
        'train.json: 1 image, 1 box (cat 1)',
        f'next: mmyolox train yolox_s --load-from yolox_s --cfg-options data_root={tmp_path}/coco',
    ]


@pytest.mark.parametrize('is_relative', [False, True])
@pytest.mark.parametrize('source', ['set', 'set/a.xml', 'other/a.xml'])
def test_images_may_lie_where_those_of_the_result_do(run, load, tmp_path, monkeypatch, source, is_relative):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'out/images/sub/a.png', (200, 100))
    for folder in ('out', 'other'):
        write_text(tmp_path / folder / 'a.xml', cvat(BOX))
    place = 'out' if is_relative else tmp_path / 'out'
    options = ['--img-dir', 'out/images/sub'] if source.startswith('other') else []
    for _ in range(2):
        run(tool, source.replace('set', 'out'), place, *options)
    assert load() == [('cat', UPRIGHT)]
    content = json.loads((tmp_path / 'out/annotations/train.json').read_text())
    assert [one['file_name'] for one in content['images']] == ['sub/a.png']
    assert (tmp_path / 'out/images/sub/a.png').is_file()
    assert not (tmp_path / 'out/images').is_symlink()


@pytest.mark.parametrize(
    'text',
    [
        cvat(BOX),
        json.dumps([task(region(x=5, y=20, width=20, height=30))]),
        labelme(shape('rectangle', [50, 50], [10, 20])),
        open_images('a,x,cat,1,0.05,0.25,0.2,0.5,0,0,0'),
    ],
    ids=['cvat', 'label-studio', 'labelme', 'open-images'],
)
def test_exports_with_a_byte_order_mark(convert, load, text):
    suffix = {'<': '.xml', 'I': '.csv'}.get(text[0], '.json')
    convert(f'export{suffix}', '\ufeff' + text)
    assert load() == [('cat', UPRIGHT)]


@pytest.mark.parametrize(
    'text',
    [
        cvat(BOX, more='width="0" height="100"'),
        cvat(BOX, more='width="inf" height="100"'),
        cvat(BOX, more='height="100"'),
        labelme(shape('rectangle', [50, 50], [10, 20]), imageWidth='?'),
        labelme(shape('rectangle', [50, 50], [10, 20]), imageWidth=float('nan')),
        labelme(shape('rectangle', [50, 50], [10, 20]), imageHeight=-1),
    ],
    ids=range(6),
)
def test_boxes_in_pixels_are_so_where_no_size_is_told(convert, load, text):
    convert('export.xml' if text[0] == '<' else 'export.json', text)
    assert load() == [('cat', UPRIGHT)]


@pytest.mark.parametrize(
    ('names', 'splits', 'has_note'),
    [
        (['test_1', 'dev_2'], dict(train=2), False),  # what an image is called is no split
        (['val/a', 'train/b'], dict(train=1, val=1), False),
        (['val/a', 'test/b'], dict(val=1, test=1), True),
    ],
)
def test_splits_of_a_file_an_image(run, load, tmp_path, names, splits, has_note):
    for name in names:
        write_image(tmp_path / 'set' / f'{name}.png', (200, 100))
        text = labelme(shape('rectangle', [50, 50], [10, 20]), imagePath=f'{name[-6:]}.png')
        write_text(tmp_path / 'set' / f'{name}.json', text)
    (tmp_path / 'set/folder.json').mkdir()
    report = run(tool, tmp_path / 'set', tmp_path / 'out')
    files = {path.stem for path in (tmp_path / 'out/annotations').iterdir()}
    assert {split: len(load(split)) for split in files} == splits
    assert ('no images for a split that training needs: 1 (train)' in report) == has_note
    assert ('next: mmyolox train' in report) != has_note


def test_subsets_of_cvat_have_folders_with_images_of_the_same_names(run, load, tmp_path):
    boxes = dict(train=BOX, val=2 * BOX, more=3 * BOX)
    for folder in boxes:
        write_image(tmp_path / f'set/images/{folder}/a.png', (200, 100))
    images = [
        f'<image name="a.png" subset="{subset}" width="200" height="100">{box}</image>'
        for subset, box in boxes.items()
    ]
    write_text(tmp_path / 'set/annotations.xml', CVAT.format(''.join(images)))
    run(tool, tmp_path / 'set', tmp_path / 'out')
    content = {
        split: json.loads((tmp_path / f'out/annotations/{split}.json').read_text())
        for split in ('train', 'val')
    }
    names = {split: [one['file_name'] for one in content[split]['images']] for split in content}
    assert names == dict(train=['images/train/a.png', 'images/more/a.png'], val=['images/val/a.png'])
    assert [len(load(split)) for split in content] == [4, 2]


def test_images_in_several_exports_are_told(convert, tmp_path, load):
    write_text(tmp_path / 'set/old.xml', cvat(BOX))
    assert 'images in several files of the export, objects of all taken: 1 (pictures/a.png)' in convert(
        'a.xml', cvat(BOX)
    )
    assert load() == 2 * [('cat', UPRIGHT)]


def test_splits_of_an_earlier_conversion_are_told(convert, tmp_path):
    convert('val.xml', cvat(BOX))
    (tmp_path / 'set/val.xml').unlink()
    assert 'that this conversion has not written; remove them if they are old: 1 (val.json)' in convert(
        'a.xml', cvat(BOX)
    )


@pytest.mark.parametrize(
    'image',
    [
        'a.png',
        'https://host/some%20bucket/a.png?X-Amz-Expires=3600',
        '/data/local-files/?d=photos/a.png',
        's3://bucket/a.png',
        'C:\\photos\\a.png',
    ],
)
def test_images_of_label_studio_are_found_by_the_name_behind_their_address(convert, load, image):
    convert('project-1.json', json.dumps([task(region(x=5, y=20, width=20, height=30), image=image)]))
    assert load() == [('cat', UPRIGHT)]


def test_of_several_annotations_of_an_image_the_ground_truth_or_the_newest_is_taken(convert, load):
    old, new, true = (
        region(labels=[name], x=5, y=20, width=20, height=30) for name in ('old', 'new', 'true')
    )
    dated = [
        dict(result=[old], updated_at='2024-01-01'),
        dict(result=[new], updated_at='2025-01-01'),
        dict(result=[true], updated_at='2023-01-01', ground_truth=True),
        dict(result=[old], updated_at='2026-01-01', was_cancelled=True),
    ]
    report = convert('p.json', json.dumps([dict(id=1, annotations=dated, data=dict(image='a.png'))]))
    assert 'images with several annotations, the ground truth or the newest taken: 1 (a.png)' in report
    assert load() == [('true', UPRIGHT)]
    del dated[2]
    convert('p.json', json.dumps([dict(id=1, annotations=dated, data=dict(image='a.png'))]))
    assert load() == [('new', UPRIGHT)]


def test_tasks_that_nobody_annotated_are_no_background(convert, tmp_path):
    write_image(tmp_path / 'set/b.png')
    write_image(tmp_path / 'set/c.png')
    tasks = [
        task(region(x=5, y=20, width=20, height=30)),
        task(image='b.png'),
        dict(id=3, annotations=[], data=dict(image='c.png')),
    ]
    report = convert('p.json', json.dumps(tasks))
    assert 'images that nobody annotated, left out: 1 (c.png)' in report
    assert 'train.json: 2 images, 1 box' in report


def test_json_min_of_label_studio(convert, load):
    flat = dict(x=5, y=20, width=20, height=30, rotation=0, original_width=200, original_height=100)
    text = json.dumps([dict(image='/data/upload/a.png', id=1, label=[dict(flat, rectanglelabels=['cat'])])])
    convert('project-1.json', text)
    assert load() == [('cat', UPRIGHT)]


def test_boxes_follow_an_image_of_another_size(convert, load):
    box = '<box label="cat" xtl="20" ytl="40" xbr="100" ybr="100"/>'
    report = convert('annotations.xml', cvat(box, more='width="400" height="200"'))
    assert 'images of another size than annotated, boxes scaled: 1' in report
    assert load() == [('cat', UPRIGHT)]


@pytest.mark.parametrize(
    ('name', 'text', 'line'),
    [
        ('a.xml', cvat(BOX, '<box label="cat" xtl="1"/>'), r"a\.png: a box that cannot be read .*'ytl'"),
        ('a.xml', cvat(BOX, '<box label="cat" xtl="5" ytl="5" xbr="5" ybr="9"/>'), 'has no area'),
        ('a.xml', cvat(BOX, '<points label="cat" points="1,2"/>'), r'no areas, left out: 1 \(points in a'),
        ('a.json', json.dumps([task(region(x=5, y=20, width=20, height=30), region(x=1))]), 'no areas'),
        (
            'a.json',
            json.dumps([task(region(x=5, y=20, width=20, height=30)), dict(id=9, data={})]),
            r'task 9: it cannot be read .*, skipped',
        ),
        (
            'a.json',
            json.dumps(
                [
                    task(region(x=5, y=20, width=20, height=30)),
                    task(dict(region(x=5, y=20, width=20, height=30), original_width=0)),
                ]
            ),
            'task 1: it cannot be read .*0 x 100 is no size of an image',
        ),
        (
            'a.json',
            labelme(shape('rectangle', [1, 2], [3, 4]), shape('point', [1, 2])),
            r'no areas, left out: 1 \(point in a',
        ),
        ('a.json', labelme(shape('rectangle', [1, 2], [3, 4]), shape('circle', [1, 2])), 'cannot be read'),
        (
            'a.csv',
            open_images('a,x,c,1,0.1,0.2,0.1,0.2,0,0,0', 'a,x,c,1,?,0.2,0.1,0.2,0,0,0'),
            'a row that cannot be read',
        ),
        (
            'a.csv',
            open_images('a,x,c,1,0.1,0.2,0.1,0.2,0,0,0', 'b,x,c,1,0.1,0.2,0.1,0.2,0,0,0'),
            r'images that were not found in .*set \(--img-dir\), left out: 1 \(b\)',
        ),
    ],
)
def test_what_is_left_out_is_told(convert, load, name, text, line):
    assert re.search(line, convert(name, text))
    assert len(load()) == 1


@pytest.mark.parametrize(
    ('folders', 'splits'),
    [
        (('train', 'val'), dict(train=1, val=1)),
        (('images/train/x', 'other'), dict(train=2)),
        (('val', 'test'), dict(train=2)),  # nothing is left to train on
    ],
)
def test_splits_are_told_by_the_folders_of_images(run, load, tmp_path, folders, splits):
    for folder in folders:
        write_image(tmp_path / 'set' / folder / 'a.png', (200, 100))
    box = region(x=5, y=20, width=20, height=30)
    tasks = [task(box, image=f'elsewhere/{folder}/a.png') for folder in folders]
    write_text(tmp_path / 'set/export.json', json.dumps(tasks))
    run(tool, tmp_path / 'set', tmp_path / 'out')
    files = {path.stem for path in (tmp_path / 'out/annotations').iterdir()}
    assert {split: len(load(split)) for split in files} == splits


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({'a.txt': ''}, 'no export that is known .CVAT for images 1.1, Label Studio JSON'),
        ({'a.json': '{"images": []}'}, 'no export that is known'),
        (
            {'classes.txt': 'cat', 'pictures/a.txt': '0 1 1 1 1'},
            'YOLO needs no conversion: .* data_root=.*set$',
        ),
        (
            {
                'a.json': json.dumps(
                    [dict(task(region()), annotations=2 * [dict(result=[])]), task(image='/z.png')]
                )
            },
            r'several annotations, .*; images that were not found in .* \(/z\.png\)',
        ),
        ({'a.xml': CVAT.format('<track id="0"/>')}, r'a\.xml: tracks of a video'),
        ({'a.xml': cvat(BOX)[:-9]}, r'a\.xml: cannot be read as XML'),
        ({'a.json': '[{"annotations": '}, r'a\.json: cannot be read as JSON'),
        ({'a.xml': cvat(BOX).replace('utf-8', 'gbk')}, r'a\.xml: cannot be read as XML .multi-byte'),
        ({'a.json': '[{"annotations": ' + '[' * 10**5}, r'a\.json: cannot be read as JSON .*recursion'),
        ({'a.json': '{"imagePath": "a", "shapes": 5}'}, 'its "shapes" are a int, a list is needed'),
        ({'a.csv': open_images('a,x,c' + 10**6 * 'd')}, r'a\.csv: cannot be read as CSV .field larger'),
        ({'a.csv': open_images('\udce9,x,c')}, r"a\.csv: cannot be read as CSV .'utf-8' codec"),
        (
            {'a.csv': open_images(), 'class.csv': '\udce9'},
            r"class\.csv: cannot be read as CSV .'utf-8' codec",
        ),
        ({'a.xml': cvat()}, 'no usable object .it has none'),
        ({'a.xml': cvat(BOX, name='z.png')}, r'no usable object .images that were not found in .* .z\.png'),
        (
            {'a.xml': cvat(BOX), 'b.csv': open_images()},
            'holds several formats, choose one by --format .cvat: .*a.xml; open-images: .*b.csv',
        ),
        ({'b/a.png': '', 'a.xml': cvat(BOX)}, 'images that could be several files'),
    ],
)
def test_what_cannot_be_used_is_one_line(convert, tmp_path, files, message):
    for name, text in files.items():
        write_text(tmp_path / 'set' / name, text)
    with pytest.raises(UserError, match=message):
        convert('c.txt', '')
    assert not (tmp_path / 'out').exists()


def test_a_format_is_chosen(convert, load, tmp_path):
    write_text(tmp_path / 'set/b.csv', open_images('a,x,dog,1,0.1,0.2,0.1,0.2,0,0,0'))
    convert('a.xml', cvat(BOX), '--format', 'cvat')
    assert load() == [('cat', UPRIGHT)]
