"""Reading of COCO files: every fault is one line that names the file, the place and the value."""

import json
import os
import random
import time

import pytest

from mmyolox.datasets import coco_fields
from mmyolox.datasets.coco_file import read_categories, read_class_names, read_coco
from mmyolox.errors import UserError


def content():
    return dict(
        images=[
            dict(id=10, file_name='a.jpg', width=100, height=50),
            dict(id='b', file_name='sub/b.jpg', width=64.0, height=64),
        ],
        annotations=[
            dict(id=0, image_id=10, category_id=7, bbox=[10, 5, 20, 30], segmentation=[[1, 2, 3, 4, 5, 6]]),
            dict(id=1, image_id='b', category_id=3, bbox=[-5, 0, float('nan'), 0.5]),
        ],
        categories=[dict(id=i, name=name) for i, name in ((7, 'dog'), (3, 'cat'), (90, 'bird'))],
    )


@pytest.fixture
def read(tmp_path):
    """Writes a file, given as bytes or content, and reads it."""

    def write_and_read(file, **kwargs):
        path = tmp_path / 'ann.json'
        path.write_bytes(file if isinstance(file, bytes) else json.dumps(file).encode())
        return read_coco(str(path), **kwargs)

    return write_and_read


def test_sound_file(read, tmp_path):
    file = read(content())
    assert file.path == str(tmp_path / 'ann.json')
    assert file.category_ids == {'dog': 7, 'cat': 3, 'bird': 90}
    assert list(file.category_ids) == ['dog', 'cat', 'bird']
    assert file.ids_of(['bird', 'dog']) == [90, 7]
    assert [len(entries) for entries in (file.images, file.annotations, file.categories)] == [2, 2, 3]
    assert file.annotations[0] == dict(
        id=0, image_id=10, category_id=7, bbox=[10, 5, 20, 30], iscrowd=False, ignore=False
    )


def twins(annotated=7):
    """Roboflow's file of a project that is called like one of its classes."""
    file = content()
    file['categories'] = [
        dict(id=0, name='dog', supercategory='none'),
        *(category | dict(supercategory='dog') for category in file['categories']),
    ]
    file['annotations'][0]['category_id'] = annotated
    return file


@pytest.mark.parametrize('with_annotations', [True, False])
def test_a_namesake_above_a_class_is_no_class(read, tmp_path, with_annotations):
    file = twins()
    if not with_annotations:
        del file['annotations']
    read_file = read(file, need_annotations=with_annotations)
    assert read_file.category_ids == {'dog': 7, 'cat': 3, 'bird': 90}
    assert [category['id'] for category in read_file.namesakes_above] == [0]
    assert read_class_names(str(tmp_path / 'ann.json')) == ('dog', 'cat', 'bird')


def test_a_namesake_with_a_box_is_a_fault(read):
    with pytest.raises(UserError, match='categories with the same name: dog'):
        read(twins(annotated=0))


@pytest.mark.parametrize(
    ('attributes', 'bbox'),
    [
        (dict(rotation=90.0), [5, 10, 30, 20]),
        (dict(rotation=-180), [10, 5, 20, 30]),
        (dict(rotation=45), [20 - 25 / 2**0.5, 20 - 25 / 2**0.5, 50 / 2**0.5, 50 / 2**0.5]),
        (dict(rotation=0.0), None),
        (dict(rotation='left'), None),
        (dict(rotation=10**400), None),
        (['rotation'], None),
        (None, None),
    ],
)
def test_the_box_around_a_turned_one_is_taken(read, attributes, bbox):
    file = content()
    file['annotations'][0]['attributes'] = attributes
    read_file = read(file)
    assert read_file.annotations[0]['bbox'] == pytest.approx(bbox or [10, 5, 20, 30])
    assert read_file.is_turned.tolist() == [bbox is not None, False]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32'])
def test_encodings_of_unicode_are_no_fault(read, tmp_path, encoding):
    file = content()
    file['categories'][0]['name'] = 'Hündin'
    assert len(read(json.dumps(file, ensure_ascii=False).encode(encoding)).images) == 2
    assert read_class_names(str(tmp_path / 'ann.json')) == ('Hündin', 'cat', 'bird')
    assert [category['id'] for category in read_categories(str(tmp_path / 'ann.json'))] == [7, 3, 90]


@pytest.mark.parametrize('key', ['iscrowd', 'ignore'])
@pytest.mark.parametrize(
    ('value', 'flag'),
    [
        *((value, True) for value in (1, 1.0, True, '1', 'true', ' True ')),
        *((value, False) for value in (0, 0.0, False, '0', 'false', None)),
    ],
)
def test_flags_mean_what_they_look_like(read, key, value, flag):
    file = content()
    file['annotations'][1][key] = value
    assert read(file).annotations[1][key] is flag


def test_ids_of_tables_are_whole_numbers(read):
    file = content()
    file['images'][0]['id'] = 10.0
    file['annotations'][0].update(id=0.0, image_id=10.0, category_id=7.0)
    file['annotations'][1]['category_id'] = 3.0
    file['categories'][0]['id'] = 7.0
    read_file = read(file)
    ids = [read_file.images[0]['id'], read_file.category_ids['dog']]
    ids += [read_file.annotations[0][key] for key in ('id', 'image_id', 'category_id')]
    assert ids == [10, 7, 0, 10, 7]
    assert {type(value) for value in ids} == {int}


def test_200_000_classes_take_seconds(read, tmp_path):
    file = content() | dict(categories=[dict(id=i, name=f'class {i}') for i in range(200_000)])
    start = time.monotonic()
    assert len(read(file).class_names) == 200_000
    assert len(read_class_names(str(tmp_path / 'ann.json'))) == 200_000
    assert time.monotonic() - start < 20


def test_annotations_may_be_absent_on_request(read):
    file = content()
    del file['annotations']
    assert len(read(file, need_annotations=False).annotations) == 0


def change(*path, value=...):
    """A change of one place in the file; the value ``...`` deletes it."""

    def apply(file):
        *parents, last = path
        for key in parents:
            file = file[key]
        if value is ...:
            del file[last]
        else:
            file[last] = value

    return apply


@pytest.mark.parametrize(
    ('apply', 'message'),
    [
        (
            change('images'),
            r"not a COCO detection file: no list of 'images' \(its keys: annotations, categories\)",
        ),
        (change('annotations'), "no list of 'annotations'"),
        (change('categories'), "no list of 'categories'"),
        (change('annotations', value={}), "no list of 'annotations'"),
        (change('annotations', value=[3]), "no list of 'annotations'"),
        (change('images', value=[]), "its list of 'images' is empty"),
        (change('categories', value=[]), "its list of 'categories' is empty"),
        (change('images', 1, 'id', value=10), 'images with the same id: 10'),
        (change('annotations', 1, 'id', value=0), 'annotations with the same id: 0'),
        (change('categories', 1, 'id', value=7), 'categories with the same id: 7'),
        (change('categories', 1, 'name', value='dog'), 'categories with the same name: dog'),
        (
            change('annotations', 0, 'category_id', value=8),
            r'1 annotations have an unknown category_id: 8 \(annotation ids 0\)',
        ),
        (
            change('annotations', 0, 'image_id', value='10'),
            r"1 annotations have an unknown image_id: '10' \(annotation ids 0\)",
        ),
        (
            change('images', 1, 'file_name'),
            r"1 of 2 images have no valid 'file_name' \(a text\): no. 1 \(id 'b'\): None",
        ),
        (change('images', 0, 'file_name', value=''), r"'file_name' \(a text\): no. 0 \(id 10\): ''"),
        (change('images', 0, 'width'), "1 of 2 images have no valid 'width'.*id 10"),
        (change('images', 0, 'height', value=0), "1 of 2 images have no valid 'height'.*: 0"),
        (change('annotations', 0, 'bbox'), "1 of 2 annotations have no valid 'bbox'"),
        (change('annotations', 0, 'bbox', value=[1, 2, 3]), r"'bbox'.*\[1, 2, 3\]"),
        (change('annotations', 0, 'bbox', value=[1, 2, 3, None]), "'bbox'.*None"),
        (change('annotations', 0, 'id'), "1 of 2 annotations have no valid 'id'"),
        (change('categories', 0, 'id', value='7'), "1 of 3 categories have no valid 'id'.*: '7'"),
        (change('categories', 2, 'name', value=5), "1 of 3 categories have no valid 'name'.*: 5"),
        (change('categories', 2, 'name', value='a\udcff'), 'categories have no valid .name'),
        *(
            (change('annotations', 1, key, value=value), f"'{key}' \\(0 or 1\\): no. 1 \\(id 1\\)")
            for key in ('iscrowd', 'ignore')
            for value in (2, -1, 0.5, 'yes', '', [], {}, float('nan'), 10**400)
        ),
        *(
            (change('annotations', 1, 'area', value=value), "'area'.*id 1")
            for value in ('1', -1, True, [], float('nan'), float('inf'), 10**400)
        ),
        *(
            (change('images', 0, 'width', value=value), "'width'.*whole number of pixels.*id 10")
            for value in (640.5, '640', 10**400, 1e300, float('inf'), float('nan'), -5, None, [])
        ),
        (change('annotations', 0, 'bbox', value=[1, 2, 3, 10**400]), "'bbox'.*id 0"),
        (change('annotations', 0, 'bbox', value=[1, 2, 3, True]), "'bbox'.*id 0"),
        (
            change('annotations', 0, 'id', value=10**400),
            r"no valid 'id' \(a whole number below 2\*\*63 or a text\): no. 0 \(id 1000+\.\.\.0+\)",
        ),
        (change('annotations', 0, 'id', value=2**70), r'no. 0 \(id 1180591620717411303424\)'),
        (change('annotations', 0, 'category_id', value=True), "no valid 'category_id'"),
        *(
            (change('images', 0, 'id', value=value), "images have no valid 'id'")
            for value in (0.5, float('nan'), float('inf'), 1e300, True, None, [])
        ),
    ],
)
def test_file_at_fault(read, tmp_path, apply, message):
    file = content()
    apply(file)
    with pytest.raises(UserError, match=message) as error:
        read(file)
    assert len(str(error.value)) < 500
    assert str(error.value).startswith(str(tmp_path / 'ann.json'))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'{"images": [\n  1,,\n]}', r'ann\.json, line 2, column 5: not valid JSON'),
        (b'', r'ann\.json, line 1, column 1: not valid JSON'),
        (b'\x89PNG\xff\xfe', r'ann\.json: not a text file'),
        (b'[]', r'ann\.json: not a COCO detection file: it holds a list'),
        (b'[' * 10**6, r'ann\.json: .* nested too deeply'),
        (b'{"a":' * 10**6, r'ann\.json: .* nested too deeply'),
        (b'{"images": ' + b'1' * 5000 + b'}', r'ann\.json: not valid JSON \(a number has over 4300 digits'),
    ],
)
def test_file_that_is_no_json_object(read, text, message):
    with pytest.raises(UserError, match=message):
        read(text)


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('{}/none.json', r'annotation file .*/none\.json not found; .*data_root=FOLDER'),
        ('{}', 'annotation file .* is a folder'),
        ('{}/file/x', r'/file/x cannot be read \(Not a directory\)'),
        ('', 'ann_file is not set'),
    ],
)
def test_no_file(tmp_path, path, message):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=message):
        read_coco(path.format(tmp_path))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('kat', r"ann\.json has no class 'kat'; did you mean cat\? \(its classes: dog, cat, bird\)"),
        ('zebra', r"has no class 'zebra' \(its classes"),
    ],
)
def test_class_that_the_file_lacks(read, name, message):
    with pytest.raises(UserError, match=message):
        read(content()).ids_of(['dog', name])


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(UserError, match=r'a\.json is not a regular file'):
        read_coco(str(tmp_path / 'a.json'))


def varied(seed):
    """A file of 40 annotations of many forms, some of them not what most writers write."""
    draw = random.Random(seed)
    file = content()
    file['images'] += [dict(id=i, file_name=f'{i} }}, {{"ü.jpg', width=90, height=64) for i in range(20, 40)]
    for i in range(2, 40):
        box = [draw.choice([0, 1.5, -3, 1e300]), draw.uniform(0, 9), draw.randrange(50), draw.uniform(0, 50)]
        entry = dict(id=i, image_id=draw.randrange(20, 40), category_id=draw.choice([7, 3]), bbox=box)
        more = [
            dict(iscrowd=1),
            dict(iscrowd='1'),
            dict(area=30),
            dict(area=None),
            dict(ignore=True),
            dict(id=i),
        ]
        more += [dict(attributes=dict(rotation=30.0, nested=[{}, {}])), dict(id=f'a{i}'), dict(id=float(i))]
        more += [dict(segmentation=dict(size=[1, 2], counts='}, {')), dict(keypoints=[1, float('nan')])]
        more += [dict(keypoints=[1, 2, 2]), dict(keypoints=None), {}, {}, {}, {}]
        file['annotations'].append(entry | draw.choice(more))
    return file


@pytest.mark.parametrize('indent', [None, 1])
@pytest.mark.parametrize('seed', range(4))
def test_msgspec_reads_what_python_reads(read, monkeypatch, seed, indent):
    pytest.importorskip('msgspec')
    monkeypatch.setattr('mmyolox.datasets.json_stream._BLOCK', 200)
    taken, decoder = [], coco_fields.record_decoder

    def counting(*args):
        decode = decoder(*args)
        return lambda raw: taken.append(decode(raw)) or taken[-1]

    text = json.dumps(varied(seed), indent=indent).encode()
    files = []
    for one in (counting, lambda *args: lambda raw: None):
        monkeypatch.setattr('mmyolox.datasets.coco_reading.record_decoder', one)
        files.append(read(text, fields=['keypoints']))
    fast, slow = files
    assert any(records is not None for records in taken)
    assert any(records is None for records in taken)
    assert fast.columns.info == slow.columns.info
    assert repr([*fast.images, *fast.annotations]) == repr([*slow.images, *slow.annotations])
    assert fast.is_turned.tolist() == slow.is_turned.tolist()


def test_numbers_beyond_64_bits_are_a_fault_whoever_reads(read, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.json_stream._BLOCK', 200)
    for key, value in (('bbox', [1, 2, 3, 2**70]), ('id', 2**70), ('iscrowd', 2), ('area', -1)):
        file = varied(0)
        file['annotations'][5][key] = value
        with pytest.raises(UserError, match=f"1 of 40 annotations have no valid '{key}'.*: no. 5 "):
            read(file)
