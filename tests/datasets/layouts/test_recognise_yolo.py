"""YOLO's format, recognised in the folders that tools write."""

from pathlib import Path

import pytest

from mmyolox.datasets import YOLOXYoloDataset
from mmyolox.datasets.layouts import FORMATS, recognise
from mmyolox.errors import UserError
from tests.datasets.test_yolo import LAYOUTS, LINE, ROBOFLOW, write_set
from tests.tools.small_files import write_image, write_text


@pytest.mark.parametrize('kind', LAYOUTS)
def test_layouts(tmp_path, kind):
    yaml, form, files = LAYOUTS[kind]
    images = {form.format(split, split): LINE for split in ('train', 'valid')}
    write_set(tmp_path, images, yaml and yaml.replace('{root}', str(tmp_path)))
    for name, text in files.items():
        write_text(tmp_path / name, text)
    layout = recognise(tmp_path)
    assert layout.format == 'yolo'
    assert layout.name == ('YOLO (Roboflow export)' if kind == 'roboflow' else 'YOLO')
    given = {} if yaml is None else dict(ann_file='data.yaml')
    assert layout.splits == {split: dict(given, split=split) for split in ('train', 'val')}
    assert FORMATS['yolo'].read_classes(layout) == ('cat', 'dog')
    for split, folder in (('train', 'train'), ('val', 'valid')):
        dataset = YOLOXYoloDataset(data_root=str(tmp_path), **layout.splits[split])
        assert [dataset.get_data_info(0)['img_id']] == [form.format(folder, folder)]


DARKNET_SET = {
    'data/obj.data': 'classes= 2\ntrain  = data/train.txt\nvalid  = data/test.txt\nnames = data/obj.names\n',
    'data/obj.names': 'cat\ndog\n',
    'data/train.txt': 'data/obj/a.jpg\n',
    'data/test.txt': 'data/obj/b.jpg\n',
}


@pytest.mark.parametrize(('root', 'file'), [('.', 'data/obj.data'), ('data', 'obj.data')])
@pytest.mark.parametrize('is_relative', [False, True])
def test_the_description_of_darknet(tmp_path, monkeypatch, root, file, is_relative):
    lines = []
    monkeypatch.chdir(tmp_path)
    folder = Path(root) if is_relative else tmp_path / root
    monkeypatch.setattr('mmyolox.datasets.yolo.print_log', lambda line, *_, **__: lines.append(line))
    write_set(tmp_path, {'data/obj/a.jpg': LINE, 'data/obj/b.jpg': LINE}, yaml=None)
    for name, text in DARKNET_SET.items():
        write_text(tmp_path / name, text)
    write_text(tmp_path / 'cfg.data', 'train = /elsewhere/train.txt\nnames = data/obj.names\n')
    layout = recognise(folder)
    assert FORMATS['yolo'].read_classes(layout) == ('cat', 'dog')
    assert layout.splits['val'] == dict(ann_file=file, split='val')
    for split, name in (('train', 'a'), ('val', 'b')):
        dataset = YOLOXYoloDataset(data_root=str(folder), **layout.splits[split])
        path = Path(dataset.get_data_info(0)['img_path'])
        assert path.absolute() == tmp_path / f'data/obj/{name}.jpg'
        assert len(dataset) == 1
    assert lines == []


def test_how_darknet_evaluates_is_no_split(tmp_path):
    write_set(tmp_path, {'coco/a.jpg': LINE, 'coco/b.jpg': LINE}, yaml=None)
    write_text(tmp_path / 'obj.names', 'cat\ndog\n')
    write_text(tmp_path / 'train.txt', 'coco/a.jpg\ncoco/b.jpg\n')
    write_text(tmp_path / 'obj.data', 'train = train.txt\nnames = obj.names\neval = coco\n')
    layout = recognise(tmp_path)
    assert 'fold' in layout.splits['val']
    assert len(layout.notes) == 1


def test_an_export_of_cvat_without_its_images(tmp_path):
    write_text(tmp_path / 'obj.data', 'classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n')
    write_text(tmp_path / 'obj.names', 'face\n')
    write_text(tmp_path / 'train.txt', 'data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n')
    write_text(tmp_path / 'obj_train_data/a.txt', LINE)
    layout = recognise(tmp_path)
    with pytest.raises(UserError, match=r"2 of 2 images of the split 'train' are not there: .*a\.jpg"):
        YOLOXYoloDataset(data_root=str(tmp_path), **layout.splits['train'])


def test_without_splits_some_images_are_held_out(tmp_path):
    write_set(tmp_path, {'images/a.jpg': LINE, 'images/b.jpg': LINE}, yaml=None)
    write_text(tmp_path / 'classes.txt', 'cat\ndog\n')
    layout = recognise(tmp_path)
    assert layout.splits['val'] == dict(split='train', fold=dict(count=5, index=0, seed=0, held_out=True))
    assert layout.notes == ('no validation split, so that 1 image of 5 is held out (seed 0)',)


def test_a_split_that_is_named_and_absent_is_told(tmp_path):
    write_set(tmp_path, {'train/images/a.jpg': LINE, 'valid/images/b.jpg': LINE}, ROBOFLOW)
    layout = recognise(tmp_path)
    assert set(layout.splits) == {'train', 'val'}
    assert layout.notes == (
        'folders or lists that the YAML file names and that are not there: 1 (../test/images)',
    )


@pytest.mark.parametrize('chosen', ['cats.yaml', 'dogs.yml'])
def test_one_of_several_yaml_files_is_chosen(tmp_path, chosen):
    write_set(tmp_path, {'images/train/a.jpg': LINE, 'images/val/b.jpg': LINE}, yaml=None)
    for name in ('cats.yaml', 'dogs.yml'):
        write_text(tmp_path / name, f'train: images/train\nval: images/val\nnames: [{name[:3]}, other]')
    write_text(tmp_path / 'other.yaml', 'a: [')
    with pytest.raises(UserError, match=r'by train_ann_file=cats\.yaml; YOLO by train_ann_file=dogs\.yml$'):
        recognise(tmp_path)
    layout = recognise(tmp_path, ann_files=dict(train=chosen))
    assert layout.splits['val'] == dict(ann_file=chosen, split='val')
    assert FORMATS['yolo'].read_classes(layout) == (chosen[:3], 'other')


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({'data.yaml': 'names: [cat'}, 'not a valid YAML file'),
        (
            {'labels/a.txt': LINE},
            r'no class names in a data\.yaml, obj\.names or classes\.txt; .* classes=cat,dog',
        ),
        ({'data.yaml': 'nc: 2\nnames: [cat]'}, 'nc: 2 but names 1 classes'),
        ({'data.yaml': 'roboflow: {}', 'notes.txt': ''}, 'no data set was recognised'),
        ({'notes.txt': ''}, 'no data set was recognised'),
        (
            {'data.yaml': 'names: [a]', 'x.json': '"images" "annotations" "categories"'},
            r'COCO by train_ann_file=x\.json; YOLO by train_ann_file=data\.yaml$',
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, files, message):
    write_image(tmp_path / 'images/a.jpg')
    for name, text in files.items():
        write_text(tmp_path / name, text)
    with pytest.raises(UserError, match=message):
        FORMATS['yolo'].read_classes(recognise(tmp_path))
