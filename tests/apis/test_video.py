"""mmyolox/apis/video.py: what is read is what was written, whatever the file is like."""

import os
import resource
import struct
import threading

import cv2
import numpy as np
import pytest

from mmyolox.apis.video import VideoReader, VideoWriter
from mmyolox.errors import UserError
from tests.tools.tool_loading import load_tool

CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG', '.mov': 'mp4v', '.mkv': 'mp4v', '.webm': 'VP80'}
GREYS = np.linspace(40, 200, 12).astype(int).tolist()


def write_video(path, size=(64, 48), greys=GREYS, rate=25.0):
    """One grey a frame, so that frames are told apart after compression; by OpenCV alone."""
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
    writer = cv2.VideoWriter(str(path), codec, rate, size)
    for grey in greys:
        writer.write(np.full((size[1], size[0], 3), grey, np.uint8))
    writer.release()
    return path


def noise(count, size=(64, 48)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for _ in range(count)]


def greys_of(frames):
    return [round(float(frame.mean())) for frame in frames]


@pytest.mark.parametrize('ahead', [0, 1, 5, 50])
@pytest.mark.parametrize('suffix', sorted(load_tool('image_demo.py').VIDEO_SUFFIXES))
def test_every_frame_once_and_in_order(tmp_path, suffix, ahead):
    video = VideoReader(write_video(tmp_path / f'clip{suffix}'))
    assert (video.announced, video.rate) == (12, 25)
    frames = list(video.frames(ahead))
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert greys_of(frames) == pytest.approx(GREYS, abs=4)
    assert not list(video.frames(ahead))


def test_frames_are_read_ahead_by_one_thread_and_no_more_than_asked_for(tmp_path, monkeypatch):
    video = VideoReader(write_video(tmp_path / 'clip.avi'))
    reads, read = [], video._next

    def counted():
        reads.append(threading.current_thread())
        return read()

    monkeypatch.setattr(video, '_next', counted)
    frames = video.frames(4)
    next(frames)
    frames.close()
    assert len(reads) == 5
    assert len(set(reads)) == 1
    assert threading.main_thread() not in reads


def test_nothing_is_read_before_it_is_asked_for_without_a_thread(tmp_path, monkeypatch):
    video = VideoReader(write_video(tmp_path / 'clip.avi'))
    reads, read = [], video._next
    monkeypatch.setattr(video, '_next', lambda: (reads.append(threading.current_thread()), read())[1])
    frames = video.frames(0)
    next(frames)
    assert reads == [threading.main_thread()]


@pytest.mark.parametrize('name', ['a:b.mp4', 'list%02d.avi', '\u732b.mkv'])
def test_names_that_mean_something_to_ffmpeg(tmp_path, monkeypatch, name):
    video = tmp_path / name
    write_video(tmp_path / f'plain{video.suffix}').rename(video)
    monkeypatch.chdir(tmp_path)
    assert len(list(VideoReader(video.relative_to(tmp_path)).frames(0))) == 12


def test_frames_are_upright(tmp_path):
    path = tmp_path / 'clip.mp4'
    write_video(path)
    # The track's matrix, ISO/IEC 14496-12, 8.3.2: the identity becomes a quarter turn.
    one = 1 << 16
    content = path.read_bytes()
    start = content.index(struct.pack('>9i', one, 0, 0, 0, one, 0, 0, 0, 1 << 30), content.index(b'tkhd'))
    turn = struct.pack('>9i', 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:start] + turn + content[start + 36 :])
    assert {frame.shape for frame in VideoReader(path).frames(2)} == {(64, 48, 3)}


@pytest.mark.parametrize('suffix', ['.avi', '.mkv', '.webm'])
def test_a_video_that_breaks_off_gives_what_there_is(tmp_path, suffix):
    path = tmp_path / f'clip{suffix}'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[suffix]), 25, (64, 48))
    for frame in noise(40):
        writer.write(frame)
    writer.release()
    whole = list(VideoReader(path).frames(0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = VideoReader(path)
    found = list(video.frames(3))
    assert 0 < len(found) < len(whole) == video.announced == 40
    np.testing.assert_array_equal(found[:-1], whole[: len(found) - 1])


@pytest.mark.parametrize('content', [b'', b'no video at all', b'\x00\x00\x00\x18ftypisom' + bytes(99)])
def test_a_file_that_is_none(tmp_path, content):
    cv2.setLogLevel(3)
    (tmp_path / 'clip.mp4').write_bytes(content)
    with pytest.raises(UserError, match=r'clip.mp4: OpenCV can decode no frame of it'):
        VideoReader(tmp_path / 'clip.mp4')
    assert cv2.getLogLevel() == 3


def test_a_header_without_number_and_rate(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'clip.avi')

    class Capture:
        def __init__(self, *args):
            self.inner = cv2_capture(*args)

        def read(self):
            return self.inner.read()

        def get(self, key):
            return {cv2.CAP_PROP_FPS: float('nan'), cv2.CAP_PROP_FRAME_COUNT: -9.2e18}[key]

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, 'VideoCapture', Capture)
    video = VideoReader(path)
    assert (video.announced, video.rate) == (0, 25)
    assert len(list(video.frames(0))) == 12


# --- writing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('size', 'expected'), [((64, 48), (64, 48)), ((63, 47), (64, 48)), ((1, 1), (2, 2)), ((33, 64), (34, 64))]
)
@pytest.mark.parametrize('rate', [1.0, 23.976, 25.0, 29.97, 239.76])
def test_round_trip(tmp_path, size, expected, rate):
    path = tmp_path / 'new/clip.mp4'
    with VideoWriter(path, rate) as writer:
        for grey in GREYS:
            writer.write(np.full((size[1], size[0], 3), grey, np.uint8))
    video = VideoReader(path)
    assert video.rate == pytest.approx(rate, rel=1e-4)
    frames = list(video.frames(0))
    assert frames[0].shape == (expected[1], expected[0], 3)
    assert greys_of(frames) == pytest.approx(GREYS, abs=4)


def test_a_frame_of_another_size_is_resized(tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
        for size in ((48, 64), (96, 30)):
            writer.write(np.full((*size, 3), 90, np.uint8))
    frames = list(VideoReader(tmp_path / 'clip.mp4').frames(0))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert greys_of(frames) == pytest.approx([90, 90], abs=4)


def test_after_an_error_the_file_has_what_was_written(tmp_path):
    def fail():
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert len(list(VideoReader(tmp_path / 'clip.mp4').frames(0))) == 1


def test_a_full_disk_is_told(tmp_path):
    def write():
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            for seed in range(20):
                writer.write(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(UserError, match=r'clip.mp4 cannot be written whole: .* of 20 frames'):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    write()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'clip.mp4').mkdir()
    with (
        VideoWriter(tmp_path / 'clip.mp4', 25) as writer,
        pytest.raises(UserError, match=r'clip.mp4: OpenCV cannot write this video of 64 x 48 pixels'),
    ):
        writer.write(np.zeros((48, 64, 3), np.uint8))


def test_names_that_are_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b'\xff.mp4')
    path.touch()
    with pytest.raises(UserError, match=r'\\udcff.mp4: OpenCV takes names .* in UTF-8 only'):
        VideoReader(path)
    with pytest.raises(UserError, match='in UTF-8 only'), VideoWriter(path, 25) as writer:
        writer.write(np.zeros((8, 8, 3), np.uint8))
