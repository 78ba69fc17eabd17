"""tools/analysis_tools/doctor.py: what it reads, writes and answers."""

import json
import shutil
import subprocess
import sys

import pytest

from mmyolox.errors import UserError
from tests.doctor.plants import PLANTS
from tests.doctor.small_set import write_set
from tests.tools.tool_loading import TOOLS, load_tool

tool = load_tool('analysis_tools/doctor.py')


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs the tool; its exit status, and what it printed."""

    def called(*args):
        monkeypatch.setattr(sys, 'argv', ['doctor.py', *map(str, args)])
        status = tool.main()
        return status, capsys.readouterr().out

    return called


@pytest.fixture
def small(tmp_path):
    return write_set(tmp_path / 'set')


def test_a_clean_data_set_has_status_0(call, small):
    status, printed = call(small.root, '--img-scale', '320')
    assert status == 0
    assert 'input     320 x 320' in printed
    assert 'nothing found' in printed or 'error' not in printed


@pytest.mark.parametrize(('ignored', 'status'), [([], 1), (['--ignore', 'box-outside'], 0)])
def test_an_error_has_status_1_unless_it_is_ignored(call, small, ignored, status):
    PLANTS['box-outside'].plant(small)
    found, printed = call(small.root, '--img-scale', '320', '240', *ignored)
    assert found == status
    assert ('error box-outside' in printed) is bool(status)


def test_headers_alone_are_enough(call, small):
    PLANTS['image-truncated'].plant(small)
    assert call(small.root)[0] == 1
    status, printed = call(small.root, '--headers')
    assert status == 0
    assert 'left out for want of the pixels' in printed


def test_json_and_a_page_are_written(call, small, tmp_path):
    pytest.importorskip('altair')
    pytest.importorskip('vl_convert')
    PLANTS['box-outside'].plant(small)
    call(small.root, '--json', tmp_path / 'new/found.json', '--html', tmp_path / 'new/found.html')
    content = json.loads((tmp_path / 'new/found.json').read_text())
    assert content['findings'][0]['name'] == 'box-outside'
    html = (tmp_path / 'new/found.html').read_text()
    assert 'box-outside' in html
    assert html.rstrip().endswith('</html>')


@pytest.mark.parametrize('how', ['link', 'copy'])
def test_a_cleaned_copy_is_written(call, small, tmp_path, how):
    PLANTS['box-outside'].plant(small)
    PLANTS['class-without-box'].plant(small)
    status, printed = call(small.root, '--fix', tmp_path / 'clean', '--images', how)
    assert status == 1
    assert f'fixed     {tmp_path / "clean"}: box-outside 1; see changes.txt there\n' in printed
    assert 'class-without-box' in printed.splitlines()[-1]
    assert (tmp_path / 'clean/images/train/train_01.jpg').is_symlink() is (how == 'link')
    assert call(tmp_path / 'clean')[0] == 0
    with pytest.raises(UserError, match='in use'):
        call(small.root, '--fix', tmp_path / 'clean')


def test_a_cleaned_copy_that_is_no_data_set_is_told(call, small, tmp_path):
    file = small.root / 'annotations/val.json'
    printed = call(file, '--img-dir', small.root / 'images', '--fix', tmp_path / 'val')[1]
    own = tmp_path / 'val/annotations/val.json'
    assert printed.splitlines()[-1] == f'note      it has no split train; examine it by {own}'
    assert call(own)[0] == 0
    printed = call(file, '--img-dir', tmp_path / 'none', '--fix', tmp_path / 'lost')[1]
    assert printed.splitlines()[-1] == 'note      no image is left, so that there are no data in it'


def test_a_config_says_what_is_planned(call, small):
    options = [f'data_root={small.root}/', 'img_scale=(416,320)', 'max_epochs=1']
    status, printed = call('yolox_nano', '--cfg-options', *options)
    assert status == 0
    assert 'input     416 x 320' in printed
    assert 'training-too-short' in printed


def test_a_folder_takes_options_of_the_usual_config(call, small):
    (small.root / 'annotations' / 'train.json').rename(small.root / 'annotations' / 'all_train.json')
    file = small.root / 'annotations' / 'my_train.json'
    file.write_text((small.root / 'annotations' / 'all_train.json').read_text())
    with pytest.raises(UserError, match='choose one: COCO by train_ann_file='):
        call(small.root)
    status, printed = call(small.root, '--cfg-options', f'train_ann_file={file}', 'img_scale=(416,416)')
    assert status == 0
    assert 'input     416 x 416' in printed
    assert f'24 images, 96 boxes  (coco: {file})' in printed


def test_an_annotation_file_is_enough(call, small):
    printed = call(small.root / 'annotations/val.json', '--img-dir', small.root / 'images')[1]
    assert 'val       8 images, 32 boxes' in printed


def test_what_else_lies_in_the_folder_is_told_with_how_to_examine_it(call, small):
    for split in ('train', 'val'):
        shutil.copytree(small.root / 'images', small.root / 'images' / split)
        (small.root / 'labels' / split).mkdir(parents=True)
        for number in range(1, 9):
            path = small.root / 'labels' / split / f'{split}_{number:02}.txt'
            path.write_text('0 0.5 0.5 0.2 0.2\n1 0.2 0.2 0.1 0.1\n')
    (small.root / 'data.yaml').write_text('train: images/train\nval: images/val\nnames: [cat, dog, bird]\n')
    for args in ([small.root], ['yolox_s', '--cfg-options', f'data_root={small.root}/']):
        printed = call(*args, '--headers')[1]
        assert '(coco: ' in printed
        assert 'note layout-passed-over: Data sets of other formats' in printed
        told = f'YOLO in {small.root}: coco was examined; this one is by --cfg-options data_format=yolo'
        assert told in printed
    printed = call(small.root, '--headers', '--cfg-options', 'data_format=yolo')[1]
    assert '(yolo: ' in printed
    assert 'layout-passed-over' not in printed


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['SET', '--ignore', 'box-outsid'], 'no such check; did you mean box-outside'),
        (['SET', '--img-dir', 'photos'], 'for an annotation file of COCO'),
        (['SET', '--img-scale', '0'], 'width and height'),
        (['SET', '--img-scale', '1', '2', '3'], 'width and height'),
        (['SET/annotations/val.json', '--cfg-options', 'max_epochs=3'], '--cfg-options is for a config'),
        (['SET', '--fix', 'SET/clean'], 'in the data themselves'),
        (['SET', '--json', 'SET'], 'cannot be written'),
        (['SET', '--shown', '-1'], '--shown -1: give the number of cases'),
        (['SET/lost.json'], 'lost.json: there is no such annotation file'),
        (['SET/lost'], 'there is no folder .*lost, and config .*lost does not exist'),
        (['SET/data.zip'], 'data.zip is no config, nor an annotation file of COCO: unpack it'),
        (['SET/images/train_01.jpg'], 'nor an annotation file of COCO: name its folder, .*images'),
        (['SET/data.yaml'], 'describes a data set of YOLO; name its folder, .*set$'),
        (['no_such_config'], 'does not exist'),
    ],
)
def test_mistakes_are_one_line(call, small, args, message):
    (small.root / 'data.zip').write_bytes(b'PK')
    (small.root / 'data.yaml').write_text('train: images\nnames: [cat]\n')
    with pytest.raises(UserError, match=message.replace('?', '\\?')):
        call(*(arg.replace('SET', str(small.root)) for arg in args))


@pytest.mark.parametrize(
    ('args', 'status', 'told'),
    [
        (['SET', '--headers'], 1, 'error box-outside'),
        (['SET', '--headers', '--ignore', 'box-outside'], 0, 'note'),
        (['SET/lost'], 2, 'error: there is no folder'),
        (['SET', '--headers', '--json', 'SET'], 2, 'cannot be written'),
        (['SET/images'], 2, 'error: data_root='),
        (['SET', '--epochs', '3'], 2, 'error:'),
        (['SET', '--no-such-option'], 2, 'error:'),
        (['--help'], 0, 'exit status: 0 if no error is found in the data, 1 if there is one, 2 if'),
    ],
)
def test_a_wrong_call_has_another_status_than_errors_in_the_data(small, args, status, told):
    PLANTS['box-outside'].plant(small)
    words = [arg.replace('SET', str(small.root)) for arg in args]
    command = [sys.executable, TOOLS / 'analysis_tools/doctor.py', *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    assert told in ' '.join((ended.stdout + ended.stderr).split())
