"""Annotation files: COCO's JSON, VOC's XML, YOLO's text files."""

import io
import json
from contextlib import redirect_stdout, suppress
from xml.dom import minidom

import cv2
import numpy as np
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.datasets import YOLOXCocoDataset, YOLOXVOCDataset, YOLOXYoloDataset
from mmyolox.datasets.coco_file import read_class_names
from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.datasets.voc import read_voc_xml
from mmyolox.datasets.voc_files import find_files
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from tests.fuzz.checks import Target
from tests.fuzz.strategies import ODD, changed, damaged, json_files
from tests.tools.tool_loading import load_tool

IMAGE = cv2.imencode('.png', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
NAMES = ('a.png', 'b.png', 'c/d.png')
COCO_FILE = dict(
    images=[dict(id=i, file_name=name, width=64, height=48) for i, name in enumerate(NAMES)],
    annotations=[
        dict(
            id=i,
            image_id=i % 3,
            category_id=1 + i % 2,
            bbox=[4.5 * i, 3, 10 + i, 20.25],
            area=90.5,
            iscrowd=0,
        )
        for i in range(5)
    ]
    + [
        dict(
            id=9,
            image_id=1,
            category_id=1,
            bbox=[50, 40, 20, 20],
            iscrowd=1,
            segmentation=[[1, 2, 3, 4, 5, 6]],
        )
    ],
    categories=[dict(id=1, name='cat', supercategory='pet'), dict(id=2, name='dog')],
)
FLAGS = {None: 0, 0: 0, 1: 1, '0': 0, '1': 1}


def image_folder(folder):
    for name in NAMES:
        path = folder / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGE)


def open_coco(folder, ann_file, **options):
    return YOLOXCocoDataset(
        ann_file=ann_file, data_root=str(folder), data_prefix=dict(img='images/'), pipeline=[], **options
    )


def read_coco_file(case, folder):
    """Reads and evaluates a file; what is accepted is compared with pycocotools."""
    content, options = case
    image_folder(folder)
    path = folder / 'x.json'
    path.write_bytes(content)
    dataset = open_coco(folder, 'x.json', **options)
    classes = dataset.metainfo['classes']
    if not options:
        assert classes == read_class_names(str(path))
    entries = [dataset.get_data_info(i) for i in range(len(dataset))]
    for entry in entries:
        boxes = entry['bboxes']
        assert np.isfinite(boxes).all()
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes <= [entry['width'], entry['height']] * 2).all()
        assert ((entry['labels'] >= 0) & (entry['labels'] < len(classes))).all()
    metric = YOLOXCocoMetric(str(path))
    metric.dataset_meta = dataset.metainfo
    results = [(entry['img_id'], detections(entry)) for entry in entries]
    figures = metric.compute_metrics(results)
    assert all(-1 <= value <= 1 for value in figures.values()), figures
    expected = figures_of_pycocotools(json.loads(content), classes, dict(results))
    if expected is not None:
        assert np.allclose([figures[f'bbox_{name}'] for name in expected], [*expected.values()], atol=2e-3), (
            figures,
            expected,
        )


def detections(entry):
    """Some boxes near the true ones, (n, 6)."""
    boxes = entry['bboxes'] + np.arange(len(entry['labels']), dtype=np.float32)[:, None]
    scores = np.linspace(0.9, 0.3, len(boxes), dtype=np.float32)
    return np.column_stack([boxes, scores, entry['labels'].astype(np.float32)])


def figures_of_pycocotools(content, classes, results):
    """The figures of pycocotools over the images that were read; None where it cannot take the file.

    It needs what files may lack here: areas, ids from 1.
    """
    images = [image for image in content['images'] if image['id'] in results]
    ids = {category['name']: category['id'] for category in content['categories']}
    labels = {ids[name]: label for label, name in enumerate(classes)}
    annotations = []
    for number, one in enumerate(content.get('annotations', []), 1):
        box, crowd = one['bbox'], one.get('iscrowd')
        if crowd not in FLAGS or not all(-1e6 < value < 1e6 for value in box) or min(box[2:]) <= 0:
            return None
        if one['category_id'] in labels:
            area = one.get('area')
            annotations.append(
                dict(id=number, image_id=one['image_id'], category_id=labels[one['category_id']], bbox=box)
                | dict(area=box[2] * box[3] if area is None else area, iscrowd=FLAGS[crowd])
            )
    numbers = {image['id']: number for number, image in enumerate(images)}
    if len(images) < len(content['images']) or not any(len(rows) for rows in results.values()):
        return None
    for annotation in annotations:
        annotation['image_id'] = numbers[annotation['image_id']]
    true = COCO()
    true.dataset = dict(
        info={},
        images=[dict(id=number) for number in numbers.values()],
        annotations=annotations,
        categories=[dict(id=label) for label in labels.values()],
    )
    found = [
        dict(image_id=numbers[i], bbox=[*map(float, row[:2]), *map(float, row[2:4] - row[:2])])
        | dict(score=float(row[4]), category_id=int(row[5]))
        for i, rows in results.items()
        for row in rows
    ]
    with redirect_stdout(io.StringIO()):
        true.createIndex()
        evaluation = COCOeval(true, true.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'), evaluation.stats, strict=False))


COCO_OPTIONS = st.sampled_from(
    [{}] * 4
    + [
        dict(test_mode=True),
        dict(metainfo=dict(classes=('dog', 'cat'))),
        dict(metainfo=dict(classes=('dog',))),
        dict(filter_cfg=dict(filter_empty_gt=True, min_size=32)),
    ]
)

XML = """<?xml version="1.0" encoding="utf-8"?>
<annotation><filename>a.png</filename><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20.5</xmax>
<ymax>30</ymax></bndbox></object>
<object><name>dog</name><difficult>1</difficult><bndbox><xmin>12</xmin><ymin>3</ymin><xmax>64</xmax>
<ymax>48</ymax></bndbox></object></annotation>"""
TAGS = [
    'annotation',
    'filename',
    'size',
    'width',
    'height',
    'object',
    'name',
    'difficult',
    'bndbox',
    'xmin',
    'ymax',
]
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "/etc/passwd">]>'


@st.composite
def xml_files(draw):
    """An annotation with changed texts and tags, or changed bytes."""
    text = XML
    for _ in range(draw(st.integers(0, 3))):
        tag = draw(st.sampled_from(TAGS))
        start, end = text.find(f'<{tag}>'), text.rfind(f'</{tag}>')
        if start < 0 or end < 0:
            continue
        inner, rest = text[start + len(tag) + 2 : end], text[end + len(tag) + 3 :]
        odd = str(draw(ODD)).replace('<', '') if draw(st.booleans()) else draw(st.text(max_size=6))
        new = draw(
            st.sampled_from(
                [f'<{tag}>{odd}</{tag}>', '', f'<{tag}/>', f'<{odd}>{inner}</{odd}>']
                + [f'<{tag}>{inner}</{tag}>' * 2, f'<{tag}>&b;</{tag}>', f'<{tag}>{inner}']
            )
        )
        text = text[:start] + new + rest
    if draw(st.integers(0, 9)) == 0:
        text = text.replace('<annotation>', f'{ENTITIES}<annotation>', 1)
    declared = draw(st.sampled_from(['utf-8'] * 6 + ['gbk', 'latin-1', 'utf-16', 'x', 'rot13', 'idna', '']))
    text = text.replace('utf-8', declared, 1)
    encoding = draw(st.sampled_from(['utf-8'] * 4 + ['utf-16', 'gbk', 'utf-8-sig']))
    content = text.encode(encoding, 'replace')
    return draw(damaged(content)) if draw(st.booleans()) else content


def read_voc(content, folder):
    """Reads a file as a data set and by the converter."""
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True)
    (folder / 'JPEGImages/a.png').write_bytes(IMAGE)
    path = folder / 'Annotations/a.xml'
    path.write_bytes(content)
    (folder / 'ImageSets/Main/train.txt').write_text('a\n')
    with suppress(UserError):  # before the converter makes it two data sets
        FORMATS['voc'].read_classes(recognise(folder, ['voc']))
    report = CONVERTER_REPORT()
    args = VOC.parse_args([str(folder), str(folder / 'out'), '--val', 'train'])
    try:
        files, _ = VOC.convert(args, find_files(folder, report), report)
    except UserError:
        pass
    else:
        files['train'].write(folder / 'out/train.json')
        (folder / 'images').symlink_to(folder / 'JPEGImages')
        assert len(open_coco(folder, 'out/train.json')) == 1 or report.skipped
    faults = []
    voc = read_voc_xml(path, faults=faults)
    document = (
        minidom.parse(str(path)) if b'encoding' not in content[:60] or b'utf-8' in content[:60] else None
    )
    if document is not None:
        objects = [node for node in document.documentElement.childNodes if node.nodeName == 'object']
        assert len(objects) == len(voc.names) + len(faults)
    YOLOXVOCDataset(
        ann_file='ImageSets/Main/train.txt',
        data_root=str(folder),
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('cat', 'dog')),
        pipeline=[],
    )


DATA_YAML = dict(path='.', train='images/train', val=['images/val'], nc=2, names=['cat', 'dog'])
LABELS = '0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.05 0.1\n1 0.1 0.1 0.4 0.1 0.3 0.5\n'
YAML_TEXTS = st.sampled_from(
    [
        'a: &a [x, x]\nb: &b [*a, *a]\nnames: *b\n',
        'names: !!python/object:os.system x\n',
        'names: {0: a, 1: b}\n',
    ]
    + ['names: {0: a, 2: b}\n', 'names: a\n', '[', '- a\n- b\n', 'names: [yes, no, 1, 2024-01-01]\n', ': :\n']
    + [
        'names:\n  - a\n  - a\n',
        'train: /dev/zero\nnames: [a, b]\n',
        'train: 5\nval: {a: b}\nnames: [a, b]\n',
    ]
    + [
        'train: [1, null, [x]]\nnames: [a, b]\n',
        'train: "\\0"\nnames: [a, b]\n',
        'nc: 3\nnames: [a, b]\n',
        'train: train.txt\nnames: [a, b]\n',
        '',
    ]
)


def yaml_text(content):
    """JSON is YAML."""
    return json.dumps(content)


YOLO_CASES = st.tuples(
    st.one_of(
        YAML_TEXTS.map(str.encode),
        st.builds(yaml_text, changed(DATA_YAML)).map(str.encode),
        damaged(yaml_text(DATA_YAML).encode()),
    ),
    st.one_of(
        damaged(LABELS.encode()),
        st.lists(
            st.lists(
                st.sampled_from(['0', '1', '0.5', '1.0', '-1', 'nan', '1e400', '2', 'x', '0x1', '٣', '1_0']),
                max_size=9,
            ).map(' '.join),
            max_size=4,
        )
        .map('\n'.join)
        .map(str.encode),
        st.binary(max_size=40),
    ),
    st.sampled_from(
        [b'images/train/0.png\n', b'', b'\xff\xfe', b'../0.png\n/etc/passwd\n', b'\0\n', b'x' * 300]
    ),
)


def read_yolo(case, folder):
    """Converts a data set; what was written is one that training reads."""
    data, labels, listed = case
    for split in ('train', 'val'):
        for kind, content in (('images', IMAGE), ('labels', labels)):
            (folder / kind / split).mkdir(parents=True)
            suffix = 'png' if kind == 'images' else 'txt'
            (folder / kind / split / f'0.{suffix}').write_bytes(content)
    (folder / 'data.yaml').write_bytes(data)
    (folder / 'train.txt').write_bytes(listed)
    read = {}
    for split in ('train', 'val'):
        # What the converter takes, such as an index beyond the classes, may be refused here.
        with suppress(UserError):
            FORMATS['yolo'].read_classes(recognise(folder))
            read[split] = YOLOXYoloDataset(data_root=str(folder), split=split, test_mode=True)
    report = CONVERTER_REPORT()
    files, base = YOLO.convert(YOLO.parse_args([str(folder), str(folder / 'out')]), report)
    for split, file in files.items():
        file.write(folder / 'out/annotations' / f'{split}.json')
    (folder / 'out/images').symlink_to(base)
    for split, file in files.items():
        try:
            dataset = open_coco(folder / 'out', f'annotations/{split}.json', test_mode=True)
        except UserError as error:
            raise AssertionError('what was written is refused') from error
        assert sum(map(len, labels_in(dataset))) == len(file.annotations)
        if split in read:
            assert labels_in(read[split]) == labels_in(dataset)


def labels_in(dataset):
    return [dataset.get_data_info(index)['labels'].tolist() for index in range(len(dataset))]


VOC, YOLO = load_tool('dataset_converters/voc2coco.py'), load_tool('dataset_converters/yolo2coco.py')
CONVERTER_REPORT = YOLO.ConversionReport

TARGETS = dict(
    coco=Target(st.tuples(json_files(COCO_FILE), COCO_OPTIONS), read_coco_file, 16000),
    voc=Target(xml_files(), read_voc, 10000),
    yolo=Target(YOLO_CASES, read_yolo, 8000),
)
