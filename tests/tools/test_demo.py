"""tools/demo.py without its training: what it shows of a log, its table, and its end."""

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmyolox.config.find import find_config
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

demo = load_tool('demo.py')

PREFIX = '11/20 12:00:00 - mmengine - INFO - '


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        (
            'Epoch(train)  [7][20/25]  base_lr: 1.0000e-04 lr: 1.0000e-04  eta: 0:02:07  time: 1.4  '
            'data_time: 0.03  loss: 10.8700  loss_cls: 1.5504  loss_bbox: 3.8902',
            '    epoch  7, 20/25: loss 10.870, 0:02:07 left',
        ),
        (
            'Epoch(train) [12][  5/125]  lr: 1.0000e-04  eta: 1 day, 0:00:07  t: 1  loss: 0.5  loss_obj: 1',
            '    epoch 12,  5/125: loss  0.500, 1 day, 0:00:07 left',
        ),
        (
            'Epoch(val) [5][4/4]    coco/bbox_mAP: 0.4120  coco/bbox_mAP_50: 0.8010  coco/bbox_mAP_75: 0.3',
            '    validation: AP 0.412, AP50 0.801',
        ),
        ('Saving checkpoint at 5 epochs', None),
        ('Epoch(val) [5][4/4]', None),
    ],
)
def test_progress(line, expected):
    assert demo.progress(PREFIX + line) == expected


def test_progress_of_keypoints():
    figures = (
        'keypoints_mAP: 0.3120  coco/keypoints_mAP_50: 0.5010  coco/bbox_mAP: 0.4  coco/bbox_mAP_50: 0.8'
    )
    line = f'{PREFIX}Epoch(val) [5][4/4]    coco/{figures}'
    assert demo.progress(line, 'keypoints') == '    validation: keypoint AP 0.312, AP50 0.501'
    assert demo.progress(line) == '    validation: AP 0.400, AP50 0.800'


@pytest.mark.parametrize(
    ('metric', 'title'),
    [('bbox_mAP', 'AP'), ('bbox_mAP_50', 'AP50'), ('keypoints_mAP', 'keypoint AP'), ('mask_mAP', 'mask AP')],
)
def test_titles_of_metrics(metric, title):
    assert demo.short_title(metric) == title


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a tool into an empty repository."""
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / 'tool.py').write_text(text)
        return 'tool.py'

    return write


def test_lines_of_a_tool(script, capsys):
    tool = script('import sys; print(sys.argv[1]); print("two", file=sys.stderr)')
    assert sorted(demo.run(tool, 'a b')) == ['a b', 'two']
    assert capsys.readouterr().out == "    python tool.py 'a b'\n"


def test_a_tool_that_fails_shows_its_last_lines(script, capsys):
    tool = script('for i in range(99): print("line", i)\nraise SystemExit(3)')
    with pytest.raises(UserError, match=r'tool.py ended with status 3'):
        list(demo.run(tool))
    shown = capsys.readouterr().err.splitlines()
    assert (shown[0], shown[-1], len(shown)) == ('line 84', 'line 98', 15)


METRICS = {
    'coco/bbox_mAP': 0.7,
    'coco/bbox_mAP_50': 0.95,
    'coco/bbox_mAP_75': 0.8,
    'coco/disk_precision': 0.7,
}


def test_the_newest_evaluation_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, 'run', lambda *_: iter(['log', '+--+', '| disk |', '+--+', 'log']))
    for run, metrics in (('20250102', METRICS), ('20250101', {})):
        (tmp_path / 'test' / run).mkdir(parents=True)
        (tmp_path / 'test' / run / f'{run}.json').write_text(json.dumps(metrics))
    metrics, table = demo.evaluate('config', 'w.pth', Path('data'), Path('test'), 'bbox')
    assert metrics['bbox_mAP_50'] == 0.95
    assert table.splitlines() == [
        'bbox_mAP     0.700', 'bbox_mAP_50  0.950', 'bbox_mAP_75  0.800', '+--+', '| disk |', '+--+'
    ]  # fmt: skip


def test_a_training_is_followed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    called = []
    log = f'{PREFIX}Epoch(val) [5][4/4]    coco/keypoints_mAP: 0.3  coco/keypoints_mAP_50: 0.5'
    monkeypatch.setattr(demo, 'run', lambda *words: called.append(words) or iter(['log', log]))
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work/last_checkpoint').write_text('work/epoch_3.pth\n')
    checkpoint = demo.train('config', Path('here/data'), Path('work'), 'keypoints')
    assert checkpoint == Path('work/epoch_3.pth')
    assert called[0][:2] == ('tools/train.py', 'config')
    assert 'data_root=here/data/' in called[0]
    assert capsys.readouterr().out == '    validation: keypoint AP 0.300, AP50 0.500\n'


def test_a_sheet_of_the_first_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, 'run', lambda *_: iter(()))
    (tmp_path / 'out').mkdir()
    for number in range(20):
        cv2.imwrite(str(tmp_path / f'out/{number:02}.png'), np.full((10, 20, 3), number, np.uint8))
    assert demo.draw('config', 'w.pth', Path('images'), Path('out'), 16) == Path('out.jpg')
    sheet = cv2.imread(str(tmp_path / 'out.jpg'))
    assert sheet.shape == (70, 110, 3)
    assert sheet[-8, -8].max() <= 17


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """Replaces the steps; returns the metrics that the evaluation finds."""
    metrics = {'bbox_mAP_50': 0.9, 'keypoints_mAP': 0.81}
    monkeypatch.chdir(tmp_path)
    for name in ('make_data', 'plot'):
        monkeypatch.setattr(demo, name, lambda *_: None)
    monkeypatch.setattr(demo, 'train', lambda *_: Path('w.pth'))
    monkeypatch.setattr(demo, 'draw', lambda _config, _weights, _images, out, _count: out.with_suffix('.jpg'))
    monkeypatch.setattr(demo, 'evaluate', lambda *_: (metrics, 'the table'))
    for name in ('demo', 'demo-pose'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '.demo').touch()
    return metrics


def test_the_end_tells_where_things_are_and_what_comes_next(steps, run, tmp_path):
    (tmp_path / 'demo/of_the_user').touch()
    printed = run(demo)
    for text in (
        'AP50 0.900',
        'demo/curves.png',
        'demo/predictions.jpg',
        'demo/ap.txt',
        'w.pth',
        'the table',
    ):
        assert text in printed
    config, option = printed.split()[-3::2]
    assert find_config(config).is_file()
    assert option == 'data_root=my_data'
    assert (tmp_path / 'demo/ap.txt').read_text() == 'the table\n'
    assert (tmp_path / 'demo/of_the_user').exists()


def test_a_folder_of_the_user_is_left_alone(steps, run, tmp_path):
    (tmp_path / 'mine/data').mkdir(parents=True)
    with pytest.raises(UserError, match='--out mine: what this folder holds is not from a demo'):
        run(demo, '--out', 'mine')
    assert (tmp_path / 'mine/data').exists()


def test_a_folder_that_cannot_be_made_is_named(steps, run, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='file/demo cannot be written: Not a directory; name another folder'):
        run(demo, '--out', 'file/demo')


def test_results_are_in_the_current_folder(script, run, tmp_path, monkeypatch):
    script('print("made")')
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert list(demo.run('tool.py')) == ['made']
    demo.clear(Path('demo'))
    assert (tmp_path / 'elsewhere/demo').is_dir()


def test_too_low_an_ap_is_an_error(steps, run):
    steps['bbox_mAP_50'] = 0.899
    with pytest.raises(UserError, match=r'AP50 0.899 is below 0.9'):
        run(demo)


def make_target(name):
    """The words after ``tools/demo.py`` in a target of the Makefile."""
    makefile = (demo.ROOT / 'Makefile').read_text().replace('\\\n', ' ')
    return shlex.split(re.search(rf'^{name}:.*\n\t\S+ tools/demo\.py(.*)', makefile, re.MULTILINE)[1])


KEYPOINTS = make_target('demo-pose')


def test_the_same_with_keypoints(steps, run, tmp_path):
    printed = run(demo, *KEYPOINTS)
    for text in ('keypoint AP 0.810', 'demo-pose/curves.png', 'demo-pose/predictions.jpg', 'with keypoints'):
        assert text in printed
    assert (tmp_path / 'demo-pose/ap.txt').exists()
    assert not (tmp_path / 'demo/ap.txt').exists()
    config, option = printed.split()[-3::2]
    assert 'pose' in find_config(config).stem
    assert option == 'data_root=my_data'
    steps['keypoints_mAP'] = 0.799
    with pytest.raises(UserError, match=r'keypoint AP 0.799 is below 0.8: something'):
        run(demo, *KEYPOINTS)


@pytest.mark.parametrize('words', [make_target('demo'), KEYPOINTS])
def test_the_configs_are_ours_and_look_where_the_data_is(words):
    args = demo.parse_args(words)
    assert f"data_root = '{args.out}/data/'" in find_config(args.config).read_text()
