"""Pascal VOC: one annotation file, and the data set, against mmdet's."""

import os

import cv2
import numpy as np
import pytest

from mmyolox.datasets import YOLOXVOCDataset
from mmyolox.datasets.voc import annotated_classes, read_voc_xml
from mmyolox.datasets.voc_files import listed_image
from mmyolox.errors import UserError
from mmyolox.registry import DATASETS


def xml_text(objects, size=(100, 50), filename='a.jpg'):
    """An annotation with ``objects`` of (name, xmin, ymin, xmax, ymax, difficult)."""
    width, height = size or ('', '')
    size_tag = f'<size><width>{width}</width><height>{height}</height></size>' if size else ''
    body = ''.join(
        f'<object><name>{name}</name>{"" if difficult is None else f"<difficult>{difficult}</difficult>"}'
        f'<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymin>{ymin}</ymin><ymax>{ymax}</ymax></bndbox></object>'
        for name, xmin, ymin, xmax, ymax, difficult in objects
    )
    return f'<annotation><filename>{filename}</filename>{size_tag}{body}</annotation>'


@pytest.fixture
def write(tmp_path):
    """Writes a VOC folder of images by name: objects, or (objects, size)."""

    def build(images, suffix='.jpg', root='VOC2007'):
        for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
        for name, objects in images.items():
            for folder in ('JPEGImages', 'Annotations'):
                (tmp_path / f'{root}/{folder}/{name}').parent.mkdir(exist_ok=True)
            pixels = np.zeros((50, 100, 3), np.uint8)
            cv2.imwrite(str(tmp_path / f'{root}/JPEGImages/{name}{suffix}'), pixels)
            text = objects if isinstance(objects, str) else xml_text(objects)
            (tmp_path / f'{root}/Annotations/{name}.xml').write_text(text)
        split = tmp_path / f'{root}/ImageSets/Main/trainval.txt'
        split.write_text(''.join(f'{name}\n' for name in images))
        return tmp_path

    return build


def load(root, year='VOC2007', cls=YOLOXVOCDataset, **kwargs):
    options = dict(
        ann_file=f'{year}/ImageSets/Main/trainval.txt',
        data_root=str(root),
        data_prefix=dict(sub_data_root=f'{year}/'),
    )
    return cls(**options | kwargs)


DOG, CAT = ('dog', 11, 6, 31, 36, 0), ('cat', 1, 1, 100, 50, 1)


@pytest.mark.parametrize(('one_based', 'first'), [(True, [10, 5, 30, 35]), (False, [11, 6, 31, 36])])
def test_xml(tmp_path, one_based, first):
    path = tmp_path / 'a.xml'
    path.write_text(xml_text([DOG, CAT, ('bird', 5, 5, 5, 2.5, None)]))
    voc = read_voc_xml(path, one_based=one_based)
    assert (voc.filename, voc.width, voc.height) == ('a.jpg', 100, 50)
    assert voc.names == ('dog', 'cat', 'bird')
    assert voc.bboxes[0].tolist() == first
    assert voc.bboxes[2].tolist() == [4 + (not one_based)] * 3 + [2.5 - one_based]
    assert voc.difficult.tolist() == [False, True, False]
    assert (voc.bboxes.dtype, voc.difficult.dtype) == (np.float32, np.bool_)


@pytest.mark.parametrize(('rotation', 'turned'), [('90.0', True), ('0.0', False), ('left', False)])
def test_the_box_around_a_turned_one_is_taken(write, rotation, turned):
    attribute = f'<attribute><name>rotation</name><value>{rotation}</value></attribute>'
    text = xml_text([DOG, CAT]).replace('</object>', f'<attributes>{attribute}</attributes></object>', 1)
    dataset = load(write(dict(a=text)), metainfo=dict(classes=['dog', 'cat']))
    assert dataset.get_data_info(0)['bboxes'][0].tolist() == ([5, 10, 35, 30] if turned else [10, 5, 30, 35])
    assert dataset.report.turned.examples == ['a'] * turned


def test_xml_of_an_empty_image_without_size(tmp_path):
    (tmp_path / 'a.xml').write_text('<annotation/>')
    voc = read_voc_xml(tmp_path / 'a.xml')
    assert (voc.filename, voc.width, voc.height, voc.names) == ('', 0, 0, ())
    assert (voc.bboxes.shape, voc.difficult.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'annotation file not found'),
        ('<annotation><object></annotation>', 'not a valid XML file'),
        ('', 'not a valid XML file'),
        ('<?xml version="1.0" encoding="none"?><annotation/>', 'not a valid XML file'),
        (xml_text([('', 1, 1, 5, 5, 0)]), 'an <object> has no <name>'),
        (xml_text([('dog', 1, 1, 'x', 5, 0)]), "<bndbox/xmax> of <object> holds 'x', a number is needed"),
        ('<annotation><object><name>dog</name></object></annotation>', 'has 0 <bndbox>'),
        ('<annotation>' * 100_000 + '</annotation>' * 100_000, 'an <annotation> directly below <annotation>'),
        (f'<annotation>{xml_text([])}</annotation>', 'an <annotation> directly below <annotation>'),
        (xml_text([], size=('inf', 3)), '<size/width> holds inf'),
        (xml_text([], size=('wide', 3)), "<size/width> of <annotation> holds 'wide'"),
    ],
)
def test_xml_at_fault(tmp_path, text, message):
    path = tmp_path / 'a.xml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        read_voc_xml(path)
    assert str(error.value).startswith(f'{path}: ')
    assert message in str(error.value)


def test_entries(write):
    root = write({'a': [DOG, CAT], 'b': []})
    dataset = load(root, metainfo=dict(classes=('cat', 'dog')))
    entry, background = dataset.get_data_info(0), dataset.get_data_info(1)
    assert (entry['img_id'], entry['height'], entry['width']) == ('a', 50, 100)
    assert entry['img_path'] == f'{root}/VOC2007/JPEGImages/a.jpg'
    assert entry['bboxes'].tolist() == [[10, 5, 30, 35], [0, 0, 99, 49]]
    assert entry['labels'].tolist() == [1, 0]
    assert entry['is_crowd'].tolist() == [False, True]
    assert background['bboxes'].shape == (0, 4)
    assert [entry[key].dtype for key in ('bboxes', 'labels', 'is_crowd')] == [np.float32, np.int64, np.bool_]
    assert dataset.get_cat_ids(0) == [1, 0]


@pytest.mark.parametrize('one_based', [True, False])
def test_boxes_that_start_at_zero_are_told(write, monkeypatch, one_based):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.voc.print_log', lambda line, *_: lines.append(line))
    objects = [('dog', 0, 5, 10, 20, 0), ('dog', 5, 0, 10, 20, 0), ('dog', 1, 1, 10, 20, 0)]
    dataset = load(write({'a': objects, 'b': [DOG]}), one_based=one_based)
    line = '2 boxes start at 0 (in a): set one_based=False if these annotations count pixels from 0'
    assert lines == [f'{dataset.ann_file}: {line}'] * one_based


def test_boxes_from_zero(write):
    dataset = load(write({'a': [('dog', 0, 0, 100, 50, 0)]}), one_based=False)
    assert dataset.get_data_info(0)['bboxes'].tolist() == [[0, 0, 100, 50]]
    assert dataset.report.losses() == ''


def test_equal_to_mmdet(write):
    from mmdet.datasets import VOCDataset

    rng = np.random.default_rng(0)
    images = {}
    for number in range(10):
        corners = rng.integers(1, [60, 30], (rng.integers(6), 2))
        ends = corners + rng.integers(1, [40, 20], corners.shape)
        images[f'{number:06d}'] = [
            (YOLOXVOCDataset.METAINFO['classes'][rng.integers(20)], *corner, *end, rng.integers(2))
            for corner, end in zip(corners, ends, strict=True)
        ]
    root = write(images)
    dataset, reference = load(root), load(root, cls=VOCDataset)
    assert len(dataset) == len(reference) == 10
    for key in ('classes', 'dataset_type'):
        assert dataset.metainfo[key] == reference.metainfo[key]
    for index in range(10):
        entry, wanted = dataset.get_data_info(index), reference.get_data_info(index)
        for key in ('img_id', 'img_path', 'height', 'width'):
            assert entry[key] == wanted[key]
        instances = wanted['instances']
        assert entry['bboxes'].tolist() == [instance['bbox'] for instance in instances]
        assert entry['labels'].tolist() == [instance['bbox_label'] for instance in instances]
        assert entry['is_crowd'].tolist() == [bool(instance['ignore_flag']) for instance in instances]


@pytest.mark.parametrize(
    ('year', 'classes', 'dataset_type'),
    [
        ('VOC2007', None, 'VOC2007'),
        ('VOC2012', None, 'VOC2012'),
        ('mine', None, None),
        ('VOC2007', ('dog', 'cat'), None),
    ],
)
def test_dataset_type_for_the_voc_metric(write, year, classes, dataset_type):
    dataset = load(write({'a': [DOG]}, root=year), year, metainfo=dict(classes=classes))
    assert dataset.metainfo['dataset_type'] == dataset_type
    assert dataset.metainfo['classes'] == classes or len(dataset.metainfo['classes']) == 20


@pytest.mark.parametrize('size', [None, (0, 0)])
def test_size_from_the_image_where_the_xml_has_none(write, size):
    dataset = load(write({'a': xml_text([('dog', 91, 41, 190, 60, 0)], size)}))
    entry = dataset.get_data_info(0)
    assert (entry['height'], entry['width']) == (50, 100)
    assert entry['bboxes'].tolist() == [[90, 40, 100, 50]]


def test_size_from_an_image_that_does_not_decode(write):
    root = write({'a': xml_text([DOG], None)})
    (root / 'VOC2007/JPEGImages/a.jpg').write_bytes(b'no image')
    with pytest.raises(
        UserError, match=r'a\.jpg \(no size found in its header\), and its annotation does not give its size'
    ):
        load(root)


@pytest.mark.parametrize('suffix', ['.PNG', '.webp', '.tif', '.Jpeg'])
def test_other_suffixes_and_names_with_dots(write, suffix):
    dataset = load(write({'a.b': [DOG]}, suffix=suffix))
    assert dataset.get_data_info(0)['img_path'].endswith(f'JPEGImages/a.b{suffix}')


def test_the_usual_suffix_comes_first(write):
    root = write({'a': [DOG]})
    for suffix in ('.bmp', '.png'):
        (root / f'VOC2007/JPEGImages/a{suffix}').touch()
    assert load(root).get_data_info(0)['img_path'].endswith('JPEGImages/a.jpg')


def test_folder_names_and_prefix_can_be_changed(write):
    root = write({'a': [DOG]})
    (root / 'VOC2007/JPEGImages').rename(root / 'pictures')
    (root / 'VOC2007/Annotations').rename(root / 'xml')
    dataset = YOLOXVOCDataset(
        'VOC2007/ImageSets/Main/trainval.txt', data_root=str(root), img_subdir='pictures', ann_subdir='xml'
    )
    assert dataset.get_data_info(0)['img_path'] == f'{root}/pictures/a.jpg'


def test_degenerate_and_outlying_boxes_are_reported_by_image(write):
    objects = [DOG, ('dog', 5, 5, 5, 20, 0), ('dog', 500, 5, 600, 20, 0), ('dog', 91, 5, 200, 20, 1)]
    dataset = load(write({'a': objects, 'b': [DOG]}))
    entry = dataset.get_data_info(0)
    assert entry['bboxes'].tolist() == [[10, 5, 30, 35], [90, 4, 100, 19]]
    assert entry['is_crowd'].tolist() == [False, True]
    report = dataset.report
    assert (report.boxes, report.degenerate.count, report.outside.count, report.clipped.count) == (3, 1, 1, 1)
    assert report.degenerate.examples == ['a']


@pytest.mark.parametrize('bad', ['1e400', '9' * 400, '1e30', '-inf', 'nan'])
def test_boxes_with_impossible_numbers_are_reported_as_such(write, bad):
    report = load(write({'a': [DOG, ('dog', 5, 5, bad, 20, 0)], 'b': [DOG]})).report
    assert report.boxes == 2
    assert report.losses() == '1 with a coordinate that is not finite or beyond 2**31 (dropped): a'


def test_filter_cfg_holds_in_training_only(write):
    root = write({'a': [DOG], 'b': []})
    assert len(load(root)) == 2
    assert len(load(root, filter_cfg=dict(filter_empty_gt=True))) == 1
    assert len(load(root, filter_cfg=dict(filter_empty_gt=True), test_mode=True)) == 2


def test_other_classes_are_counted_and_a_misspelt_one_is_pointed_out(write, monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.voc.print_log', lambda line, *_: lines.append(line))
    dataset = load(write({'a': [DOG, CAT, CAT]}), metainfo=dict(classes=('dog', 'Cats', 'zebra')))
    assert dataset.report.other_classes == {'cat': 2}
    assert lines == [f"{dataset.ann_file}: no box of class 'Cats'; did you mean cat?"]


def test_no_object_of_a_configured_class(write):
    root = write({'a': [DOG, CAT]})
    with pytest.raises(
        UserError,
        match=r'none of the classes zebra is annotated; .* dog, cat; name some of these by classes=',
    ):
        load(root, metainfo=dict(classes=['zebra']), test_mode=True)


@pytest.mark.parametrize(
    ('absent', 'message'),
    [
        ('Annotations/b.xml', r'1 of 3 annotations are not in .*VOC2007/Annotations: b\.xml'),
        ('JPEGImages/b.jpg', r'1 of 3 images are not in .*VOC2007/JPEGImages: b\.jpg'),
        ('ImageSets/Main/trainval.txt', r'split file .*trainval\.txt not found; .*data_root=FOLDER'),
    ],
)
def test_absent_files_are_named(write, absent, message):
    root = write({'a': [DOG], 'b': [DOG], 'c': [DOG]})
    (root / 'VOC2007' / absent).unlink()
    with pytest.raises(UserError, match=message):
        load(root)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'\n\n', r'trainval\.txt is empty'),
        (b'a\nb\na\n', 'images listed more than once: a'),
        (b'\xff\xfe\x81', 'is not a text file'),
    ],
)
def test_split_file_at_fault(write, content, message):
    root = write({'a': [DOG]})
    (root / 'VOC2007/ImageSets/Main/trainval.txt').write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(root)


def test_a_split_file_that_is_a_folder(write):
    with pytest.raises(UserError, match='cannot be read'):
        load(write({'a': [DOG]}), ann_file='VOC2007')


@pytest.mark.parametrize('flat', [False, True])
def test_without_a_split_file_all_images_with_an_xml_file_are_read(write, flat, monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.voc.print_log', lambda line, *_: lines.append(line))
    root = write({'a': [DOG], 'sub/b': [CAT, DOG], 'c': []}, suffix='.png')
    voc = root / 'VOC2007'
    (voc / 'JPEGImages/lone.jpg').touch()
    (voc / 'Annotations/lost.XML').touch()
    if flat:
        for path in (voc / 'JPEGImages').rglob('*.*'):
            path.rename(voc / 'Annotations' / path.relative_to(voc / 'JPEGImages'))
    folders = dict(img_subdir='Annotations') if flat else {}
    dataset = load(root, ann_file='', metainfo=dict(classes=['cat', 'dog']), **folders)
    folder = voc / ('Annotations' if flat else 'JPEGImages')
    entries = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [(entry['img_id'], entry['img_path'], len(entry['labels'])) for entry in entries] == [
        (name, str(folder / f'{name}.png'), count) for name, count in (('a', 1), ('c', 0), ('sub/b', 2))
    ]
    assert lines == [
        f'{voc}/Annotations: images without an XML file (left out): 1 (lone); '
        'XML files without an image (left out): 1 (lost)'
    ]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(img_subdir='gone'), r'VOC2007/gone, the folder of the images, not found'),
        (dict(ann_subdir='gone'), r'VOC2007/gone, the folder of the annotations, not found'),
        (dict(ann_subdir='ImageSets'), r'none of 1 images has one of the 0 XML files in .*ImageSets'),
        (dict(backend_args=dict(backend='local')), 'with backend_args it must be a split file'),
    ],
)
def test_folders_at_fault_without_a_split_file(write, change, message):
    with pytest.raises(UserError, match=message):
        load(write({'a': [DOG]}), ann_file='', **change)


def test_annotated_classes_are_those_of_objects(tmp_path):
    (tmp_path / 'a.xml').write_text(
        xml_text([DOG, ('zebra ', 1, 1, 2, 2, 0), CAT]).replace(
            '<size>', '<owner><name>me</name></owner><size>'
        )
    )
    (tmp_path / 'b.xml').write_text(
        xml_text([DOG]).replace('</bndbox>', '</bndbox><part><name>head</name></part>')
    )
    assert annotated_classes(tmp_path.iterdir()) == ('cat', 'dog', 'zebra')


def test_classes_that_are_alike_are_told(write, monkeypatch):
    lines = []
    monkeypatch.setattr('mmyolox.datasets.voc.print_log', lambda line, *_: lines.append(line))
    load(write({'a': [DOG, ('Dog', 1, 1, 9, 9, 0)]}), metainfo=dict(classes=('Dog', 'dog')))
    assert [line.split(': ')[1:] for line in lines] == [
        ['classes that only case, blanks or underscores tell apart', "'Dog', 'dog'"]
    ]


def test_built_by_name():
    assert DATASETS.get('YOLOXVOCDataset') is YOLOXVOCDataset


@pytest.mark.parametrize('encoding', ['gbk', 'shift_jis', 'iso-8859-1', 'utf-16', 'windows-1252'])
def test_declared_encodings(tmp_path, encoding):
    name = 'chien é' if encoding in ('iso-8859-1', 'windows-1252') else '犬'
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{xml_text([(name, 1, 2, 3, 4, 0)])}'
    (tmp_path / 'a.xml').write_bytes(text.encode(encoding))
    assert read_voc_xml(tmp_path / 'a.xml').names == (name,)


@pytest.mark.parametrize('encoding', ['klingon', 'gbk'])
def test_an_encoding_that_is_not_that_of_the_file(tmp_path, encoding):
    (tmp_path / 'a.xml').write_bytes(b'<?xml version="1.0" encoding="%s"?><a>\xff</a>' % encoding.encode())
    with pytest.raises(UserError, match=r'a.xml: not a valid XML file'):
        read_voc_xml(tmp_path / 'a.xml')


def test_a_split_file_with_suffixes(write):
    root = write({'a': [DOG], 'b.jpg': [DOG]})
    (root / 'VOC2007/ImageSets/Main/trainval.txt').write_text('a.jpg\nb.jpg\n')
    assert [load(root).get_data_info(i)['img_id'] for i in range(2)] == ['a', 'b.jpg']


@pytest.mark.parametrize(
    ('line', 'image'),
    [
        ('a', 'a'),
        ('a.xml', 'a'),
        ('b.jpg', 'b.jpg'),
        ('JPEGImages/a.JPG', 'a'),
        ('sub/a.png', 'sub/a'),
        ('/other/voc/JPEGImages/sub/a.png', 'sub/a'),
        ('D:\\voc\\JPEGImages\\a.jpg', 'a'),
        ('a  1', 'a'),
        ('a b', 'a b'),
        ('JPEGImages/a.jpg Annotations/a.xml', 'a'),
        ('gone.jpg', 'gone'),
        ('sub/gone.1', 'sub/gone.1'),
    ],
)
def test_a_line_of_a_split_file(line, image):
    assert listed_image(line, {'a', 'b.jpg', 'sub/a', 'a b'}.__contains__) == image


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-be'])
def test_a_split_file_of_other_tools(write, encoding):
    root = write({'a': [DOG], 'b': [DOG], 'sub/a': [DOG]})
    text = 'data/JPEGImages/a.jpg\nb.xml\nsub/a\n'
    (root / 'VOC2007/ImageSets/Main/trainval.txt').write_bytes(text.encode(encoding))
    dataset = load(root)
    assert [dataset.get_data_info(i)['img_id'] for i in range(3)] == ['a', 'b', 'sub/a']


@pytest.mark.parametrize(
    'text', ['<annotation><objects>{}</objects></annotation>', '<annotation><OBJECT>{}</OBJECT></annotation>']
)
def test_boxes_that_are_in_no_object(tmp_path, text):
    (tmp_path / 'a.xml').write_text(text.format('<name>dog</name><bndbox><xmin>1</xmin></bndbox>'))
    with pytest.raises(UserError, match=r'a.xml: it has a <bndbox>, but no <object> directly below'):
        read_voc_xml(tmp_path / 'a.xml')


@pytest.mark.parametrize(
    ('text', 'flag'), [('1', True), ('0', False), ('', False), ('true', True), ('False', False)]
)
def test_difficult_means_what_it_looks_like(tmp_path, text, flag):
    (tmp_path / 'a.xml').write_text(xml_text([('dog', 1, 2, 3, 4, text)]))
    assert read_voc_xml(tmp_path / 'a.xml').difficult.tolist() == [flag]


def test_annotations_beside_the_images(write):
    root = write({'a': [DOG], 'b': [CAT]})
    for folder in ('JPEGImages', 'Annotations'):
        for path in (root / 'VOC2007' / folder).iterdir():
            path.rename(root / 'VOC2007' / path.name)
    dataset = load(root, img_subdir='', ann_subdir='')
    assert dataset[0]['img_path'] == str(root / 'VOC2007/a.jpg')
    assert [dataset[index]['bboxes'].tolist() for index in range(2)] == [[[10, 5, 30, 35]], [[0, 0, 99, 49]]]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.xml')
    with pytest.raises(UserError, match=r'a\.xml: not a regular file'):
        read_voc_xml(tmp_path / 'a.xml')


@pytest.mark.parametrize(
    ('text', 'root'),
    [
        ('<annotations><image><box/></image></annotations>', '<annotations>'),
        ('<annotation xmlns="http://a"><object/></annotation>', '<{http://a}annotation>'),
    ],
)
def test_a_file_of_another_format_is_no_image_without_objects(tmp_path, text, root):
    (tmp_path / 'a.xml').write_text(text)
    with pytest.raises(UserError, match=f'a.xml: its root is {root};'):
        read_voc_xml(tmp_path / 'a.xml')
