"""The annotation cache: later starts have the same samples and say the same, and believe nothing damaged."""

import errno
import json
import os
import shutil
import time

import numpy as np
import pytest

from mmyolox.datasets import YOLOXCocoDataset, YOLOXVOCDataset, annotation_cache
from mmyolox.datasets.coco_file import read_class_names, read_coco
from mmyolox.errors import UserError

FIELDS = ('keypoints',)


def content():
    """Two images with a crowd, a box over the border, one without area, a turned one and another class."""
    boxes = [
        dict(category_id=7, bbox=[10, 5, 20, 30], keypoints=[1, 2, 2]),
        dict(category_id=3, bbox=[0, 0, 100, 50], iscrowd=1),
        dict(category_id=7, bbox=[-5, 45, 10, 10], area=30.5),
        dict(category_id=3, bbox=[5, 5, 0, 9]),
        dict(category_id=7, bbox=[10, 5, 20, 30], attributes=dict(rotation=90)),
    ]
    return dict(
        images=[
            dict(id=10, file_name='a.jpg', width=100, height=50),
            dict(id='b', file_name='sub/Hündin b.jpg', width=64, height=64),
            dict(id=11, file_name='./a.jpg', width=100, height=50),
        ],
        annotations=[dict(box, id=i, image_id=10) for i, box in enumerate(boxes)],
        categories=[dict(id=i, name=n) for i, n in ((7, 'dog'), (3, 'cat'), (90, 'Dog'))],
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder of its own, for annotations of any size, also just written ones."""
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'a home'))
    monkeypatch.setattr(annotation_cache, 'SMALLEST', 0)
    monkeypatch.setattr(annotation_cache, 'TICK', 0)
    annotation_cache._tell.cache_clear()
    return tmp_path / 'a home/annotations'


def write(root, value=None):
    """Writes a data set."""
    for name in ('a.jpg', 'sub/Hündin b.jpg'):
        (root / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        (root / 'images' / name).touch()
    (root / 'ann.json').write_text(json.dumps(content() if value is None else value))
    return root


def age(path, seconds=60):
    then = time.time() - seconds
    os.utime(path, (then, then))


def load(root, cls=YOLOXCocoDataset, **options):
    return cls('ann.json', data_root=str(root), data_prefix=dict(img='images'), **options)


@pytest.fixture
def parsed(monkeypatch):
    """How often a COCO file was parsed."""
    from mmyolox.datasets import coco_file

    paths, parse = [], coco_file.parse
    monkeypatch.setattr(
        coco_file, 'parse', lambda content, *rest: paths.append(content.path) or parse(content, *rest)
    )
    return paths


@pytest.fixture
def lines(monkeypatch):
    found = []
    for module in ('coco', 'base', 'annotations', 'annotation_cache', 'voc'):
        monkeypatch.setattr(f'mmyolox.datasets.{module}.print_log', lambda line, *_, **__: found.append(line))
    return found


def samples(dataset):
    entries = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [{k: np.asarray(v).tolist() for k, v in entry.items()} for entry in entries]


@pytest.mark.parametrize(
    'options', [{}, dict(metainfo=dict(classes=('dog',))), dict(filter_cfg=dict(filter_empty_gt=True))]
)
def test_a_later_start_is_the_same_and_parses_nothing(tmp_path, home, parsed, lines, options):
    root = write(tmp_path)
    first = load(root, **options)
    said = list(lines)
    lines.clear()
    second = load(root, **options)
    assert parsed == [f'{root}/ann.json']
    assert lines == said
    assert sum('several entries' in line and line.endswith(': a.jpg') for line in said) == 1
    assert sum('turned by an attribute' in line for line in said) == 1
    assert samples(second) == samples(first)
    assert second.metainfo == first.metainfo
    assert second.report.state() == first.report.state()
    assert second.report.is_restored


def test_options_and_classes_have_their_own(tmp_path, home, parsed):
    root = write(tmp_path)
    both, cats = load(root), load(root, metainfo=dict(classes=('cat', 'dog')))
    assert both.get_data_info(0)['labels'].tolist() == [0, 1, 0, 0]
    assert cats.get_data_info(0)['labels'].tolist() == [1, 0, 1, 1]
    assert read_class_names(str(root / 'ann.json')) == ('dog', 'cat', 'Dog')
    assert len(parsed) == 1


def test_the_content_counts_and_not_its_place_or_date(tmp_path, home, parsed):
    root = write(tmp_path)
    load(root)
    age(root / 'ann.json', 30)
    load(root)
    copy = tmp_path / 'copy'
    shutil.copytree(root / 'images', copy / 'images')
    shutil.copy(root / 'ann.json', copy / 'ann.json')
    assert load(copy).get_data_info(0)['img_path'] == f'{copy}/images/a.jpg'
    assert load(copy).report.path == f'{copy}/ann.json'
    assert len(parsed) == 1


@pytest.mark.parametrize('is_replaced', [False, True])
def test_another_content_of_the_same_size_and_date_is_read(tmp_path, home, is_replaced):
    root = write(tmp_path)
    date = (root / 'ann.json').stat().st_mtime_ns
    load(root)
    time.sleep(0.02)  # the dates of inodes come in steps
    changed = content()
    changed['annotations'][0]['category_id'] = 3
    path = root / 'ann.json'
    (part := root / 'part').write_text(json.dumps(changed))
    if is_replaced:
        part.replace(path)
    else:
        path.write_bytes(part.read_bytes())
    os.utime(path, ns=(date, date))
    assert load(root).get_data_info(0)['labels'][0] == 1


@pytest.mark.parametrize('when', ['before it is parsed', 'after it is parsed'])
@pytest.mark.parametrize('read', [load, lambda root: read_class_names(str(root / 'ann.json'))])
def test_a_file_that_is_replaced_while_it_is_read_is_not_kept_as_the_other(
    tmp_path, home, monkeypatch, read, when
):
    from mmyolox.datasets import coco_file

    def replace(value):
        (part := root / 'part').write_text(json.dumps(value))
        part.replace(root / 'ann.json')

    def parse_beside_a_writer(*args):
        found = None if when.startswith('before') else parse(*args)
        replace(changed)
        return parse(*args) if found is None else found

    root, changed, parse = write(tmp_path), content(), coco_file.parse
    changed['annotations'][0] |= dict(bbox=[11, 5, 20, 30])
    with monkeypatch.context() as patch:
        patch.setattr(coco_file, 'parse', parse_beside_a_writer)
        read(root)
    for value, left in ((changed, 11), (content(), 10)):
        replace(value)
        assert load(root).get_data_info(0)['bboxes'][0, 0] == left


def test_what_was_just_written_is_not_told_by_its_date(tmp_path, home, monkeypatch):
    monkeypatch.setattr(annotation_cache, 'TICK', 2 * 10**9)
    root = write(tmp_path)
    stat = None
    for x in (10, 11, 12):
        changed = content()
        changed['annotations'][0]['bbox'] = [x, 5, 20, 30]
        (root / 'ann.json').write_text(json.dumps(changed))
        stat = stat or (root / 'ann.json').stat()
        os.utime(root / 'ann.json', ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert load(root).get_data_info(0)['bboxes'][0, 0] == x


def test_a_file_that_was_copied_over_another_is_read_anew(tmp_path, home, lines):
    root = write(tmp_path)
    wanted = samples(load(root))
    kept = sorted(home.glob('*.columns'))
    for path, other in zip(kept, [*kept[1:], kept[0]], strict=True):
        shutil.copyfile(other, path)
    lines.clear()
    assert samples(load(root)) == wanted
    assert sum('another file, copied over this one; what it held is read anew' in line for line in lines) > 1


@pytest.mark.parametrize('damage', ['flip', 'cut', 'empty', 'text'])
def test_what_is_damaged_is_read_anew(tmp_path, home, lines, damage):
    root = write(tmp_path)
    wanted = samples(load(root))
    for path in home.iterdir():
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 4
        changed = dict(flip=whole, cut=whole[:-1], empty=b'', text=b'[]')[damage]
        path.write_bytes(changed)
    lines.clear()
    assert samples(load(root)) == wanted
    assert sum('read anew' in line for line in lines) == 3  # the file, its entries, the dates of folders
    lines.clear()
    load(root)
    assert not any('read anew' in line for line in lines)


def test_images_are_looked_for_each_time(tmp_path, home):
    root = write(tmp_path)
    load(root)
    (root / 'images/a.jpg').unlink()
    with pytest.raises(UserError, match=r'2 of 3 images are not in .*: a\.jpg'):
        load(root)


def test_folders_are_listed_again_when_their_dates_change(tmp_path, home, monkeypatch):
    root = write(tmp_path)
    time.sleep(0.03)
    load(root)
    with monkeypatch.context() as patch:
        patch.setattr('mmyolox.datasets.listed_files._entries', None)
        load(root)
        load(root, metainfo=dict(classes=('dog',)))
    (root / 'images/a.jpg').unlink()
    with pytest.raises(UserError, match=r'2 of 3 images are not in .*: a\.jpg'):
        load(root)


def test_fields_are_read_when_they_are_asked_for(tmp_path, home, parsed):
    path = str(write(tmp_path) / 'ann.json')
    assert 'keypoints' not in read_coco(path).annotations[0]
    for _ in range(2):
        file = read_coco(path, fields=FIELDS)
        assert file.annotations[0]['keypoints'] == [1, 2, 2]
        assert ['keypoints' in one for one in file.annotations] == [True, False, False, False, False]
    assert 'keypoints' in read_coco(path).annotations[0]
    assert len(parsed) == 2


def test_a_file_at_fault_is_so_again(tmp_path, home):
    wrong = content()
    wrong['annotations'][0]['bbox'] = None
    root = write(tmp_path, wrong)
    for _ in range(2):
        assert read_class_names(str(root / 'ann.json')) == ('dog', 'cat', 'Dog')
        with pytest.raises(UserError, match="no valid 'bbox'"):
            load(root)


def test_absent_annotations_are_a_fault_again(tmp_path, home):
    without = content()
    del without['annotations']
    root = write(tmp_path, without)
    for _ in range(2):
        assert len(load(root, test_mode=True)) == 3
        with pytest.raises(UserError, match=r"no list of 'annotations' \(its keys: images, categories\)"):
            load(root)


def test_0_keeps_nothing(tmp_path, home, parsed, monkeypatch):
    monkeypatch.setenv(annotation_cache.LIMIT_VARIABLE, '0')
    root = write(tmp_path)
    assert samples(load(root)) == samples(load(root))
    assert len(parsed) == 2
    assert not home.exists()


@pytest.mark.parametrize('text', ['many', '-1', 'nan', ''])
def test_a_limit_that_is_no_number(tmp_path, home, monkeypatch, text):
    monkeypatch.setenv(annotation_cache.LIMIT_VARIABLE, text)
    with pytest.raises(UserError, match=f"MMYOLOX_ANNOTATION_CACHE='{text}': a number of GB is needed"):
        load(write(tmp_path))


def test_remote_files_are_read_each_time(tmp_path, home, parsed):
    root = write(tmp_path)
    for _ in range(2):
        load(root, backend_args=dict(backend='local'))
    assert len(parsed) == 2
    assert not home.exists()


def test_small_files_are_read_each_time(tmp_path, home, parsed, monkeypatch):
    monkeypatch.setattr(annotation_cache, 'SMALLEST', 10**6)
    root = write(tmp_path)
    for _ in range(2):
        load(root)
    assert len(parsed) == 2


def test_a_folder_that_takes_no_files_is_one_line(tmp_path, home, lines):
    home.parent.write_text('no folder')
    root = write(tmp_path)
    assert samples(load(root)) == samples(load(root))
    assert sum('are not kept for the next start' in line for line in lines) == 1


def test_a_full_disk_is_one_line(tmp_path, home, lines, monkeypatch):
    def write_half(path, arrays, info, name):
        path.write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))

    root = write(tmp_path)
    monkeypatch.setattr(annotation_cache, 'write_columns', write_half)
    assert samples(load(root)) == samples(load(root))
    assert (
        sum('No space left on device; make room' in line for line in lines) == 3
    )  # of three files, once each
    assert not [*home.glob('*.columns'), *home.glob('.*')]


def test_what_was_not_used_for_longest_goes_first(tmp_path, home, monkeypatch):
    array = dict(a=np.zeros(10**6, np.uint8))
    monkeypatch.setenv(annotation_cache.LIMIT_VARIABLE, '0.0035')
    for number in range(3):
        annotation_cache.keep(f'entry{number}', array, None)
        age(home / f'entry{number}.columns', 100 - number)
    assert annotation_cache.find('entry0') is not None  # now used last
    annotation_cache.keep('entry3', array, None)
    assert sorted(path.name[5] for path in home.iterdir()) == ['0', '2', '3']
    monkeypatch.setenv(annotation_cache.LIMIT_VARIABLE, '0.0001')
    kept = annotation_cache.keep('entry4', array, None)
    assert len(kept['a']) == 10**6
    assert [path.name for path in home.iterdir()] == ['entry4.columns']


SOURCE = """
from mmyolox.datasets import YOLOXCocoDataset
class Shifted(YOLOXCocoDataset):
    def instance_columns(self, file, indices, bboxes):
        return super().instance_columns(file, indices, bboxes + {shift})
"""


def test_another_source_of_a_data_set_is_another_key(tmp_path, home, monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr('sys.dont_write_bytecode', True)
    root, first = write(tmp_path), []
    for shift in (0, 1):
        (tmp_path / 'shifted_data_set.py').write_text(SOURCE.format(shift=shift))
        importlib.invalidate_caches()
        monkeypatch.delitem(importlib.import_module('sys').modules, 'shifted_data_set', raising=False)
        cls = importlib.import_module('shifted_data_set').Shifted
        first.append(load(root, cls).get_data_info(0)['bboxes'][0, 0])
    assert first == [10, 11]


def test_other_sources_of_ours_are_another_key(tmp_path, home, parsed, monkeypatch):
    root = write(tmp_path)
    for source in ('a', 'b', 'b'):
        monkeypatch.setattr(annotation_cache, '__file__', str(tmp_path / source / 'annotation_cache.py'))
        (tmp_path / source).mkdir(exist_ok=True)
        (tmp_path / source / 'reading.py').write_text(source)
        annotation_cache._sources.cache_clear()
        load(root)
    annotation_cache._sources.cache_clear()
    assert len(parsed) == 2


def test_a_class_without_a_source_keeps_nothing(tmp_path, home):
    cls = type('Typed', (YOLOXCocoDataset,), dict(__module__='__console__'))
    load(write(tmp_path), cls)
    assert not [path for path in home.iterdir() if path.name.startswith('entries')]


@pytest.fixture
def voc(tmp_path):
    import cv2

    pixels = cv2.imencode('.png', np.zeros((50, 100, 3), np.uint8))[1].tobytes()
    for name in 'ab':
        (tmp_path / f'{name}.png').write_bytes(pixels)
        box = '<xmin>1</xmin><ymin>0</ymin><xmax>9</xmax><ymax>200</ymax>'
        text = f'<object><name>dog</name><bndbox>{box}</bndbox></object>'
        (tmp_path / f'{name}.xml').write_text(f'<annotation>{text}</annotation>')
    return tmp_path


def test_many_small_files(voc, home, lines, monkeypatch):
    def read():
        folders = dict(img_subdir='', ann_subdir='')
        return YOLOXVOCDataset(data_root=str(voc), metainfo=dict(classes=['dog']), **folders)

    first = samples(read())
    said = list(lines)
    lines.clear()
    with monkeypatch.context() as patch:
        patch.setattr('mmyolox.datasets.voc.read_voc_xml', None)
        assert samples(read()) == first
    assert lines == said
    assert sum('2 boxes start at 0' in line for line in said) == 1
    date = (voc / 'a.xml').stat().st_mtime_ns
    time.sleep(0.02)  # the dates of inodes come in steps
    (voc / 'a.xml').write_text((voc / 'a.xml').read_text().replace('>9<', '>8<'))
    os.utime(voc / 'a.xml', ns=(date, date))
    assert samples(read())[0]['bboxes'] == [[0, 0, 7, 50]]
