"""tools/image_demo.py: what it takes for images, what it writes, and its errors."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from mmyolox.apis import detect, init_detector
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.tools.demo_inputs import CONFIG, OPTIONS, write_checkpoint
from tests.tools.tool_loading import TOOLS, load_tool

image_demo = load_tool('image_demo.py')


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(source, out_dir, root):
    """The names of the images found and of their pictures."""
    targets = image_demo.find_images(source, out_dir)
    return {path.relative_to(root).as_posix(): target for path, target in targets.items()}


def test_a_folder_is_searched_and_its_structure_kept(tmp_path):
    touch(tmp_path, 'in/b.JPG', 'in/a/c.png', 'in/notes.txt', 'in/a/b/d.webp')
    out = Path('out')
    assert found(tmp_path / 'in', out, tmp_path / 'in') == {
        'a/b/d.webp': out / 'a/b/d.webp',
        'a/c.png': out / 'a/c.png',
        'b.JPG': out / 'b.JPG',
    }


@pytest.mark.parametrize('name', ['a.ZIP', 'a.tar.gz'])
def test_an_archive_is_refused_before_the_network_is_loaded(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(UserError, match=f'{name}: an archive; unpack it, and name the folder'):
        image_demo.find_images(tmp_path / name, Path('out'))


def test_one_image_of_any_name(tmp_path):
    touch(tmp_path, 'photo.xyz')
    assert found(tmp_path / 'photo.xyz', Path('out'), tmp_path) == {'photo.xyz': Path('out/photo.xyz')}


def test_links_to_folders_do_not_loop(tmp_path):
    touch(tmp_path, 'a.jpg', 'sub/b.jpg')
    os.symlink(tmp_path, tmp_path / 'sub/again')
    assert found(tmp_path, Path('out'), tmp_path).keys() == {'a.jpg', 'sub/b.jpg'}


def test_pictures_of_an_earlier_run_are_no_input(tmp_path):
    touch(tmp_path, 'a.jpg', 'outputs/a.jpg', 'outputs/sub/c.jpg')
    assert found(tmp_path, tmp_path / 'outputs', tmp_path).keys() == {'a.jpg'}


@pytest.mark.parametrize(
    ('source', 'out_dir', 'message'),
    [
        ('absent', 'out', 'absent: there is no such image or folder'),
        ('empty', 'out', r'empty: holds no image \(\.bmp, \.jpeg, \.jpg'),
        ('in', 'in', r'--out-dir .*in: .*in/a.jpg would be overwritten'),
        ('in/a.jpg', 'in', r'in/a.jpg would be overwritten'),
        ('in', 'in/../in', r'would be overwritten'),
    ],
)
def test_mistakes(tmp_path, source, out_dir, message):
    (tmp_path / 'empty').mkdir()
    touch(tmp_path, 'in/a.jpg')
    with pytest.raises(UserError, match=message):
        image_demo.find_images(tmp_path / source, tmp_path / out_dir)


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    for source in (tmp_path / 'pipe.jpg', Path('/dev/zero')):
        with pytest.raises(UserError, match=f'{source}: not a regular file'):
            image_demo.find_images(source, tmp_path / 'out')


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_read(run):
    with pytest.raises(UserError, match=r'out cannot be written: .*; name another folder'):
        run(image_demo, 'absent.jpg', 'absent.pth', '--out-dir', '/dev/null/out')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp('weights') / 'w.pth')


@pytest.fixture
def photos(tmp_path):
    """Two images in two folders, and a file that is none."""
    folder = tmp_path / 'photos'
    (folder / 'sub').mkdir(parents=True)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / 'wide.png'), rng.integers(0, 256, (80, 200, 3)))
    cv2.imwrite(str(folder / 'sub/small.png'), rng.integers(0, 256, (20, 30, 3)))
    (folder / 'broken.jpg').write_bytes(b'no picture')
    return folder


def test_pictures_and_predictions(run, checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda *_: None)
    out = tmp_path / 'out'
    printed = run(image_demo, photos, CONFIG, checkpoint, '--out-dir', out, *OPTIONS)
    results = json.loads((out / 'predictions.json').read_text())
    assert printed.endswith(f'{len(results)} objects in 2 images, 1 not decoded, scores from 0.2: {out}\n')
    pictures = sorted(path.relative_to(out).as_posix() for path in out.rglob('*.*'))
    assert pictures == ['predictions.json', 'sub/small.png', 'wide.png']
    drawn, original = (cv2.imread(str(folder / 'wide.png')) for folder in (out, photos))
    assert drawn.shape == original.shape
    assert 0 < (drawn != original).mean() < 1

    options = {'img_scale': (64, 64)}
    samples = list(detect(init_detector(CONFIG, checkpoint, 'cpu', options), [photos / 'wide.png']))
    instances = samples[0].pred_instances
    instances = instances[instances.scores >= 0.2]
    wide = [result for result in results if result['file_name'] == 'wide.png']
    assert 0 < len(wide) == len(instances) < len(results)
    for result, bbox, score, label in zip(
        wide, instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist(), strict=True
    ):
        x1, y1, x2, y2 = bbox
        assert result['bbox'] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.02)
        assert result['score'] == pytest.approx(score, abs=1e-3)
        assert (result['label'], result['class_name']) == (label, ('cat', 'dog')[label])
        assert result['image_id'] == 2


@pytest.mark.parametrize('options', [('--workers', 0), ('--workers', 3, '--batch-size', 1)], ids=str)
def test_threads_change_nothing(run, checkpoint, photos, tmp_path, options, monkeypatch):
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda *_: None)
    for out, extra in (('a', ()), ('b', options)):
        run(image_demo, photos, CONFIG, checkpoint, '--out-dir', tmp_path / out, *extra, *OPTIONS)
    for name in ('wide.png', 'sub/small.png'):
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()
    one, other = (json.loads((tmp_path / out / 'predictions.json').read_text()) for out in 'ab')
    assert [result['file_name'] for result in one] == [result['file_name'] for result in other]
    for result, same in zip(one, other, strict=True):
        assert result['bbox'] == pytest.approx(same['bbox'], abs=0.05)


def test_a_format_that_the_device_has_not(run, checkpoint, photos, tmp_path):
    with pytest.raises(UserError, match='dtype float16: the CPU'):
        run(
            image_demo,
            photos,
            CONFIG,
            checkpoint,
            '--out-dir',
            tmp_path / 'out',
            '--dtype',
            'float16',
            *OPTIONS,
        )


@pytest.mark.parametrize(
    ('arguments', 'config', 'checkpoint'),
    [
        (('in',), None, 'yolox_nano'),
        (('in', '--batch-size', '2'), None, 'yolox_nano'),
        (('in', 'w.pth'), None, 'w.pth'),
        (('in', 'c.py', 'w.pth'), 'c.py', 'w.pth'),
        (('in', '--batch-size', '2', 'w.pth'), None, 'w.pth'),
        (('in', 'c.py', '--batch-size', '2', 'w.pth', '--cfg-options', 'a=1'), 'c.py', 'w.pth'),
    ],
)
def test_the_config_may_be_left_out_and_the_checkpoint_too(arguments, config, checkpoint):
    args = image_demo.parse_args(arguments)
    assert (args.input, args.config, args.checkpoint) == (Path('in'), config, checkpoint)


@pytest.mark.parametrize('arguments', [('a.jpg', 'b.jpg'), ('a.jpg', 'b.PNG', 'w.pth')])
def test_several_images_are_no_checkpoint(arguments, capsys):
    with pytest.raises(SystemExit):
        image_demo.parse_args(arguments)
    assert 'an image, where a config or checkpoint stands; give the folder' in capsys.readouterr().err


def test_pictures_without_a_config(run, checkpoint, photos, tmp_path):
    out, options = (
        tmp_path / 'out',
        ('--device', 'cpu', '--score-thr', 0.2, '--cfg-options', 'img_scale=(64,64)'),
    )
    printed = run(image_demo, photos / 'wide.png', checkpoint, '--out-dir', out, *options)
    results = json.loads((out / 'predictions.json').read_text())
    assert f'{len(results)} objects in 1 image, scores from 0.2: {out}' in printed
    assert {entry['class_name'] for entry in results} == {'cat', 'dog'}
    run(image_demo, photos / 'wide.png', CONFIG, checkpoint, '--out-dir', tmp_path / 'named', *OPTIONS)
    assert json.loads((tmp_path / 'named/predictions.json').read_text()) == results


def test_a_higher_threshold_and_no_file(run, checkpoint, photos, tmp_path):
    image = photos / 'wide.png'
    options = (*OPTIONS[:2], '--score-thr', 1, '--no-json', *OPTIONS[4:])
    printed = run(image_demo, image, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *options)
    assert '0 objects in 1 image, scores from 1.0' in printed
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['wide.png']
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'out/wide.png')), cv2.imread(str(image)))


def test_a_class_may_have_a_threshold_of_its_own(run, checkpoint, photos, tmp_path):
    image, out = photos / 'wide.png', tmp_path / 'out'
    options = (*OPTIONS[:2], '--score-thr', '0.2,cat=1', *OPTIONS[4:])
    run(image_demo, image, CONFIG, checkpoint, '--out-dir', tmp_path / 'all', *OPTIONS)
    printed = run(image_demo, image, CONFIG, checkpoint, '--out-dir', out, *options)
    everything, found = (
        json.loads((folder / 'predictions.json').read_text()) for folder in (tmp_path / 'all', out)
    )
    assert found == [entry for entry in everything if entry['class_name'] == 'dog'] != everything
    assert 'scores from 0.2, cat 1.0' in printed
    options = (*OPTIONS[:2], '--score-thr', 'bird=0.5', *OPTIONS[4:])
    with pytest.raises(UserError, match='--score-thr: no class is called bird; there are cat, dog'):
        run(image_demo, image, CONFIG, checkpoint, '--out-dir', out, *options)


def test_arrays_of_any_number_of_channels_are_drawn_on(run, tmp_path):
    (tmp_path / 'arrays').mkdir()
    np.save(tmp_path / 'arrays/a.npy', np.random.default_rng(0).integers(0, 256, (40, 60, 5), np.uint8))
    changed = {'classes': ('cat', 'dog'), 'model.backbone.input_channels': 5}
    model = MODELS.build(load_config(CONFIG, changed).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    options = (*OPTIONS, 'model.backbone.input_channels=5')
    run(image_demo, tmp_path / 'arrays', CONFIG, tmp_path / 'w.pth', '--out-dir', tmp_path / 'out', *options)
    assert cv2.imread(str(tmp_path / 'out/a.npy.png')).shape == (40, 60, 3)


def test_no_image_that_decodes(run, checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda *_: None)
    with pytest.raises(UserError, match='no image of 1 can be decoded'):
        run(image_demo, photos / 'broken.jpg', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert not (tmp_path / 'out').exists()


def test_a_checkpoint_that_is_none(run, photos, tmp_path):
    weights = shutil.copy(photos / 'wide.png', tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r'w.pth is damaged or no checkpoint'):
        run(image_demo, photos, CONFIG, weights, '--out-dir', tmp_path / 'out')


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('--batch-size', 0, '--batch-size 0: at least 1'),
        ('--workers', -1, '--workers -1: 0 or more'),
        ('--score-thr', 1.5, '--score-thr 1.5: a number from 0 to 1'),
        ('--score-thr', 'cat', '--score-thr cat: a number from 0 to 1'),
    ],
)
def test_impossible_numbers(run, photos, tmp_path, option, value, message):
    with pytest.raises(UserError, match=message):
        run(image_demo, photos, CONFIG, 'w.pth', '--out-dir', tmp_path / 'out', option, value)


def test_pictures_and_entries_are_those_of_the_visualizer_of_the_config(run, checkpoint, photos, tmp_path):
    options = (*OPTIONS, 'visualizer.type=StripeVisualizer')
    run(image_demo, photos / 'wide.png', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *options)
    drawn, original = (cv2.imread(str(folder / 'wide.png')) for folder in (tmp_path / 'out', photos))
    assert (drawn[0] == 255).all()
    np.testing.assert_array_equal(drawn[1:], original[1:])
    results = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert {entry['stripes'] for entry in results} == {1}


def test_predictions_load_in_pycocotools(run, checkpoint, photos, tmp_path):
    run(image_demo, photos / 'wide.png', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    truth = COCO()
    truth.dataset = dict(images=[dict(id=0)], annotations=[], categories=[dict(id=1), dict(id=2)])
    truth.createIndex()
    results = json.loads((tmp_path / 'out/predictions.json').read_text())
    loaded = truth.loadRes(str(tmp_path / 'out/predictions.json'))
    assert len(loaded.anns) == len(results) > 0
    assert all(entry['category_id'] == entry['label'] + 1 for entry in results)


def test_a_format_that_cannot_be_written(run, checkpoint, photos, tmp_path):
    (photos / 'wide.png').rename(photos / 'photo.xyz')
    with pytest.raises(UserError, match=r'out/photo.xyz: OpenCV writes no files of this name'):
        run(image_demo, photos / 'photo.xyz', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)


@pytest.mark.parametrize('name', ['pipe.jpg', 'folder.jpg'])
def test_what_is_no_file_is_left_out(run, checkpoint, photos, tmp_path, monkeypatch, name):
    lines = []
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda line, *_: lines.append(line))
    (os.mkfifo if name == 'pipe.jpg' else os.mkdir)(photos / name)
    printed = run(image_demo, photos, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert ' in 2 images, 2 not decoded' in printed
    assert any(f'{name} (not a regular file)' in line for line in lines)


def test_names_that_are_no_text(checkpoint, photos, tmp_path):
    """A process of its own: an OpenCV function of paths ends it."""
    name = os.fsdecode(b'\xff.png')
    (photos / 'wide.png').rename(photos / name)
    (photos / 'broken.jpg').rename(photos / os.fsdecode(b'\xff.jpg'))
    out = tmp_path / os.fsdecode(b'out-\xff')
    command = [TOOLS / 'image_demo.py', photos, CONFIG, checkpoint, '--out-dir', out, *OPTIONS]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Traceback' not in done.stdout + done.stderr
    assert r'\udcff.jpg' in done.stdout + done.stderr
    assert done.stdout.endswith('out-\\udcff\n')
    assert (out / name).is_file()


def test_a_folder_with_the_name_of_a_video(run, checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda *_: None)
    folder = photos.rename(tmp_path / 'photos.mp4')
    printed = run(image_demo, folder, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert ' in 2 images, 1 not decoded' in printed
