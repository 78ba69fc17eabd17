"""tools/image_demo.py on videos: what it takes and writes, how much it holds, and its errors."""

import json
import subprocess
import sys
import weakref
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmyolox.apis import detect, init_detector
from mmyolox.apis.drawing import YOLOXVisualizer
from mmyolox.errors import UserError
from tests.tools.demo_inputs import CONFIG, OPTIONS, write_checkpoint
from tests.tools.tool_loading import TOOLS, load_tool

image_demo = load_tool('image_demo.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp('weights') / 'w.pth')


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
    assert printed.endswith(f'{len(results)} objects in 13 frames, scores from 0.2: {out}\n')
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
            found = InstanceData(
                bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long)
            )
            yield SimpleNamespace(img_id=number, pred_instances=found)

    monkeypatch.setattr('mmyolox.apis.detectors.detect', nothing_found)
    visualizer = YOLOXVisualizer()
    visualizer.dataset_meta = meta = dict(classes=('cat', 'dog'))
    detector = SimpleNamespace(channels=1, visualizer=visualizer, dataset_meta=meta)
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
    (tmp_path / 'clip.avi').touch()
    with pytest.raises(UserError, match=message):
        image_demo.find_video(tmp_path / source, tmp_path / out_dir)
