"""Variables of a config that say which files are the splits, and their format."""

import json

import pytest
from mmengine.config import Config

from mmyolox.config import load_config
from mmyolox.datasets.layouts import recognise
from mmyolox.errors import UserError

CUSTOM = ['yolox_nano_fast_1xb8-50e_custom', 'yolox-pose_nano_1xb8-50e_custom']
ROBOFLOW = {split: f'{split}/_annotations.coco.json' for split in ('train', 'valid', 'test')}


@pytest.fixture
def write(tmp_path):
    """Writes COCO files of one image, which lies beside them."""

    def write_files(*files, classes=('cat', 'dog')):
        root = tmp_path / 'my data'
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).with_name('1.jpg').touch()
            content = dict(
                images=[dict(id=1, file_name='1.jpg', width=9, height=9)],
                annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 5, 5])],
                categories=[
                    dict(id=label, name=name, keypoints=['nose', 'tail'])
                    for label, name in enumerate(classes, 1)
                ],
            )
            (root / file).write_text(json.dumps(content))
        return str(root)

    return write_files


@pytest.fixture
def log(monkeypatch):
    """The lines that are logged of what is recorded."""
    lines = []
    monkeypatch.setattr('mmyolox.config.recorded.print_log', lambda line, *_: lines.append(line))
    return lines


def loaders(cfg):
    return [cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')]


def what(cfg):
    return [(one.ann_file, one.data_prefix.img, one.get('fold')) for one in loaders(cfg)]


@pytest.mark.parametrize('name', CUSTOM)
def test_an_export_needs_no_other_option(write, name):
    root = write(*ROBOFLOW.values())
    cfg = load_config(name, dict(data_root=root))
    assert what(cfg) == [(file, f'{split}/', None) for split, file in ROBOFLOW.items()]
    assert {one.type for one in loaders(cfg)} == {
        'YOLOXPoseCocoDataset' if 'pose' in name else 'YOLOXCocoDataset'
    }
    assert cfg.val_evaluator.ann_file == f'{root}/valid/_annotations.coco.json'
    assert cfg.test_evaluator.ann_file == f'{root}/test/_annotations.coco.json'
    assert cfg.classes == loaders(cfg)[0].metainfo.classes == ('cat', 'dog')
    assert [one.get('test_mode') for one in loaders(cfg)] == [None, True, True]
    assert cfg.data_layout == f'COCO (Roboflow export) in {root}'


@pytest.mark.parametrize('name', CUSTOM)
def test_one_file_is_split_and_evaluated_by_the_data_set(write, name):
    options = dict(data_root=write('result.json'), fold_count=4, fold_seed=7)
    cfg = load_config(name, options)
    fold = dict(count=4, index=0, seed=7)
    assert what(cfg) == [
        ('result.json', '', dict(fold, held_out=held_out)) for held_out in (False, True, True)
    ]
    assert cfg.val_evaluator.ann_file is cfg.test_evaluator.ann_file is None
    assert cfg.data_layout.endswith('no validation split, so that 1 image of 4 is held out (seed 7)')


TRAINED = dict(count=4, index=1, seed=7)


@pytest.mark.parametrize(
    ('options', 'fold', 'is_told'),
    [
        ({}, TRAINED, False),
        (dict(fold_index=3), TRAINED | dict(index=3), True),
        (dict(fold_seed=7), TRAINED, False),
        (dict(fold_count=2), dict(count=2, index=0, seed=0), True),
    ],
)
def test_the_fold_of_a_training_is_tested_unless_options_say_otherwise(write, log, options, fold, is_told):
    options = options | dict(data_root=write('result.json'))
    cfg = load_config(CUSTOM[0], options, dict(trained_fold=TRAINED))
    assert [one for _, _, one in what(cfg)] == [
        dict(fold, held_out=held_out) for held_out in (False, True, True)
    ]
    told = [line for line in log if 'is tested instead of' in line]
    assert [f'test_dataloader.dataset.fold: {fold} ' in line for line in told] == [True] * is_told


def test_data_with_a_validation_split_are_not_cut_by_what_is_recorded(write, log):
    cfg = load_config(CUSTOM[0], dict(data_root=write(*ROBOFLOW.values())), dict(trained_fold=TRAINED))
    assert [fold for _, _, fold in what(cfg)] == [None] * 3
    assert not [line for line in log if 'is tested instead of' in line]


@pytest.mark.parametrize('option', ['fold_count', 'fold_index', 'fold_seed'])
def test_options_that_cut_data_with_a_validation_split(write, option):
    root = write(*ROBOFLOW.values())
    message = (
        f'{option}=2 has no effect: COCO .Roboflow export. in .* has a validation split of its own; leave'
    )
    with pytest.raises(UserError, match=message):
        load_config(CUSTOM[0], {'data_root': root, option: 2})


def test_a_written_config_needs_no_recognition(write, tmp_path):
    cfg = load_config(CUSTOM[0], dict(data_root=write('train/a.json', 'test/a.json')))
    cfg.dump(tmp_path / 'dumped.py')
    (tmp_path / 'my data').rename(tmp_path / 'elsewhere')
    again = load_config(tmp_path / 'dumped.py')
    assert what(again) == what(cfg)
    assert again.to_dict() == cfg.to_dict()
    assert Config.fromfile(tmp_path / 'dumped.py').train_dataloader == cfg.train_dataloader


def test_given_files_and_folders_stay(write):
    root = write('a/train.json', 'b/val.json', 'c/other.json')
    options = dict(data_root=root, train_ann_file='c/other.json', img_prefix='pictures/')
    assert what(load_config(CUSTOM[0], options)) == [
        ('c/other.json', 'pictures/', None),
        ('b/val.json', 'pictures/', None),
        ('b/val.json', 'pictures/', None),
    ]


@pytest.mark.parametrize('is_option', [True, False])
def test_the_home_folder_is_that_of_the_user(write, tmp_path, monkeypatch, is_option):
    write(*ROBOFLOW.values())
    monkeypatch.setenv('HOME', str(tmp_path))
    values = dict(data_root='~/my data', test_ann_file='~/my data/valid/_annotations.coco.json')
    text = ''.join(f'{name} = {value!r}\n' for name, value in values.items() if not is_option)
    (tmp_path / 'mine.py').write_text(f"_base_ = 'mmyolox::yolox/{CUSTOM[0]}.py'\n{text}")
    cfg = load_config(tmp_path / 'mine.py', values if is_option else {})
    root = f'{tmp_path}/my data'
    assert [cfg.data_root, *(one.data_root for one in loaders(cfg))] == [root] * 4
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == f'{root}/valid/_annotations.coco.json'
    assert '~' not in cfg.pretty_text


@pytest.mark.parametrize('function', ['listdir', 'lstat'])
def test_a_folder_that_may_not_be_read_is_told(write, monkeypatch, function):
    root = write('a.json')

    def refuse(*_, **__):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(f'os.{function}', refuse)
    with pytest.raises(UserError, match=r'my data cannot be read \(Permission denied\): change its rights'):
        recognise(root)


def test_a_known_model_needs_no_data(tmp_path):
    options = dict(data_root=str(tmp_path / 'absent'))
    ours = [(f'annotations/{split}.json', 'images/', None) for split in ('train', 'val', 'val')]
    assert what(load_config(CUSTOM[0], options, dict(classes=['cat']))) == ours
    assert what(load_config(CUSTOM[0], options | dict(classes=['cat']))) == ours
    files = {f'{split}_ann_file': f'/nowhere/{split}.json' for split in ('train', 'val')}
    with pytest.raises(UserError, match=r'annotation file /nowhere/train.json not found'):
        load_config(CUSTOM[0], options | files)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(data_format='coc'), 'data_format=coc: this config reads coco'),
        (dict(data_root='s3://bucket'), 'data_root=s3://bucket: only folders of this machine are searched'),
        (dict(data_root='a' * 5000), 'data_root=a.*: there is no such folder'),
        (dict(data_root='a\0b'), 'there is no such folder'),
        (dict(data_root='/nowhere'), 'data_root=/nowhere: there is no such folder'),
        (dict(train_ann_file=['a.json']), r"config key train_ann_file=\['a.json'\]: it must be a path"),
        (dict(fold_count=1), r'fold=.*: count must be at least 2'),
    ],
)
def test_mistakes_are_told_before_anything_is_built(write, options, message):
    with pytest.raises(UserError, match=message):
        load_config(CUSTOM[0], dict(data_root=write('a.json')) | options)
