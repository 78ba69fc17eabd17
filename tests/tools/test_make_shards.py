"""A data set becomes shards: nothing is lost, bytes are the same each time, what cannot be read is named."""

import gzip
import io
import json
import tarfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.datasets.canvas.images import read_file
from mmyolox.datasets.shards import Member, index_path, parse_index
from mmyolox.doctor.files import FileState, read_facts
from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from tests.datasets.small_sets import write_coco
from tests.tools.small_files import write_image, write_text
from tests.tools.tool_loading import load_tool

make_shards = load_tool('dataset_converters/make_shards.py')

COUNT = 150


def move(root):
    """Puts what `write_coco` made where it is recognised."""
    (root / 'annotations').mkdir()
    content = json.loads((root / 'ann.json').read_text())
    train, val = content['images'][:-10], content['images'][-10:]
    for split, images in (('train', train), ('val', val)):
        ids = {image['id'] for image in images}
        own = [dict(one, area=7.5) for one in content['annotations'] if one['image_id'] in ids]
        (root / f'annotations/{split}.json').write_text(
            json.dumps(content | dict(images=images, annotations=own))
        )
    (root / 'ann.json').unlink()
    return root


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return move(write_coco(tmp_path_factory.mktemp('source'), COUNT, empty=(3,)))


@pytest.fixture
def packed(run, source, tmp_path):
    text = run(make_shards, source, tmp_path / 'out', '--images-per-shard', 64)
    assert text.splitlines()[:2] == ['train.json: 140 images, 417 boxes', 'val.json: 10 images, 30 boxes']
    return tmp_path / 'out'


def read(root, split):
    return json.loads((root / f'annotations/{split}.json').read_text())


def by_image(content, key):
    """Objects by an image's key."""
    names = {image['id']: key(image) for image in content['images']}
    found = {name: [] for name in names.values()}
    for one in content['annotations']:
        found[names[one['image_id']]].append(one)
    return found


def test_nothing_is_lost(source, packed):
    files = sorted(path.name for path in (packed / 'images').iterdir())
    shards = ['train-000000', 'train-000001', 'train-000002', 'val-000000']
    assert files == [f'{shard}{suffix}' for shard in shards for suffix in ('.idx', '.tar')]
    for split in ('train', 'val'):
        ours, theirs = read(packed, split), read(source, split)
        assert ours['categories'] == theirs['categories']
        assert by_image(ours, lambda image: image['id']) == by_image(theirs, lambda image: image['id'])
        names = {image['id']: image['file_name'] for image in theirs['images']}
        for image in ours['images']:
            name = names[image['id']]
            assert image['file_name'].endswith(f'.tar/{name}')
            assert (
                read_file(f'{packed}/images/{image["file_name"]}') == (source / 'images' / name).read_bytes()
            )


def test_shards_stand_for_themselves(source, packed):
    boxes = by_image(read(source, 'train'), lambda image: image['file_name'])
    found, places = {}, {}
    for shard in sorted((packed / 'images').glob('train*.tar')):
        with tarfile.open(shard) as tar:
            infos = list(tar)
            pairs = zip(infos[::2], infos[1::2], strict=True)
            for image, text in pairs:
                assert image.name.removesuffix('.png') == text.name.removesuffix('.json')
                found[image.name] = json.load(tar.extractfile(text))
            places = {info.name: Member(info.offset_data, info.size) for info in infos}
        assert parse_index(Path(index_path(str(shard))).read_text()) == places
        assert len(infos) == 2 * min(64, 140 - 64 * int(shard.stem[-1]))
    names = dict(enumerate('abc'))
    for name, objects in boxes.items():
        assert found[name]['annotations'] == [
            dict(one, category=names[one['category_id']]) for one in objects
        ]
        assert found[name]['file_name'] == name


def test_images_stand_in_the_order_of_their_shards(packed):
    names = [image['file_name'] for image in read(packed, 'train')['images']]
    assert [name.partition('/')[0] for name in names] == sorted(name.partition('/')[0] for name in names)
    members = list(parse_index((packed / 'images/train-000001.idx').read_text()))
    assert [f'train-000001.tar/{name}' for name in members[::2]] == names[64:128]
    numbers = [int(name.partition('/')[2][:-4]) for name in names]
    assert sorted(numbers) == list(range(140)) != numbers


def test_the_same_data_give_the_same_bytes(run, source, packed, tmp_path):
    options = ['--images-per-shard', 64]
    run(make_shards, source, tmp_path / 'again', *options)
    run(make_shards, source, tmp_path / 'other', *options, '--seed', 1)

    def contents(name):
        root = tmp_path / name
        return {path.relative_to(root): path.read_bytes() for path in root.rglob('*.*') if path.is_file()}

    assert contents('out') == contents('again')
    assert contents('out').keys() == contents('other').keys()
    assert contents('out') != contents('other')


def test_shards_train_as_the_files_did(source, packed):
    def entries(root):
        dataset = YOLOXCocoDataset(
            data_root=str(root),
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
            pipeline=[],
        )
        return {dataset[i]['img_id']: dataset[i] for i in range(len(dataset))}

    ours, theirs = entries(packed), entries(source)
    assert ours.keys() == theirs.keys()
    for key, entry in theirs.items():
        assert np.array_equal(ours[key]['bboxes'], entry['bboxes'])
        assert np.array_equal(ours[key]['labels'], entry['labels'])
        assert ours[key]['img_path'].endswith(f'.tar/{entry["img_path"].rpartition("/")[2]}')


def test_the_doctor_reads_members(packed):
    facts = read_facts(f'{packed}/images/{read(packed, "train")["images"][0]["file_name"]}')
    assert facts.state is FileState.READABLE
    assert facts.type_name == 'PNG'


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (
            lambda images: (images / 'train-000001.tar').unlink(),
            r'64 of 140 images are not in .*train-000001.tar',
        ),
        (
            lambda images: (images / 'train-000001.idx').write_text('v1.2 0\n'),
            r'64 of 140 images are not in .*train-000001.tar',
        ),
    ],
)
def test_what_is_absent_is_named_before_training(packed, damage, message):
    damage(packed / 'images')
    with pytest.raises(UserError, match=message):
        YOLOXCocoDataset(
            data_root=str(packed),
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
            pipeline=[],
        )


def test_other_formats_are_taken(run, tmp_path):
    for split, name in (('train', 'a.b'), ('train', 'c d'), ('val', 'e')):
        write_image(tmp_path / f'yolo/images/{split}/{name}.JPG')
        write_text(tmp_path / f'yolo/labels/{split}/{name}.txt', '1 0.5 0.5 0.25 0.5\n')
    write_text(tmp_path / 'yolo/data.yaml', 'names: [cat, dog]\ntrain: images/train\nval: images/val\n')
    run(make_shards, tmp_path / 'yolo', tmp_path / 'out')
    content = read(tmp_path / 'out', 'train')
    assert sorted(image['file_name'] for image in content['images']) == [
        'train-000000.tar/images/train/a_b.jpg',
        'train-000000.tar/images/train/c_d.jpg',
    ]
    assert [one['name'] for one in content['categories']] == ['cat', 'dog']
    assert [(one['category_id'], one['bbox']) for one in content['annotations']] == [(1, [15, 5, 10, 10])] * 2


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['a.jpg', 'b/a.jpg', 'a.png'], ['a.jpg', 'b/a.jpg', 'a_2.png']),
        (['x.rf.01.jpg', 'x_rf_01.JPG'], ['x_rf_01.jpg', 'x_rf_01_2.jpg']),
        (['/data/a b.jpg', '../c.jpg', 'd\\e.jpg'], ['data/a_b.jpg', 'c.jpg', 'd/e.jpg']),
        (['ä.jpg', '\udcff.jpg', '.jpg'], ['ä.jpg', '_.jpg', '_jpg']),
    ],
)
def test_names_are_those_that_webdataset_reads(names, expected):
    used = set()
    assert [make_shards.member_name(name, used) for name in names] == expected


def test_images_that_cannot_be_read_are_left_out(run, tmp_path):
    source = move(write_coco(tmp_path / 'source', 20, broken=(2,)))
    text = run(make_shards, source, tmp_path / 'out')
    assert text.splitlines()[0].startswith(f'skipped: {source}/images/2.png: ')
    assert 'train.json: 9 images, 27 boxes' in text
    assert '2.png' not in str(read(tmp_path / 'out', 'train'))


def test_all_or_nothing(run, source, tmp_path, monkeypatch):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/mine').touch()
    with pytest.raises(UserError, match='out: already exists; remove it or choose another folder'):
        run(make_shards, source, tmp_path / 'out')
    with pytest.raises(UserError, match='--images-per-shard 100: it must be a multiple of 64'):
        run(make_shards, source, tmp_path / 'new', '--images-per-shard', 100)

    def fail(*args):
        raise UserError('the disk is full')

    monkeypatch.setattr(make_shards, 'write_shard', fail)
    with pytest.raises(UserError, match='the disk is full'):
        run(make_shards, source, tmp_path / 'new')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out']


# Shards of others.


def write_foreign(path, samples):
    """A shard as WebDataset's ShardWriter and tarp write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for name, content in samples:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime, info.uname = 1700000000, 'somebody'
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def foreign(tmp_path):
    write_image(tmp_path / 'a.jpg')
    image = (tmp_path / 'a.jpg').read_bytes()
    dog = dict(bbox=[1, 2, 10, 5.5], category='dog')
    cat = dict(bbox=[-3, 2, 10, 5], category='cat', iscrowd=1)
    samples = [
        ('x/0001.jpg', image),
        ('x/0001.json', json.dumps(dict(annotations=[dog, cat], caption='any')).encode()),
        ('x/0002.json', json.dumps(dict(annotations=[])).encode()),  # the JSON file may come first
        ('x/0002.jpg', image),
    ]
    write_foreign(tmp_path / 'tars/train-0.tar', samples)
    write_foreign(
        tmp_path / 'tars/val-0.tar',
        [
            ('0.jpg', image),
            ('0.json', json.dumps(dict(annotations=[dog])).encode()),
            ('1.jpg', image),
            ('2.jpg', image),
            ('2.json', b'no json'),
            ('3.jpg', b'no image'),
            ('3.json', json.dumps(dict(annotations=[dog])).encode()),
            ('4.jpg', image),
            ('4.json', json.dumps(dict(boxes=[dog])).encode()),
            ('5.jpg', image),
            ('5.json', json.dumps(dict(annotations=[dict(bbox=[1, 2, 3], category='dog')])).encode()),
        ],
    )
    return tmp_path / 'tars'


def test_shards_of_others(run, foreign, tmp_path):
    lines = run(make_shards, foreign, tmp_path / 'out').splitlines()
    assert [line.partition(' (')[0] for line in lines[:-4]] == [
        f'skipped: {foreign}/val-0.tar/1.jpg: it has no JSON file beside it, skipped',
        f'skipped: {foreign}/val-0.tar/2.jpg: Expecting value: line 1 column 1',
        f'skipped: {foreign}/val-0.tar/3.jpg: no size found in its header, skipped',
        f'skipped: {foreign}/val-0.tar/4.jpg: its JSON file has no list `annotations`, skipped',
        f'skipped: {foreign}/val-0.tar/5.jpg: an object of its JSON file has no `bbox` of four numbers, or '
        'no `category`, the name, skipped',
    ]
    assert lines[-3:-1] == [
        'train.json: 2 images, 2 boxes (cat 1, dog 1)',
        'val.json: 1 image, 1 box (cat 0, dog 1)',
    ]
    content = read(tmp_path / 'out', 'train')
    assert content['images'] == [
        dict(id=1, file_name='train-0.tar/x/0001.jpg', width=40, height=20),
        dict(id=2, file_name='train-0.tar/x/0002.jpg', width=40, height=20),
    ]
    assert [
        (one['image_id'], one['category_id'], one['bbox'], one['iscrowd']) for one in content['annotations']
    ] == [
        (1, 2, [1, 2, 10, 5.5], 0),
        (1, 1, [0, 2, 7, 5], 1),
    ]
    assert sorted(path.name for path in foreign.iterdir()) == [
        'train-0.idx',
        'train-0.tar',
        'val-0.idx',
        'val-0.tar',
    ]
    assert read_file(f'{tmp_path}/out/images/train-0.tar/x/0001.jpg') == (tmp_path / 'a.jpg').read_bytes()


def test_damaged_shards_of_others_are_named(run, foreign, tmp_path):
    path = foreign / 'train-0.tar'
    content = bytearray(path.read_bytes())
    content[0] ^= 4
    path.write_bytes(content)
    (foreign / 'train-1.tar').write_bytes(b'no tar file')
    text = run(make_shards, foreign, tmp_path / 'out')
    assert f'skipped: {foreign}/train-1.tar: no tar file' in text
    assert 'shards with damage or links; what was found in them was taken: 1 (' in text
    assert f'{path}: a header is damaged at byte 0' in text
    assert [image['file_name'] for image in read(tmp_path / 'out', 'train')['images']] == [
        'train-0.tar/x/0002.jpg'
    ]


@pytest.mark.parametrize(
    'text',
    [
        b'[' * 100_000,
        b'{"annotations": [{"bbox": [1, 2, 3, 1' + b'0' * 400 + b'], "category": "dog"}]}',
        b'{"annotations": [{"bbox": [1, 2, 3, 1' + b'0' * 5000 + b'], "category": "dog"}]}',
    ],
    ids=['nested', 'beyond-floats', 'beyond-integers'],
)
def test_json_files_that_python_cannot_hold_are_named(run, foreign, tmp_path, text):
    image = (tmp_path / 'a.jpg').read_bytes()
    write_foreign(foreign / 'train-1.tar', [('a.jpg', image), ('a.json', text)])
    assert f'skipped: {foreign}/train-1.tar/a.jpg: ' in run(make_shards, foreign, tmp_path / 'out')
    assert len(read(tmp_path / 'out', 'train')['images']) == 2


def test_of_several_images_of_a_sample_that_of_the_json_file_is_taken(run, foreign, tmp_path):
    image = (tmp_path / 'a.jpg').read_bytes()
    text = json.dumps(dict(annotations=[dict(bbox=[1, 2, 3, 4], category='dog')])).encode()
    samples = [('a.jpg', image), ('a.seg.png', image), ('a.json', text), ('a.info.json', b'{}')]
    samples += [('b.left.jpg', image), ('b.right.jpg', image), ('b.json', text)]
    samples += [('c.view.jpg', image), ('c.json', text)]
    write_foreign(foreign / 'train-0.tar', samples)
    lines = run(make_shards, foreign, tmp_path / 'out').splitlines()
    names = [image['file_name'] for image in read(tmp_path / 'out', 'train')['images']]
    assert names == ['train-0.tar/a.jpg', 'train-0.tar/c.view.jpg']
    for name in ('a.seg.png', 'b.left.jpg', 'b.right.jpg'):
        (line,) = [line for line in lines if name in line]
        assert 'its sample has several images, and no JSON file is called like this one' in line


def test_compressed_shards_and_links_are_named(run, foreign, tmp_path):
    (foreign / 'train-1.tar.gz').write_bytes(gzip.compress((foreign / 'train-0.tar').read_bytes()))
    with tarfile.open(foreign / 'val-0.tar', 'a') as tar:
        info = tarfile.TarInfo('linked.jpg')
        info.type, info.linkname = tarfile.LNKTYPE, '0.jpg'
        tar.addfile(info)
    text = run(make_shards, foreign, tmp_path / 'out')
    assert f'skipped: {foreign}/train-1.tar.gz: it is compressed' in text
    assert f'{foreign}/val-0.tar: linked.jpg is a link, which is not followed' in text
    for path in [*foreign.glob('*.tar'), *foreign.glob('*.idx')]:
        path.unlink()
    with pytest.raises(UserError, match=r'no usable object in its shards \(.*tar\.gz: it is compressed'):
        run(make_shards, foreign, tmp_path / 'other')


def test_a_download_beside_a_data_set_is_no_shard(run, source, packed, tmp_path):
    archive = source / 'download.tar.gz'
    archive.write_bytes(b'any')
    run(make_shards, source, tmp_path / 'again', '--images-per-shard', 64)
    archive.unlink()
    assert read(tmp_path / 'again', 'train') == read(packed, 'train')


@pytest.mark.parametrize(
    ('out', 'options', 'message'),
    [
        ('inner/shards', [], 'is in .*: choose a folder beside it'),
        ('../out', ['--seed', -1], '--seed -1: it must be a number from 0 on'),
        ('../out', ['--images-per-shard', 63], 'it must be a multiple of 64'),
    ],
)
def test_wrong_options_write_nothing(run, source, out, options, message):
    before = sorted(source.parent.rglob('*'))
    with pytest.raises(UserError, match=message):
        run(make_shards, source, source / out, *options)
    assert sorted(source.parent.rglob('*')) == before


@pytest.mark.parametrize('paths', [('s3://bucket/set', 'out'), ('set', 's3://bucket/out')])
def test_an_address_of_a_storage_is_no_folder(run, tmp_path, monkeypatch, capsys, paths):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run(make_shards, *paths)
    address = next(path for path in paths if '://' in path)
    assert f'{address}: only folders of this machine' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_shards_without_an_object(run, tmp_path):
    write_foreign(tmp_path / 'tars/0.tar', [('a.txt', b'text')])
    with pytest.raises(UserError, match=r'tars: no usable object in its shards \(they have none\)'):
        run(make_shards, tmp_path / 'tars', tmp_path / 'out')


def test_shards_without_an_index_are_read(run, foreign, tmp_path, monkeypatch):
    image, text = (tmp_path / 'a.jpg').read_bytes(), b'{"annotations": []}'
    write_foreign(foreign / 'train-1.tar', [('./a b.jpg', image), ('./a b.json', text)])

    @contextmanager
    def refuse(path):
        if Path(path).name == 'train-0.idx':
            raise UserError(f'{path} cannot be written: Read-only file system')
        with atomic_write(path) as part:
            yield part

    monkeypatch.setattr(make_shards, 'atomic_write', refuse)
    lines = run(make_shards, foreign, tmp_path / 'out').splitlines()
    (note,) = [line for line in lines if 'shards without an index' in line]
    assert 'train-0.idx cannot be written: Read-only file system' in note
    assert "train-1.tar: the name './a b.jpg' has a blank in it" in note
    assert [path.name for path in sorted(foreign.glob('*.idx'))] == ['val-0.idx']
    dataset = YOLOXCocoDataset(
        data_root=str(tmp_path / 'out'),
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/'),
        pipeline=[],
    )
    assert [read_file(dataset[index]['img_path']) for index in range(3)] == [image] * 3
