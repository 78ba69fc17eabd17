"""Exports of other tools train with ``data_root`` alone, and a mistake in one ends before the training."""

import json
import re
import shutil

import pytest

from tests.integration.runs import read_log, run_tool, succeed
from tests.integration.test_errors import error_line

CONFIG = 'yolox_nano_fast_1xb8-50e_custom'
SMALL = ['img_scale=(64,64)', 'max_epochs=1', 'num_last_epochs=0', 'warmup_epochs=0']
SMALL += ['train_num_workers=0', 'val_num_workers=0']


def entries(shapes, split):
    """The content of a COCO file: classes, and by image its path, size and boxes with their classes."""
    content = json.loads((shapes / f'annotations/{split}.json').read_text())
    names = {category['id']: category['name'] for category in content['categories']}
    boxes = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        boxes[annotation['image_id']].append((names[annotation['category_id']], annotation['bbox']))
    images = [(shapes / 'images' / one['file_name'], one, boxes[one['id']]) for one in content['images']]
    return content, list(names.values()), images


def roboflow_coco(shapes, root):
    for split, folder in dict(train='train', val='valid').items():
        content, _, images = entries(shapes, split)
        (root / folder).mkdir(parents=True)
        for path, entry, _ in images:
            entry['file_name'] = path.name
            shutil.copy(path, root / folder)
        for category in content['categories']:
            category['supercategory'] = 'project'
        above = dict(id=99, name='project', supercategory='none')
        content['categories'].insert(0, above)
        (root / folder / '_annotations.coco.json').write_text(json.dumps(content))


def roboflow_yolo(shapes, root):
    for split, folder in dict(train='train', val='valid').items():
        _, names, images = entries(shapes, split)
        for kind in ('images', 'labels'):
            (root / folder / kind).mkdir(parents=True)
        for path, entry, boxes in images:
            shutil.copy(path, root / folder / 'images')
            width, height = entry['width'], entry['height']
            lines = [
                f'{names.index(name)} {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}'
                for name, (x, y, w, h) in boxes
            ]
            (root / folder / 'labels' / f'{path.stem}.txt').write_text('\n'.join(lines))
    text = f'train: ../train/images\nval: ../valid/images\nnc: {len(names)}\nnames: {json.dumps(names)}\n'
    (root / 'data.yaml').write_text(text)


def flat_voc(shapes, root):
    root.mkdir()
    for path, _, boxes in entries(shapes, 'train')[2]:
        shutil.copy(path, root)
        objects = ''.join(
            f'<object><name>{name}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>'
            f'<xmax>{x + w + 1}</xmax><ymax>{y + h + 1}</ymax></bndbox></object>'
            for name, (x, y, w, h) in boxes
        )
        size = '<size><width>64</width><height>64</height><depth>3</depth></size>'
        xml = f'<annotation><filename>{path.name}</filename>{size}{objects}</annotation>'
        (root / f'{path.stem}.xml').write_text(xml)


@pytest.mark.parametrize(
    ('write', 'layout', 'counts'),
    [
        (roboflow_coco, 'COCO (Roboflow export)', (16, 5)),
        (roboflow_yolo, 'YOLO', (16, 5)),
        (flat_voc, 'Pascal VOC (XML beside images)', (12, 4)),
    ],
)
def test_an_export_trains_and_is_evaluated(shapes, tmp_path, write, layout, counts):
    root = tmp_path / 'my data'
    write(shapes, root)
    run = tmp_path / 'run'
    args = ['train.py', CONFIG, '--work-dir', run, '--cfg-options', f'data_root={root}', *SMALL]
    printed = succeed(run_tool(*args)).splitlines()
    told = dict(line.split(maxsplit=1) for line in printed if re.match(r'  \w', line))
    assert told['data'].startswith(f'{layout} in {root}')
    assert [int(re.search(r'(\d+) images', told[split])[1]) for split in ('train', 'val')] == [*counts]
    assert [line for line in printed if line.startswith('epoch 1/1  AP ')]
    begin = next(number for number, line in enumerate(printed) if line.startswith(('epoch', 'The last')))
    assert begin <= 25
    assert 'bbox_mAP' in read_log(run)
    lists = {path.name: len(path.read_text().splitlines()) for path in run.glob('split_*.txt')}
    is_cut = write is flat_voc
    assert lists == (dict(zip(('split_train.txt', 'split_val.txt'), counts, strict=True)) if is_cut else {})


@pytest.mark.parametrize('write', [roboflow_coco, roboflow_yolo])
def test_an_export_of_two_formats_or_without_its_images_is_told_in_one_line(shapes, tmp_path, write):
    root = tmp_path / 'data'
    write(shapes, root)
    args = ['train.py', CONFIG, '--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={root}', *SMALL]
    for image in root.rglob('*.jpg'):
        image.unlink()
    assert 'images' in error_line(run_tool(*args))
