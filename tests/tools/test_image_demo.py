"""tools/image_demo.py: what it takes for images, what it writes, and its errors."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from mmyolox.apis import detect, init_detector
from mmyolox.apis.drawing import YOLOXVisualizer
from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.registry import MODELS, VISUALIZERS
from tests.tools.tool_loading import TOOLS, load_tool

image_demo = load_tool('image_demo.py')

CONFIG = Path(__file__).parents[2] / 'configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'
OPTIONS = ('--device', 'cpu', '--score-thr', 0.2, '--cfg-options', 'img_scale=(64,64)', 'classes=cat,dog')


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


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Random weights that find many objects."""
    cfg = load_config(CONFIG, dict(img_scale=(64, 64), classes=('cat', 'dog')))
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, value in model.named_parameters():
        if 'multi_level_conv' in name:
            torch.nn.init.normal_(value, std=0.3)
    path = tmp_path_factory.mktemp('weights') / 'w.pth'
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=('cat', 'dog')))), path
    )
    return path


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
    assert printed == f'{len(results)} objects in 2 images, 1 not decoded, scores from 0.2: {out}\n'
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
    ('arguments', 'config'),
    [
        (('in', 'w.pth'), None),
        (('in', 'c.py', 'w.pth'), 'c.py'),
        (('in', '--batch-size', '2', 'w.pth'), None),
        (('in', 'c.py', '--batch-size', '2', 'w.pth', '--cfg-options', 'a=1'), 'c.py'),
    ],
)
def test_the_config_may_be_left_out(arguments, config):
    args = image_demo.parse_args(arguments)
    assert (args.input, args.config, args.checkpoint) == (Path('in'), config, 'w.pth')


def test_pictures_without_a_config(run, checkpoint, photos, tmp_path):
    out, options = (
        tmp_path / 'out',
        ('--device', 'cpu', '--score-thr', 0.2, '--cfg-options', 'img_scale=(64,64)'),
    )
    printed = run(image_demo, photos / 'wide.png', checkpoint, '--out-dir', out, *options)
    results = json.loads((out / 'predictions.json').read_text())
    assert f'{len(results)} objects in 1 images, scores from 0.2: {out}' in printed
    assert {entry['class_name'] for entry in results} == {'cat', 'dog'}
    run(image_demo, photos / 'wide.png', CONFIG, checkpoint, '--out-dir', tmp_path / 'named', *OPTIONS)
    assert json.loads((tmp_path / 'named/predictions.json').read_text()) == results


def test_a_higher_threshold_and_no_file(run, checkpoint, photos, tmp_path):
    image = photos / 'wide.png'
    options = (*OPTIONS[:2], '--score-thr', 1, '--no-json', *OPTIONS[4:])
    printed = run(image_demo, image, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *options)
    assert printed.startswith('0 objects in 1 images, scores from 1.0')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['wide.png']
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'out/wide.png')), cv2.imread(str(image)))


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
    with pytest.raises(UserError, match='none of 1 images can be decoded'):
        run(image_demo, photos / 'broken.jpg', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert not (tmp_path / 'out').exists()


def test_a_checkpoint_that_is_none(run, photos, tmp_path):
    with pytest.raises(UserError, match=r'wide.png is damaged or no checkpoint'):
        run(image_demo, photos, CONFIG, photos / 'wide.png', '--out-dir', tmp_path / 'out')


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('--batch-size', 0, '--batch-size 0: at least 1'),
        ('--workers', -1, '--workers -1: 0 or more'),
        ('--score-thr', 1.5, '--score-thr 1.5: a number from 0 to 1'),
    ],
)
def test_impossible_numbers(run, photos, tmp_path, option, value, message):
    with pytest.raises(UserError, match=message):
        run(image_demo, photos, CONFIG, 'w.pth', '--out-dir', tmp_path / 'out', option, value)


@VISUALIZERS.register_module()
class StripeVisualizer(YOLOXVisualizer):
    """Draws a white first row, and an entry more."""

    def draw(self, image, instances):
        picture = image.copy()
        picture[0] = 255
        return picture

    def entries(self, instances):
        return [dict(entry, stripes=1) for entry in super().entries(instances)]


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


# --- videos ----------------------------------------------------------------------------------------------


def moving_noise(count, size=(80, 60)):
    """Frames of a smooth picture that moves: compression keeps what the network sees."""
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (240, 180))
    return [np.ascontiguousarray(picture[i : i + size[1], i : i + size[0]]) for i in range(0, 4 * count, 4)]


def write_video(path, frames, rate=20.0):
    height, width = frames[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*('mp4v' if path.suffix == '.mp4' else 'MJPG'))
    writer = cv2.VideoWriter(str(path), codec, rate, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def read_video(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


@pytest.mark.parametrize('name', ['clip.mp4', 'clip.AVI'])
@pytest.mark.parametrize('options', [(), ('--workers', 0), ('--batch-size', 3)], ids=str)
def test_a_video_gives_a_video_and_predictions(run, checkpoint, tmp_path, name, options):
    source = write_video(tmp_path / 'clip.avi', moving_noise(13)).rename(tmp_path / name)
    out = tmp_path / 'out'
    printed = run(image_demo, source, CONFIG, checkpoint, '--out-dir', out, *options, *OPTIONS)
    results = json.loads((out / 'predictions.json').read_text())
    assert printed == f'{len(results)} objects in 13 frames, scores from 0.2: {out}\n'
    assert sorted(path.name for path in out.iterdir()) == ['clip.mp4', 'predictions.json']

    frames, _ = read_video(source)
    drawn, rate = read_video(out / 'clip.mp4')
    assert (len(drawn), rate, drawn[0].shape) == (13, 20, frames[0].shape)
    model = init_detector(CONFIG, checkpoint, 'cpu', {'img_scale': (64, 64)})
    visualizer = YOLOXVisualizer()
    visualizer.dataset_meta = model.dataset_meta
    expected = []
    for number, sample in enumerate(detect(model, frames)):
        found = sample.pred_instances[sample.pred_instances.scores >= 0.2]
        expected.append(visualizer.draw(frames[number], found))
        entries = [entry for entry in results if entry['frame'] == number]
        assert len(entries) == len(found) > 0
        assert {(entry['image_id'], entry['file_name']) for entry in entries} == {(number, 'clip.mp4')}
        np.testing.assert_allclose([entry['score'] for entry in entries], found.scores, atol=1e-3)
    # Compressed, but nearest to the right picture.
    distances = np.abs(np.float32(drawn)[:, None] - np.float32([*expected, *frames])).mean(axis=(2, 3, 4))
    assert distances.argmin(axis=1).tolist() == list(range(13))


class Frames:
    """In the place of the reader: frames that are made when asked for, and counted while they live."""

    def __init__(self, count, size=(64, 48), announced=0):
        self.count, self.size, self.announced = count, size, announced
        self.rate = 20.0
        self.alive = self.most = 0

    def frames(self, ahead):
        self.ahead = ahead
        for number in range(self.count):
            frame = np.full((self.size[1], self.size[0], 3), 10 * number % 256, np.uint8)
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(frame, self.gone)
            yield frame

    def gone(self):
        self.alive -= 1


@pytest.fixture
def video(tmp_path, monkeypatch):
    """Makes the tool see a video of certain frames."""

    def make(*args, **options):
        (tmp_path / 'clip.mkv').touch()
        frames = Frames(*args, **options)
        monkeypatch.setattr('mmyolox.apis.video.VideoReader', lambda path: frames)
        return frames

    return make


@pytest.mark.parametrize(('size', 'written'), [((63, 47), (64, 48)), ((1, 1), (2, 2)), ((40, 90), (40, 90))])
def test_frames_of_odd_sizes(run, checkpoint, tmp_path, video, size, written):
    video(3, size)
    run(image_demo, tmp_path / 'clip.mkv', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    drawn, _ = read_video(tmp_path / 'out/clip.mp4')
    assert [frame.shape for frame in drawn] == [(written[1], written[0], 3)] * 3


@pytest.mark.parametrize('workers', [0, 2])
def test_a_long_video_is_never_in_memory_as_a_whole(run, checkpoint, tmp_path, video, workers):
    frames = video(80)
    options = ('--batch-size', 2, '--workers', workers, '--no-json', *OPTIONS)
    run(image_demo, tmp_path / 'clip.mkv', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *options)
    # Of one batch with the network, two prepared or in preparation, and those that are drawn.
    assert frames.most <= 16
    assert frames.ahead == (2 if workers else 0)


@pytest.mark.parametrize('options', [('--batch-size', 3), ('--workers', 0)], ids=str)
def test_predictions_are_drawn_on_their_own_frames(run, checkpoint, tmp_path, video, options):
    video(20)
    arguments = ('--out-dir', tmp_path / 'out', *options, *OPTIONS, 'visualizer.type=StripeVisualizer')
    run(image_demo, tmp_path / 'clip.mkv', CONFIG, checkpoint, *arguments)
    drawn, _ = read_video(tmp_path / 'out/clip.mp4')
    assert [frame[10:].mean() for frame in drawn] == pytest.approx(range(0, 200, 10), abs=4)


@pytest.mark.parametrize(
    ('announced', 'expected'),
    [
        (0, ' in 5 frames, scores'),
        (4, ' in 5 frames, scores'),
        (6, ' in 5 frames, scores'),
        (9, ' in 5 frames, then the video breaks off (9 announced), scores'),
    ],
)
def test_a_video_that_breaks_off_is_kept_and_told(run, checkpoint, tmp_path, video, announced, expected):
    video(5, announced=announced)
    out = tmp_path / 'out'
    printed = run(image_demo, tmp_path / 'clip.mkv', CONFIG, checkpoint, '--out-dir', out, *OPTIONS)
    assert expected in printed
    assert len(read_video(out / 'clip.mp4')[0]) == 5
    assert {entry['frame'] for entry in json.loads((out / 'predictions.json').read_text())} <= set(range(5))


def test_a_real_video_that_breaks_off(run, checkpoint, tmp_path):
    source = write_video(tmp_path / 'clip.avi', moving_noise(30))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    count = len(read_video(source)[0])
    printed = run(image_demo, source, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert f' in {count} frames, then the video breaks off (30 announced)' in printed
    assert len(read_video(tmp_path / 'out/clip.mp4')[0]) == count


def test_grey_frames_for_a_network_that_takes_them(run, tmp_path, video, monkeypatch):
    shapes = []

    def nothing_found(detector, inputs, *_):
        for number, frame in enumerate(inputs):
            shapes.append(frame.shape)
            found = InstanceData(bboxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, int))
            yield SimpleNamespace(img_id=number, pred_instances=found)

    monkeypatch.setattr(image_demo, 'predictions', nothing_found)
    visualizer = YOLOXVisualizer()
    visualizer.dataset_meta = dict(classes=('cat', 'dog'))
    detector = SimpleNamespace(channels=1, visualizer=visualizer)
    monkeypatch.setattr('mmyolox.apis.open_detector', lambda *_: detector)
    video(2)
    run(image_demo, tmp_path / 'clip.mkv', CONFIG, 'w.pth', '--out-dir', tmp_path / 'out')
    assert shapes == [(48, 64)] * 2
    drawn, _ = read_video(tmp_path / 'out/clip.mp4')
    assert [frame.shape for frame in drawn] == [(48, 64, 3)] * 2


def test_an_error_on_the_way_leaves_no_half_predictions(run, checkpoint, tmp_path, video, monkeypatch):
    def fail(self, instances):
        raise RuntimeError('on purpose')

    video(3)
    monkeypatch.setattr(YOLOXVisualizer, 'entries', fail)
    with pytest.raises(RuntimeError, match='on purpose'):
        run(image_demo, tmp_path / 'clip.mkv', CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert not (tmp_path / 'out/predictions.json').exists()


@pytest.mark.parametrize('name', ['clip.mp4', 'clip.MKV'])
def test_a_file_that_is_no_video_is_told_in_one_line_at_once(tmp_path, name):
    (tmp_path / name).write_bytes(b'no video')
    command = [sys.executable, TOOLS / 'image_demo.py', tmp_path / name, CONFIG, 'absent.pth']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    message = 'OpenCV can decode no frame of it; is it a whole video file?'
    assert (done.stdout, done.stderr) == ('', f'error: {tmp_path / name}: {message}\n')


@pytest.mark.parametrize(
    ('source', 'out_dir', 'message'),
    [
        ('absent.mp4', 'out', 'absent.mp4: there is no such video'),
        ('clip.avi', '.', r'--out-dir .*: .*clip.avi lies there, so a video could be overwritten'),
        ('clip.avi', 'sub/..', 'could be overwritten'),
    ],
)
def test_mistakes_with_videos(tmp_path, source, out_dir, message):
    (tmp_path / 'sub').mkdir()
    touch(tmp_path, 'clip.avi')
    with pytest.raises(UserError, match=message):
        image_demo.find_video(tmp_path / source, tmp_path / out_dir)


def test_a_folder_with_the_name_of_a_video(run, checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('mmyolox.apis.detectors.print_log', lambda *_: None)
    folder = photos.rename(tmp_path / 'photos.mp4')
    printed = run(image_demo, folder, CONFIG, checkpoint, '--out-dir', tmp_path / 'out', *OPTIONS)
    assert ' in 2 images, 1 not decoded' in printed
